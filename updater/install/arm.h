/* SPDX-License-Identifier: Apache-2.0 */
/* arm: brings a UKI onto the ESP and makes it the firmware's next try: the last step that a boot depends on.
 */
#pragma once

#include "updater/fetch/stream.h"
#include "updater/install/site.h"
#include "updater/release/manifest.h"

/* The UKI while it is not known to be whole; no firmware looks at a name like that. */
#define PROA_ARM_TEMPORARY "proa-install.tmp"

/* Writes the UKI to the empty file @fd. */
typedef gboolean (*ProaArmWrite)(int fd, gpointer user_data, GError **error);

/*
 * Has the UKI of @manifest written under the temporary name, flushes it, reads it back and compares its
 * digest. Fails with PAYLOAD_DIGEST, ESP_FULL, IO or as @write does; may be called again then.
 */
gboolean proa_arm_bring(const ProaSite *site, const ProaManifest *manifest, ProaArmWrite write,
	gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * For a ProaArmWrite: all of @in, which must have as many bytes as the manifest says: PAYLOAD_TRUNCATED,
 * BAD_UKI, ESP_FULL, or as @in fails.
 */
gboolean proa_arm_copy(
	int fd, const ProaManifestFile *uki, ProaStream *in, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Renames what was brought, under the lock of entries: the commit point. Where the firmware would go on
 * taking the running release, since the new one is older, that one is set aside after it, and remembered and
 * told as left, as by a rollback. BAD_UKI if it boots another root hash, BUSY, IO.
 */
gboolean proa_arm_commit(
	const ProaSite *site, const ProaManifest *manifest, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes what was brought; what stays is removed by the next transaction. */
void proa_arm_drop(const ProaSite *site);

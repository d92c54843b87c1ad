/* SPDX-License-Identifier: Apache-2.0 */
/* arm: brings a UKI onto the ESP and makes it the firmware's next try: the last step that a boot depends on.
 */
#pragma once

#include "updater/fetch/stream.h"
#include "updater/install/site.h"
#include "updater/release/manifest.h"

/* The UKI while it is not known to be whole; no firmware looks at a name like that. */
#define PROA_ARM_TEMPORARY "proa-install.tmp"

/*
 * Reads the UKI of @manifest from @in, writes it under the temporary name, flushes, reads it back and
 * compares its digest; then renames it, under the lock of entries: the commit point. Fails with
 * PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, BAD_UKI, ESP_FULL, BUSY, IO or what @in fails with; the temporary file
 * is gone then.
 */
gboolean proa_arm(const ProaSite *site, const ProaManifest *manifest, ProaStream *in,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

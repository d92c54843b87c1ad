/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot-image: gets the UKI of a release onto the ESP, by the payload that costs the fewest bytes, by the next
 * one where that fails, at last as it is; then makes it the firmware's next try.
 */
#pragma once

#include "updater/fetch/fetch.h"
#include "updater/install/site.h"
#include "updater/release/manifest.h"

typedef struct {
	const ProaManifest *release; /* whose root image lies in the other slot, verified */
	const ProaSite *site;
	const ProaFetch *fetch; /* with limit and retries */
	const char *feed_url;
	const char *state_dir;
	const char *wanted;        /* "full" or "blocks": nothing is made from what runs */
	const char *kernel_repack; /* "auto": if there is memory for it; "always"; "never" */
} ProaBootImageAsk;

/*
 * Brings and arms it: the commit point of the transaction. Which payload is tried, and that one failed, is
 * reported, as "uki-kernel", "uki-delta", "uki-full" or "uki". Fails as the last one
 * tried did, or as proa_arm_commit() does; nothing of it is left on the ESP then, and what was fetched of it
 * is kept in the state directory for the next time.
 */
gboolean proa_boot_image_arm(const ProaBootImageAsk *ask, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The fewest bytes that may do, for a node that runs @root_hash and whose configuration says @wanted and
 * @kernel_repack.
 */
guint64 proa_boot_image_least(
	const ProaManifest *release, const char *root_hash, const char *wanted, const char *kernel_repack);

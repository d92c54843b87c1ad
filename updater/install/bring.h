/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bring: gets the root image of a release into the other slot: by the payload that costs the fewest bytes,
 * going on where an interrupted transaction stopped, and by the next payload where one fails.
 */
#pragma once

#include "updater/fetch/fetch.h"
#include "updater/install/site.h"
#include "updater/release/manifest.h"

typedef struct {
	const ProaManifest *release;
	const ProaSite *site;
	const ProaFetch *fetch; /* with limit and retries */
	const char *feed_url;
	const char *state_dir;
	const char *wanted; /* the word of the only type that is taken before full; "auto": the cheapest */
} ProaBringAsk;

/*
 * Brings it; reports as it goes ("payload", "fallback" and "progress" of updater/install/report.h), and tells
 * the history which payload it was. The slot is flushed, and a checkpoint covers all of it, when it returns
 * TRUE; nothing of the slot is verified yet. After a failure of the network or a cancellation the checkpoint
 * says where to go on. Fails as the last payload tried did, or with SLOT_TOO_SMALL, BUSY, IO, CANCELLED.
 */
gboolean proa_bring(const ProaBringAsk *ask, GError **error) G_GNUC_WARN_UNUSED_RESULT;

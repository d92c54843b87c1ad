/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bring: gets the root image of a release into the other slot: by the payload that costs the fewest bytes,
 * going on where an interrupted transaction stopped, and by the next payload where one fails.
 */
#pragma once

#include "updater/fetch/fetch.h"
#include "updater/install/site.h"
#include "updater/release/manifest.h"
#include "verity/build.h"

typedef struct {
	const ProaManifest *release;
	const ProaSite *site;
	const ProaFetch *fetch; /* with limit and retries */
	const char *feed_url;
	const char *state_dir;
	const char *wanted;    /* the word of the only type that is taken before full; "auto": the cheapest */
	gboolean no_delta;     /* what came the time before was not the release */
	ProaVerityBuild *tree; /* of the other slot, told what lies there; NULL: read back later */
} ProaBringAsk;

/*
 * Which payload of @release may be taken, by what the manifest says: for a node that runs @root_hash and
 * whose configuration says @wanted. NULL if there is none of that type. A full payload may be taken in any
 * case.
 */
const ProaManifestPayload *proa_bring_payload(
	const ProaManifest *release, ProaPayloadType type, const char *root_hash, const char *wanted);

/* Tells the reader and the history that the payload called @word failed, and that another is tried. */
void proa_bring_gave_up(
	const char *state_dir, const ProaManifest *release, const char *word, const GError *error);

/* Whether another payload may succeed where one failed like that: not where the network or the disk did. */
gboolean proa_bring_another_may_do(const GError *error);

/*
 * Brings it; reports as it goes ("payload", "fallback" and "progress" of updater/install/report.h), and tells
 * the history which payload it was. The slot is flushed, and a checkpoint covers all of it, when it returns
 * TRUE; nothing of the slot is verified yet. After a failure of the network or a cancellation the checkpoint
 * says where to go on. *@ret_suspect: the word of the payload to blame if what lies there is not the release,
 * and making it anew without a delta may do: one was taken, now or before a break (what it makes of a running
 * slot that has rotted is not the release), or else some of it is from before a break; NULL: it would be the
 * same again. Fails as the last payload tried
 * did, or with SLOT_TOO_SMALL, BUSY, IO, CANCELLED.
 */
gboolean proa_bring(
	const ProaBringAsk *ask, const char **ret_suspect, GError **error) G_GNUC_WARN_UNUSED_RESULT;

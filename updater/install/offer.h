/* SPDX-License-Identifier: Apache-2.0 */
/* offer: the release that this node would take now: trust, then choose, then its manifest. Writes nothing but
 * the store. */
#pragma once

#include "base/state.h"
#include "updater/fetch/fetch.h"
#include "updater/release/manifest.h"

typedef struct {
	const char *root;      /* "" on a node; a test's root directory otherwise */
	const char *state_dir; /* its /var/lib/proa */
	const char *feed_url;
	const char *channel;
	const char *wanted;  /* version that an operator named; NULL: the newest */
	const char *token;   /* file of a break-glass token for it; NULL: none */
	const char *pool;    /* of this node; "" or NULL: none */
	gboolean check;      /* nothing will be installed: a token is not used up */
	gint64 accept_stale; /* until then expired metadata is accepted, seconds since 1970; 0: never */
	const char *booted_version, *booted_root_hash;
	const char *staged_root_hash; /* root hash of the release armed already, or NULL */
	const ProaFetch *fetch;
} ProaOfferAsk;

/*
 * Refreshes the feed's metadata and chooses. Returns the manifest of the newest release that may be taken.
 * NULL with NO_UPDATE, REJECTED_BEFORE (all that is newer failed here before, or the wanted one did), a
 * reason of proa_choose(), of trust or of fetching, or BAD_MANIFEST. *@ret_offered (may be set on failure
 * too): the version found, free with g_free(). What an operator decided against the rules (a token that was
 * needed, expired metadata that was accepted) is told to the history and the journal.
 */
ProaManifest *proa_offer_find(
	ProaOfferAsk *ask, char **ret_offered, GError **error) G_GNUC_WARN_UNUSED_RESULT;

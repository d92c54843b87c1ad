/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose: which releases of the feed this node may take, best first. Judged by what the signed metadata says
 * of each
 * ("custom", docs/formats.md, "Feed"), before any manifest is fetched.
 */
#pragma once

#include "updater/trust/trust.h"

typedef struct {
	const char *channel;
	const char *architecture;
	const char *booted; /* version that runs */
	const char *floor;  /* lowest version allowed; NULL: none */
	const char *wanted; /* the version that an operator named; NULL: the newest */
} ProaChooseRules;

typedef struct {
	char *version;
	const ProaTrustTarget *target; /* its manifest; owned by the trust client */
} ProaCandidate;

void proa_candidate_free(ProaCandidate *candidate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaCandidate, proa_candidate_free)

/*
 * Chooses out of @targets (const ProaTrustTarget *). Returns an array of ProaCandidate, newest first and
 * never empty: those newer than what runs, or the wanted one alone. NULL with NO_UPDATE, NO_SUCH_RELEASE,
 * BELOW_FLOOR or WRONG_ARCHITECTURE: the reason why the best of those left out was left out. A target whose
 * custom member is not ours is passed over.
 */
GPtrArray *proa_choose(
	const GPtrArray *targets, const ProaChooseRules *rules, GError **error) G_GNUC_WARN_UNUSED_RESULT;

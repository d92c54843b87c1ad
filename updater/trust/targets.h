/* SPDX-License-Identifier: Apache-2.0 */
/* targets: targets.json and the files of delegated roles: digests of target files, and delegations (TUF 4.5).
 */
#pragma once

#include "updater/trust/delegation.h"
#include "updater/trust/role.h"
#include "updater/trust/trust.h"

typedef struct {
	ProaRoleHead head;
	GHashTable *targets;          /* path to ProaTrustTarget; owns both */
	ProaDelegations *delegations; /* NULL: none */
	ProaRoleKeys *token_keys;     /* whose break-glass tokens are accepted; NULL: nobody's */
	ProaSigned *file;
	const ProaRoleKeys *verified_by; /* whose threshold was checked last; NULL: nobody's */
} ProaTargets;

/* Parses the metadata of targets or of a delegated role; its signatures are not looked at. */
ProaTargets *proa_targets_parse(GBytes *bytes, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_targets_free(ProaTargets *targets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaTargets, proa_targets_free)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation: who else may speak for which target paths (TUF 4.5, DELEGATIONS), by patterns, by prefixes of
 * the path's digest, or by succinct hash bins (TAP 15).
 */
#pragma once

#include "updater/trust/signed.h"

#define PROA_DELEGATION_MAX_ROLES 1024
/* Succinct bins that a listing begins to walk; a look-up of one path needs only one bin, however many there
 * are.
 */
#define PROA_DELEGATION_MAX_LISTED_BINS 1024

typedef struct ProaDelegations ProaDelegations;

/* A role that may speak for a path. */
typedef struct {
	char *name;
	const ProaRoleKeys *keys; /* owned by the delegations */
	gboolean terminating;     /* if it is silent, nobody after it is asked */
} ProaDelegate;

/*
 * Reads the member "delegations". BAD_METADATA for a role name that is empty, comes twice or is one of a
 * top-level role, for both or neither of "paths" and "path_hash_prefixes", both or neither of "roles" and
 * "succinct_roles".
 */
ProaDelegations *proa_delegations_parse(JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_delegations_free(ProaDelegations *delegations);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDelegations, proa_delegations_free)

/*
 * The roles that may speak for exactly @path, in the order of the metadata. An array of ProaDelegate that
 * owns them; they are valid as long as @delegations.
 */
GPtrArray *proa_delegations_for_path(const ProaDelegations *delegations, const char *path);

/* All roles that are listed by name (not the bins of succinct ones), in order; else as the next. */
GPtrArray *proa_delegations_all(const ProaDelegations *delegations);

/* The roles that may speak for some path that begins with @prefix; else as proa_delegations_for_path(). */
GPtrArray *proa_delegations_for_prefix(const ProaDelegations *delegations, const char *prefix);

/*
 * Whether @path matches @pattern: '*' is any number of characters and '?' one, neither ever a '/'; all else
 * is itself. With @prefix, whether a path that begins with @path could match.
 */
gboolean proa_delegation_pattern_matches(const char *pattern, const char *path, gboolean prefix);

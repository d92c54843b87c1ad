/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: a feed as a client sees it, from its roots to the last payload: what audit and mirror have in common.
 * All metadata and manifests are verified by updater/trust, in a store of the walk's own.
 */
#pragma once

#include "images/feed/source.h"
#include "updater/trust/trust.h"

#include <json-glib/json-glib.h>

/* A file that signed metadata or a verified manifest vouches for. */
typedef struct {
	char *path; /* below the feed */
	gint64 size;
	char *sha256;
	GBytes *bytes; /* of a manifest, which was fetched already; NULL: not fetched */
} ProaWalkFile;

/* The OSTree commit that a manifest names, and the ref under which a feed keeps it. */
typedef struct {
	char *commit;
	char *ref;
} ProaWalkTree;

/* What is wrong in the feed, though root, timestamp, snapshot and targets hold. */
typedef struct {
	char *path; /* of a file below the feed or of a target, or a role's name */
	ProaReason reason;
	char *message;
} ProaWalkProblem;

typedef struct {
	ProaSource *source;   /* the feed */
	ProaSource *metadata; /* its folder metadata/ */
	char *store;
	ProaTrust *trust;
	GPtrArray *files;    /* ProaWalkFile, each once */
	GPtrArray *trees;    /* ProaWalkTree */
	GPtrArray *problems; /* ProaWalkProblem */
} ProaWalk;

/* How a feed is walked. */
typedef struct {
	const char *root;    /* the file to begin with; NULL: the feed's own first root */
	const char *channel; /* NULL: all */
	gint64 accept_stale; /* until then what has expired is accepted, seconds since 1970; 0: never */
	gboolean go_on;      /* past whatever has expired, and past a channel that does not hold */
	gboolean as_a_node;  /* a manifest that a node would refuse is a problem; a mirror takes newer ones,
				too */
} ProaWalkOptions;

/*
 * Refreshes from @place (a directory or URL) and reads the manifests. A walk that begins with the feed's own
 * root proves only that the feed agrees with itself. @store is an empty directory of the caller's. An error
 * as of proa_trust_refresh() if the metadata does not hold, NOT_FOUND if there is no such channel; what is
 * wrong with a manifest is a problem. With go_on so is what is wrong with a channel's role, under the role's
 * name; of what has expired nothing is said here (proa_trust_roles() tells).
 */
ProaWalk *proa_walk_new(const char *place, const ProaWalkOptions *options, const char *store,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_walk_free(ProaWalk *walk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaWalk, proa_walk_free)

void proa_walk_add_problem(ProaWalk *walk, const char *path, const GError *error);

/* Fetches a file and compares it; @fd as of proa_source_pump(). PAYLOAD_DIGEST if it is another. */
gboolean proa_walk_check(
	ProaWalk *walk, const ProaWalkFile *file, int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A line on standard error, at most every two seconds: @what, and how far it is. */
void proa_walk_progress(const char *what, guint done, guint all);

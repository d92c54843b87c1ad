/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repository: a TUF repository in memory, for unit tests of the client: every part of it can be made wrong.
 * It signs on its own, with nothing of proa-feed. Fetching from it is a look-up in a table that remembers
 * what was asked for.
 */
#pragma once

#include "updater/trust/root.h"
#include "updater/trust/trust.h"

/* A key; @number from 0 to 255 always gives the same one. */
typedef struct {
	guint8 seed[32];
	char *id;
	JsonObject *object;
} TestKey;

TestKey *test_key_new(guint8 number);
void test_key_free(TestKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestKey, test_key_free)

/* The signature of @message in hexadecimal. */
char *test_key_sign(const TestKey *key, GBytes *message);

typedef struct {
	TestKey *keys[16];
	/* Which keys are listed for a role in root, and which sign for it: numbers below 16, ended by -1. */
	int listed[_PROA_ROLE_MAX][8];
	int signing[_PROA_ROLE_MAX][8];
	int threshold[_PROA_ROLE_MAX];
	gint64 version[_PROA_ROLE_MAX];
	gint64 expires[_PROA_ROLE_MAX]; /* seconds since 1970 */
	gint64 time;                    /* of the timestamp, our extension; 0: left out */
	gboolean inconsistent;          /* no consistent snapshots */
	gboolean no_hashes;             /* parents tell versions only */
	int token_key;                  /* whose tokens targets accepts; 0: nobody's */
	JsonObject *targets;            /* the member "targets" of the top-level role */
	JsonObject *delegations;        /* NULL: none */
	GHashTable *others;             /* role name to content of a delegated role */
	GHashTable *other_keys;         /* role name to the number of the key that signs it, in a pointer */
	GHashTable *files;              /* path below metadata/ to GBytes */
	gboolean etags;                 /* it serves entity tags, and says when nothing changed */
	guint unchanged;                /* how often it said so */
	GPtrArray *requests;            /* paths asked for, in order */
} Repository;

/* A repository with keys 0 to 3 for root, timestamp, snapshot and targets, all versions 1, published. */
Repository *repository_new(void);
void repository_free(Repository *repository);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Repository, repository_free)

/* Writes the root of the current version; the others, at their current versions. */
void repository_publish_root(Repository *repository);
void repository_publish(Repository *repository);

/* Counts the version of a role up, and of those that describe it; publishes. */
void repository_bump(Repository *repository, ProaRole role);

/* Adds a target with this content. */
void repository_add_target(JsonObject *targets, const char *path, const char *content);

/*
 * Delegates @pattern ("paths", or "path_hash_prefixes" if @by_hash) from @from ("targets" or a delegated
 * role) to @to, whose key is number @key. Returns the member "targets" of @to, owned by the repository. Needs
 * a publish.
 */
JsonObject *repository_delegate(Repository *repository, const char *from, const char *to, const char *pattern,
	gboolean by_hash, gboolean terminating, int key);

/* A ProaTrustFetch; data is the repository. */
gboolean repository_fetch(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error);

/* The envelope around @content with the signatures of the keys numbered in @signing. */
GBytes *repository_sign(const Repository *repository, JsonObject *content, const int *signing);

/* What was asked for since the last call, joined by spaces; free with g_free(). */
char *repository_take_requests(Repository *repository);

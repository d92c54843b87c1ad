/* SPDX-License-Identifier: Apache-2.0 */
/* verbs: what proa-feed's command line can say, and the verbs; main.c parses, verb-*.c do. See proa-feed(1).
 */
#pragma once

#include "images/feed/change.h"

/* Everything that the command line of any verb can say. */
typedef struct {
	const char *verb;
	char *feed;
	char *keys;      /* directory */
	char **key;      /* files and pkcs11 URIs */
	char **channels; /* --channel, as often as it came; init */
	char *channel;   /* --channel; all other verbs */
	char *trees;
	gboolean no_trees, no_blocks;
	int deltas; /* add: from how many releases before it */
	gboolean draft;
	gboolean json;
	gboolean may_make_keys; /* the directory of keys need not exist yet */
	char *algorithm;
	char **holders;      /* init: ROLE=T/N */
	char **publics;      /* init: ROLE=FILE */
	gboolean prune;      /* mirror */
	gint64 accept_stale; /* mirror: until then, seconds since 1970; 0: never */
	char **add;
	char **remove;
	gboolean keep;
	int threshold;
	char *out;
	char *root;                 /* of trust, to begin with */
	char *node, *pool, *reason; /* of a token */
	gint64 lifetime;            /* of a token, seconds */
	ProaLifetimes lifetimes;
	int argc;
	char **argv; /* [0] is the verb; then what is no option */
} Call;

/* One JSON object, or a line for people. */
void verb_say(const Call *call, JsonObject *object, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* {"event": "done", "verb": ...} */
JsonObject *verb_result(const Call *call);

/* The keys that the call names: --keys, and every --key. An array of ProaSigner; may be empty. */
GPtrArray *verb_signers(const Call *call, GError **error);

/* Tells that a change waits, and who must sign it. */
ProaExit verb_tell_draft(const Call *call, const ProaChange *change, GError **error);

/* Brings a change out, or keeps it until more have signed, and tells which. @done is said instead of
 * "published" (NULL: nothing else is). */
ProaExit verb_finish(
	const Call *call, ProaChange *change, const GPtrArray *signers, const char *done, GError **error);

ProaExit verb_init(Call *call, GError **error);
ProaExit verb_add(Call *call, GError **error);
ProaExit verb_publish(Call *call, GError **error);
ProaExit verb_refresh(Call *call, GError **error);
ProaExit verb_list(Call *call, GError **error);

ProaExit verb_key(Call *call, GError **error);
ProaExit verb_rotate(Call *call, GError **error);
ProaExit verb_revoke(Call *call, GError **error);
ProaExit verb_renew(Call *call, GError **error);
ProaExit verb_channel(Call *call, GError **error);
ProaExit verb_sign(Call *call, GError **error);
ProaExit verb_merge(Call *call, GError **error);
ProaExit verb_drop(Call *call, GError **error);
ProaExit verb_token(Call *call, GError **error);

ProaExit verb_audit(Call *call, GError **error);
ProaExit verb_mirror(Call *call, GError **error);

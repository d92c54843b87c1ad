/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the node remembers in /var/lib/proa, one file a fact, each replaced atomically
 * (docs/formats.md).
 *
 * state.json      where the node is in the way of a release
 * rejected.json   root hashes that are not to be installed again, and why
 * history.jsonl   what happened, one JSON object a line, oldest first
 *
 * Losing them must never stop a node: a missing file reads as the empty state, a broken one is BAD_STATE and
 * the caller goes on with the empty state after saying so.
 */
#pragma once

#include "base/reason.h"

#include <errno.h>

#define PROA_STATE_DIR "/var/lib/proa"

/* The state machine of docs/architecture.md. */
typedef enum {
	PROA_STATE_IDLE,        /* runs a release that this node never updated to (first boot) */
	PROA_STATE_STAGING,     /* a transaction is writing the other slot */
	PROA_STATE_STAGED,      /* the other slot is armed: the next boot tries it */
	PROA_STATE_TRIAL,       /* booted, not yet blessed */
	PROA_STATE_GOOD,        /* blessed */
	PROA_STATE_FALLEN_BACK, /* the release tried failed; the one before runs again */
	_PROA_STATE_MAX,
	_PROA_STATE_INVALID = -EINVAL,
} ProaStateKind;

const char *proa_state_kind_to_string(ProaStateKind kind);
ProaStateKind proa_state_kind_from_string(const char *word);

/* A release in a slot. All members are NULL when it is not set. */
typedef struct {
	char *version;
	char *root_hash; /* 64 hexadecimal digits */
	char *slot;      /* "root-a" or "root-b" */
} ProaStateRelease;

typedef struct {
	ProaStateKind kind;
	gint64 since;             /* seconds since 1970 */
	ProaStateRelease booted;  /* what bootd saw running last */
	ProaStateRelease staged;  /* in state staging, staged and trial: the release under way */
	ProaStateRelease good;    /* the release blessed last */
	gint64 last_check;        /* seconds since 1970; 0: never */
	char *last_check_result;  /* a reason word, or "ok"; NULL: never */
	char *last_check_offered; /* the version offered at that check; NULL: none */
} ProaState;

ProaState *proa_state_new(void);
void proa_state_free(ProaState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaState, proa_state_free)

/* Replaces a release by copies; all NULL clears it. */
void proa_state_set_release(
	ProaStateRelease *release, const char *version, const char *root_hash, const char *slot);

/* Reads @dir/state.json. A missing file gives a new state; NULL with BAD_STATE for a broken one. */
ProaState *proa_state_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes @dir/state.json durably, making @dir if needed. Sets since to now if kind differs from what the file
 * held. */
gboolean proa_state_save(const char *dir, ProaState *state, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Changes a state in place; what proa_state_update() calls. */
typedef void (*ProaStateChange)(ProaState *state, gpointer data);

/*
 * Loads @dir/state.json, lets @change alter it and saves it, all under a lock (@dir/state.lock):
 * proa-install, proa-bootd and proad write the same file, and none may lose what another wrote meanwhile. A
 * broken state file starts anew.
 */
gboolean proa_state_update(
	const char *dir, ProaStateChange change, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	char *root_hash;
	char *version;
	char *reason; /* a reason word */
	char *detail; /* one sentence; may be NULL */
	gint64 time;  /* seconds since 1970 */
} ProaRejected;

void proa_rejected_free(ProaRejected *rejected);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaRejected, proa_rejected_free)

/* Reads @dir/rejected.json: an array of ProaRejected, newest last, that owns them. Missing file: empty array.
 */
GPtrArray *proa_rejected_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether an operator said it (reject, rollback), not a failure. */
gboolean proa_rejected_is_operators(const ProaRejected *entry);

/* The entry for @root_hash in an array of proa_rejected_load(), or NULL. */
const ProaRejected *proa_rejected_find(const GPtrArray *rejected, const char *root_hash);

/*
 * Remembers a root hash (replacing what was remembered of it) or forgets it; durable. The newest 64 are kept.
 * Of @detail, here and in proa_history_append(), 1024 bytes are kept, made valid UTF-8.
 */
gboolean proa_rejected_add(const char *dir, const char *root_hash, const char *version, const char *reason,
	const char *detail, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_rejected_remove(
	const char *dir, const char *root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes @root_hash off the rejected ones (*@ret_found: it was one), but keeps in mind that it was: whoever
 * finds its boot entry set aside must not take it for a release that failed unseen. Durable.
 */
gboolean proa_rejected_lift(const char *dir, const char *root_hash, gboolean *ret_found,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether @root_hash was taken off by proa_rejected_lift(), and not rejected since. */
gboolean proa_rejected_lifted(const char *dir, const char *root_hash);

/*
 * Appends to @dir/history.jsonl: {"time":..., "event":..., "version":..., "root_hash":..., "slot":...,
 * "reason":..., "detail":...}; members that are NULL are left out. The file is kept under 1 MiB. Events:
 * "staged", "refused", "failed", "trial", "blessed", "fell-back", "rolled-back", "rejected", "unrejected",
 * "root-corrupt", "gave-up", "reboot", "unhealthy", "crashed", "pinned", "unpinned", "scrubbed",
 * "fetched", "payload-failed", "token-used", "accepted-stale", "overwrote-last-good".
 */
gboolean proa_history_append(const char *dir, const char *event, const ProaStateRelease *release,
	const char *reason, const char *detail, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change: the next metadata of some roles, from its first draft until enough holders have signed it. While it
 * waits for signatures it lies in .proa-feed/drafts/NAME/ROLE.json, one envelope a role, and the feed stays
 * as it is; proa_commit() brings it out.
 *
 * Roles are "root", "targets" and the channels. Snapshot and timestamp are made when a change is brought out.
 */
#pragma once

#include "images/feed/envelope.h"
#include "images/feed/feed.h"

typedef struct {
	char *role;
	JsonObject *envelope;
} ProaDraft;

typedef struct {
	const ProaFeed *feed;
	char *name;        /* "publish", "rotate-root" ...; the folder of its drafts */
	GPtrArray *drafts; /* ProaDraft */
} ProaChange;

/* A draft that must be signed by more. */
typedef struct {
	char *role;
	char *by; /* "stable", "root" or "the old root" */
	guint have, threshold;
} ProaNeed;

ProaChange *proa_change_new(const ProaFeed *feed, const char *name);
void proa_change_free(ProaChange *change);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaChange, proa_change_free)

/* The changes that wait for signatures; an array of ProaChange that owns them. */
GPtrArray *proa_changes_load(const ProaFeed *feed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The draft of a role in this change, or NULL. */
ProaDraft *proa_change_find(const ProaChange *change, const char *role);

/*
 * The content of the next version of @role, expiring @lifetime seconds from now, to be edited: a copy of what
 * is published, or the empty first version. It belongs to the change. BUSY if another change has a draft of
 * it.
 */
JsonObject *proa_change_edit(
	ProaChange *change, const char *role, gint64 lifetime, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The root and the top-level targets as they will be; parsed anew at each call. */
ProaRoot *proa_change_root(const ProaChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;
ProaTargets *proa_change_targets(const ProaChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Signs every draft with the keys at hand that have a say in it. */
gboolean proa_change_sign(
	ProaChange *change, const GPtrArray *signers, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes the signatures that count of an envelope that went to another machine; *@ret_taken is FALSE if it is
 * not around a draft of this change. *@ret_worthless: as of proa_envelope_merge().
 */
gboolean proa_change_merge(ProaChange *change, JsonObject *envelope, gboolean *ret_taken, guint *ret_added,
	guint *ret_worthless, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Who must still sign: an array of ProaNeed that owns them, empty if all have. */
GPtrArray *proa_change_needs(const ProaChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* NOT_FOUND with all that is needed, in one sentence. */
gboolean proa_change_fail(const GPtrArray *needs, GError **error);

/* Keeps the drafts until more have signed; or throws them away. */
gboolean proa_change_save(const ProaChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_change_drop(const ProaChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Where the draft of a role lies; free with g_free(). */
char *proa_change_path(const ProaChange *change, const char *role);

/* The keys of a role in a root and its targets: one of the four, or a channel; NULL: there is none such. */
ProaRoleKeys *proa_change_role_keys(const ProaRoot *root, const ProaTargets *targets, const char *role);

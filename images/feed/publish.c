/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/publish.h"

#include "images/feed/signer.h"

#include <string.h>

/* The version of the TUF specification that we write by. */
#define SPEC_VERSION "1.0.31"
/* A refresh signs anew what has less than this part of its lifetime left. */
#define NEAR_EXPIRY_DIVISOR 3

static gint64 now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

JsonObject *proa_publish_head(const char *type, gint64 version, gint64 lifetime)
{
	JsonObject *object = json_object_new();
	g_autofree char *expires = proa_role_time_format(now_seconds() + lifetime);

	json_object_set_string_member(object, "_type", type);
	json_object_set_string_member(object, "spec_version", SPEC_VERSION);
	json_object_set_int_member(object, "version", version);
	json_object_set_string_member(object, "expires", expires);
	return object;
}

/* How a parent describes a file. */
static JsonObject *describe(GBytes *bytes, gint64 version)
{
	JsonObject *object = json_object_new(), *hashes = json_object_new();
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);

	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_int_member(object, "version", version);
	json_object_set_int_member(object, "length", (gint64)g_bytes_get_size(bytes));
	json_object_set_object_member(object, "hashes", hashes);
	return object;
}

/* Signs @content for @role and writes metadata/@name. */
static GBytes *put(const ProaFeed *feed, const GPtrArray *signers, ProaRole role, JsonObject *content,
	const char *name, GError **error)
{
	g_autofree char *path = g_strconcat("metadata/", name, NULL);
	g_autoptr(GBytes) bytes = proa_signers_sign(
		signers, feed->root->roles[role], content, proa_role_to_string(role), error);

	if (!bytes || !proa_feed_write(feed->dir, path, bytes, error))
		return NULL;
	return g_steal_pointer(&bytes);
}

static void copy_members(JsonObject *from, JsonObject *to)
{
	g_autoptr(GList) names = json_object_get_members(from);

	for (GList *name = names; name; name = name->next)
		json_object_set_member(
			to, name->data, json_node_copy(json_object_get_member(from, name->data)));
}

static GBytes *put_targets(const ProaFeed *feed, const GPtrArray *signers, gint64 version, gint64 lifetime,
	ProaPublishKind kind, GError **error)
{
	g_autoptr(JsonObject) content = proa_publish_head("targets", version, lifetime);
	JsonObject *targets = json_object_new();
	g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".targets.json", version);

	if (feed->targets) {
		JsonObject *was = feed->targets->file->content;
		copy_members(json_object_get_object_member(was, "targets"), targets);
		if (json_object_has_member(was, "delegations"))
			json_object_set_member(content, "delegations",
				json_node_copy(json_object_get_member(was, "delegations")));
	}
	if (kind == PROA_PUBLISH_ALL)
		copy_members(feed->pending, targets);
	json_object_set_object_member(content, "targets", targets);
	return put(feed, signers, PROA_ROLE_TARGETS, content, name, error);
}

static GBytes *put_snapshot(const ProaFeed *feed, const GPtrArray *signers, gint64 version, gint64 lifetime,
	GBytes *targets, gint64 targets_version, GError **error)
{
	g_autoptr(JsonObject) content = proa_publish_head("snapshot", version, lifetime);
	JsonObject *meta = json_object_new();
	g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".snapshot.json", version);

	if (feed->snapshot)
		copy_members(json_object_get_object_member(feed->snapshot->file->content, "meta"), meta);
	json_object_set_object_member(meta, "targets.json", describe(targets, targets_version));
	json_object_set_object_member(content, "meta", meta);
	return put(feed, signers, PROA_ROLE_SNAPSHOT, content, name, error);
}

static GBytes *put_timestamp(const ProaFeed *feed, const GPtrArray *signers, gint64 lifetime,
	GBytes *snapshot, gint64 snapshot_version, GError **error)
{
	gint64 version = feed->timestamp ? feed->timestamp->head.version + 1 : 1;
	g_autoptr(JsonObject) content = proa_publish_head("timestamp", version, lifetime);
	JsonObject *meta = json_object_new(), *ours = json_object_new();

	json_object_set_object_member(meta, "snapshot.json", describe(snapshot, snapshot_version));
	json_object_set_object_member(content, "meta", meta);
	/* From it a node knows that its clock is not behind. */
	json_object_set_int_member(ours, "time", now_seconds());
	json_object_set_object_member(content, "proa", ours);
	return put(feed, signers, PROA_ROLE_TIMESTAMP, content, "timestamp.json", error);
}

/* Whether a refresh is to sign this file anew. */
static gboolean nears_expiry(const ProaRoleHead *head, gint64 lifetime)
{
	return !head || head->expires - now_seconds() < lifetime / NEAR_EXPIRY_DIVISOR;
}

/* In a refresh: whether a missing key may be passed over for now. */
static gboolean may_wait(const ProaRoleHead *head, const GError *inner, ProaPublishKind kind)
{
	return kind == PROA_PUBLISH_REFRESH && head && head->expires > now_seconds() &&
	       g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

/* The targets to be listed: new ones if they are due, else those that are published. */
static GBytes *renew_targets(const ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, gint64 *ret_version, GError **error)
{
	g_autoptr(GError) inner = NULL;
	const ProaRoleHead *head = feed->targets ? &feed->targets->head : NULL;
	gint64 lifetime = lifetimes->of[PROA_ROLE_TARGETS];

	if (kind == PROA_PUBLISH_ALL || nears_expiry(head, lifetime)) {
		gint64 version = head ? head->version + 1 : 1;
		GBytes *bytes = put_targets(feed, signers, version, lifetime, kind, &inner);
		if (bytes) {
			*ret_version = version;
			return bytes;
		}
		if (!may_wait(head, inner, kind)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return NULL;
		}
	}
	*ret_version = head->version;
	return g_bytes_ref(feed->targets->file->bytes);
}

static GBytes *renew_snapshot(const ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, GBytes *targets, gint64 targets_version, gint64 *ret_version, GError **error)
{
	g_autoptr(GError) inner = NULL;
	const ProaRoleHead *head = feed->snapshot ? &feed->snapshot->head : NULL;
	gint64 lifetime = lifetimes->of[PROA_ROLE_SNAPSHOT];
	gboolean moved = !feed->targets || targets_version != feed->targets->head.version;

	if (moved || nears_expiry(head, lifetime)) {
		gint64 version = head ? head->version + 1 : 1;
		GBytes *bytes =
			put_snapshot(feed, signers, version, lifetime, targets, targets_version, &inner);
		if (bytes) {
			*ret_version = version;
			return bytes;
		}
		if (!may_wait(head, inner, kind)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return NULL;
		}
	}
	*ret_version = head->version;
	return g_bytes_ref(feed->snapshot->file->bytes);
}

gboolean proa_publish(ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, GError **error)
{
	gint64 targets_version, snapshot_version;
	g_autoptr(GBytes) targets = renew_targets(feed, signers, lifetimes, kind, &targets_version, error);
	g_autoptr(GBytes) snapshot = targets ? renew_snapshot(feed, signers, lifetimes, kind, targets,
						       targets_version, &snapshot_version, error)
					     : NULL;
	g_autoptr(GBytes) timestamp =
		snapshot ? put_timestamp(feed, signers, lifetimes->of[PROA_ROLE_TIMESTAMP], snapshot,
				   snapshot_version, error)
			 : NULL;
	if (!timestamp)
		return FALSE;
	if (kind != PROA_PUBLISH_ALL)
		return TRUE;
	g_autoptr(JsonObject) done = feed->pending;
	feed->pending = json_object_new();
	return proa_feed_save_pending(feed, error);
}

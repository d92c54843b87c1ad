/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/publish.h"

#include <string.h>

const char *proa_publish_role(const ProaFeed *feed, const char *path, char **ret_channel)
{
	const char *slash = strchr(path, '/');
	g_autofree char *channel = g_strndup(path, slash ? (gsize)(slash - path) : strlen(path));
	gpointer name = NULL;

	if (ret_channel)
		*ret_channel = g_strdup(channel);
	g_hash_table_lookup_extended(feed->channels, channel, &name, NULL);
	return name ? name : "targets";
}

/* The pending targets that @role is to sign for. */
static guint merge_pending(const ProaFeed *feed, const char *role, JsonObject *content)
{
	g_autoptr(GList) paths = json_object_get_members(feed->pending);
	JsonObject *targets = content ? json_object_get_object_member(content, "targets") : NULL;
	guint count = 0;

	for (GList *path = paths; path; path = path->next) {
		if (strcmp(proa_publish_role(feed, path->data, NULL), role) != 0)
			continue;
		count++;
		if (targets)
			json_object_set_member(targets, path->data,
				json_node_copy(json_object_get_member(feed->pending, path->data)));
	}
	return count;
}

/* Whether the keys at hand are enough to sign for a role as it is now. */
static gboolean can_sign(const ProaFeed *feed, const char *role, const GPtrArray *signers)
{
	g_autoptr(ProaRoleKeys) keys = proa_change_role_keys(feed->root, feed->targets, role);
	g_autoptr(GHashTable) ours = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < signers->len; i++)
		g_hash_table_add(ours, (gpointer)(guintptr)proa_signer_identity(signers->pdata[i]));
	guint count = 0;
	for (guint i = 0; i < keys->keys->len; i++) {
		const char *identity = proa_key_identity(keys->keys->pdata[i]);
		count += identity && g_hash_table_contains(ours, identity);
	}
	return count >= keys->threshold;
}

/* Whether another change has a draft of the role, which is then not to be touched. */
static gboolean is_drafted(const GPtrArray *changes, const char *role)
{
	for (guint i = 0; i < changes->len; i++)
		if (proa_change_find(changes->pdata[i], role))
			return TRUE;
	return FALSE;
}

/* Everything that publishing needs at hand. */
typedef struct {
	ProaFeed *feed;
	const GPtrArray *signers;
	const GPtrArray *waiting;
	gint64 lifetime;
	ProaPublishKind kind;
	ProaChange *change;
} Publication;

static gboolean edit_role(
	const Publication *publication, const char *role, const ProaRoleHead *head, GError **error)
{
	const ProaFeed *feed = publication->feed;
	gboolean all = publication->kind == PROA_PUBLISH_ALL;

	if (all && merge_pending(feed, role, NULL) > 0) {
		JsonObject *content =
			proa_change_edit(publication->change, role, publication->lifetime, error);
		return content && merge_pending(feed, role, content) > 0;
	}
	if (!all && !proa_commit_nears_expiry(head, publication->lifetime))
		return TRUE;
	if (is_drafted(publication->waiting, role))
		return TRUE;
	gboolean expired = head->expires <= g_get_real_time() / G_USEC_PER_SEC;
	/* Without its key it is left as it is; what has expired, and stops every node, is told. */
	if (!can_sign(feed, role, publication->signers) && (all || !expired || strcmp(role, "targets") != 0))
		return TRUE;
	return proa_change_edit(publication->change, role, publication->lifetime, error) != NULL;
}

static gboolean edit_all(const Publication *publication, GError **error)
{
	GHashTableIter iter;
	gpointer name, targets;

	if (!edit_role(publication, "targets", &publication->feed->targets->head, error))
		return FALSE;
	g_hash_table_iter_init(&iter, publication->feed->channels);
	while (g_hash_table_iter_next(&iter, &name, &targets))
		if (!edit_role(publication, name, &((ProaTargets *)targets)->head, error))
			return FALSE;
	return TRUE;
}

gboolean proa_publish(ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, ProaChange **ret_waiting, GError **error)
{
	g_autoptr(ProaChange) change =
		proa_change_new(feed, kind == PROA_PUBLISH_ALL ? "publish" : "refresh");
	g_autoptr(GPtrArray) waiting = proa_changes_load(feed, error);
	const Publication publication = { feed, signers, waiting, lifetimes->of[PROA_ROLE_TARGETS], kind,
		change };

	if (!waiting || !edit_all(&publication, error) || !proa_change_sign(change, signers, error))
		return FALSE;
	g_autoptr(GPtrArray) needs = proa_change_needs(change, error);
	if (!needs)
		return FALSE;
	if (needs->len == 0)
		return proa_commit(change, signers, lifetimes, error);
	if (!ret_waiting)
		return proa_change_fail(needs, error);
	if (!proa_change_save(change, error))
		return FALSE;
	*ret_waiting = g_steal_pointer(&change);
	return TRUE;
}

static void release_expired(gpointer data)
{
	ProaPublishExpired *expired = data;

	g_free(expired->role);
	g_free(expired);
}

static int compare_expired(gconstpointer a, gconstpointer b)
{
	return strcmp(((const ProaPublishExpired *)a)->role, ((const ProaPublishExpired *)b)->role);
}

static void add_expired(
	GPtrArray *expired, const GPtrArray *waiting, const char *role, const ProaRoleHead *head)
{
	if (head->expires > g_get_real_time() / G_USEC_PER_SEC)
		return;
	ProaPublishExpired *one = g_new0(ProaPublishExpired, 1);
	one->role = g_strdup(role);
	one->expires = head->expires;
	one->drafted = is_drafted(waiting, role);
	g_ptr_array_add(expired, one);
}

GPtrArray *proa_publish_expired(const ProaFeed *feed, GError **error)
{
	g_autoptr(GPtrArray) waiting = proa_changes_load(feed, error);
	g_autoptr(GPtrArray) expired = g_ptr_array_new_with_free_func(release_expired);
	GHashTableIter iter;
	gpointer name, targets;

	if (!waiting)
		return NULL;
	add_expired(expired, waiting, "root", &feed->root->head);
	add_expired(expired, waiting, "targets", &feed->targets->head);
	g_hash_table_iter_init(&iter, feed->channels);
	while (g_hash_table_iter_next(&iter, &name, &targets))
		add_expired(expired, waiting, name, &((ProaTargets *)targets)->head);
	g_ptr_array_sort_values(expired, compare_expired);
	return g_steal_pointer(&expired);
}

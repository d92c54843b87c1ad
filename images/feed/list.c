/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/list.h"

#include "base/file.h"
#include "base/version.h"
#include "images/feed/keyset.h"
#include "images/feed/publish.h"
#include "images/feed/release.h"

#include <stdio.h>
#include <string.h>

typedef struct {
	const char *path, *sha256;
	JsonObject *custom; /* NULL: none */
	gboolean published;
} Item;

static JsonObject *describe_role(const ProaRoleHead *head)
{
	JsonObject *object = json_object_new();
	g_autofree char *expires = proa_role_time_format(head->expires);

	json_object_set_int_member(object, "version", head->version);
	json_object_set_string_member(object, "expires", expires);
	json_object_set_boolean_member(
		object, "expired", head->expires <= g_get_real_time() / G_USEC_PER_SEC);
	return object;
}

/* The manifest of an item, or NULL. */
static JsonObject *read_manifest(const ProaFeed *feed, const Item *item)
{
	g_autofree char *dir = g_path_get_dirname(item->path);
	g_autofree char *name = g_path_get_basename(item->path);
	g_autofree char *path = g_strdup_printf(
		"%s/targets/%s/%s.%s", feed->dir, dir, item->sha256 ? item->sha256 : "", name);
	gsize size;
	g_autofree char *text = proa_file_read(path, PROA_RELEASE_MAX_MANIFEST, &size, NULL);

	return text ? proa_json_parse(text, size, path, PROA_REASON_BAD_MANIFEST, NULL) : NULL;
}

static JsonObject *describe_item(const ProaFeed *feed, const Item *item)
{
	JsonObject *object = json_object_new();
	JsonObject *ours = item->custom ? proa_json_object_or_null(item->custom, "proa") : NULL;
	g_autoptr(JsonObject) manifest = read_manifest(feed, item);
	JsonObject *root = manifest ? proa_json_object_or_null(manifest, "root") : NULL;
	JsonArray *payloads = manifest ? proa_json_array_or_null(manifest, "payloads") : NULL;

	proa_json_set_string(object, "path", item->path);
	proa_json_set_string(object, "channel", ours ? proa_json_string_or(ours, "channel", NULL) : NULL);
	proa_json_set_string(object, "version", ours ? proa_json_string_or(ours, "version", NULL) : NULL);
	proa_json_set_string(
		object, "architecture", ours ? proa_json_string_or(ours, "architecture", NULL) : NULL);
	proa_json_set_string(object, "root_hash", root ? proa_json_string_or(root, "hash", NULL) : NULL);
	proa_json_set_string(object, "tree", manifest ? proa_json_string_or(manifest, "tree", NULL) : NULL);
	if (payloads && json_array_get_length(payloads) > 0)
		json_object_set_int_member(object, "payload_bytes",
			proa_json_int_or(json_array_get_object_element(payloads, 0), "size", 0));
	else
		json_object_set_null_member(object, "payload_bytes");
	json_object_set_boolean_member(object, "published", item->published);
	return object;
}

static int compare_objects(gconstpointer a, gconstpointer b)
{
	JsonObject *x = *(JsonObject *const *)a, *y = *(JsonObject *const *)b;
	int order =
		g_strcmp0(proa_json_string_or(x, "channel", NULL), proa_json_string_or(y, "channel", NULL));

	if (order != 0)
		return order;
	return proa_version_compare(
		proa_json_string_or(x, "version", ""), proa_json_string_or(y, "version", ""));
}

static void object_release(gpointer data)
{
	json_object_unref(data);
}

/* The published releases of one role. */
static void gather_role(const ProaFeed *feed, const ProaTargets *role, GPtrArray *objects)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, role->targets);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const ProaTrustTarget *target = value;
		Item item = { target->path, target->sha256, target->custom, TRUE };
		g_ptr_array_add(objects, describe_item(feed, &item));
	}
}

static gboolean is_published(const ProaFeed *feed, const char *path)
{
	const ProaTargets *channel = g_hash_table_lookup(feed->channels, proa_publish_role(feed, path, NULL));

	return g_hash_table_contains((channel ? channel : feed->targets)->targets, path);
}

static GPtrArray *gather(const ProaFeed *feed)
{
	GPtrArray *objects = g_ptr_array_new_with_free_func(object_release);
	GHashTableIter iter;
	gpointer channel;

	gather_role(feed, feed->targets, objects);
	g_hash_table_iter_init(&iter, feed->channels);
	while (g_hash_table_iter_next(&iter, NULL, &channel))
		gather_role(feed, channel, objects);
	g_autoptr(GList) names = json_object_get_members(feed->pending);
	for (GList *name = names; name; name = name->next) {
		JsonObject *target = proa_json_object_or_null(feed->pending, name->data);
		JsonObject *hashes = target ? proa_json_object_or_null(target, "hashes") : NULL;
		if (!hashes || is_published(feed, name->data))
			continue;
		Item item = { name->data, proa_json_string_or(hashes, "sha256", NULL),
			proa_json_object_or_null(target, "custom"), FALSE };
		g_ptr_array_add(objects, describe_item(feed, &item));
	}
	g_ptr_array_sort(objects, compare_objects);
	return objects;
}

static JsonObject *describe_roles(const ProaFeed *feed)
{
	JsonObject *metadata = json_object_new();
	g_autoptr(GList) channels = g_list_sort(g_hash_table_get_keys(feed->channels), (GCompareFunc)strcmp);

	json_object_set_object_member(metadata, "root", describe_role(&feed->root->head));
	json_object_set_object_member(metadata, "timestamp", describe_role(&feed->timestamp->head));
	json_object_set_object_member(metadata, "snapshot", describe_role(&feed->snapshot->head));
	json_object_set_object_member(metadata, "targets", describe_role(&feed->targets->head));
	for (GList *name = channels; name; name = name->next) {
		const ProaTargets *channel = g_hash_table_lookup(feed->channels, name->data);
		json_object_set_object_member(metadata, name->data, describe_role(&channel->head));
	}
	return metadata;
}

/* Whose keys these are: what `revoke` and `rotate` want to know. */
static void add_keys(JsonObject *keys, const char *role, ProaKeyset *keyset_taken)
{
	g_autoptr(ProaKeyset) keyset = keyset_taken;

	if (!keyset)
		return;
	JsonObject *object = json_object_new();
	JsonArray *list = json_array_new();
	for (guint i = 0; i < keyset->ids->len; i++) {
		JsonObject *key = json_object_new();
		json_object_set_string_member(key, "keyid", keyset->ids->pdata[i]);
		json_object_set_string_member(
			key, "scheme", proa_json_string_or(keyset->objects->pdata[i], "scheme", "?"));
		json_array_add_object_element(list, key);
	}
	json_object_set_int_member(object, "threshold", keyset->threshold);
	json_object_set_array_member(object, "keys", list);
	json_object_set_object_member(keys, role, object);
}

static JsonObject *describe_keys(const ProaFeed *feed)
{
	JsonObject *keys = json_object_new();
	g_autoptr(GList) channels = g_list_sort(g_hash_table_get_keys(feed->channels), (GCompareFunc)strcmp);

	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++) {
		const char *name = proa_role_to_string(role);
		add_keys(keys, name, proa_keyset_of_root(feed->root->file->content, name, NULL));
	}
	for (GList *name = channels; name; name = name->next)
		add_keys(keys, name->data,
			proa_keyset_of_targets(feed->targets->file->content, name->data, NULL));
	add_keys(keys, PROA_BREAK_GLASS,
		proa_keyset_of_targets(feed->targets->file->content, PROA_BREAK_GLASS, NULL));
	return keys;
}

static JsonArray *describe_drafts(const ProaFeed *feed, GError **error)
{
	g_autoptr(GPtrArray) changes = proa_changes_load(feed, error);

	if (!changes)
		return NULL;
	JsonArray *drafts = json_array_new();
	for (guint i = 0; i < changes->len; i++) {
		const ProaChange *change = changes->pdata[i];
		for (guint j = 0; j < change->drafts->len; j++) {
			const ProaDraft *draft = change->drafts->pdata[j];
			JsonObject *object = json_object_new();
			g_autofree char *path = proa_change_path(change, draft->role);
			json_object_set_string_member(object, "change", change->name);
			json_object_set_string_member(object, "role", draft->role);
			json_object_set_string_member(object, "file", path);
			json_object_set_int_member(object, "signatures",
				json_array_get_length(
					json_object_get_array_member(draft->envelope, "signatures")));
			json_array_add_object_element(drafts, object);
		}
	}
	return drafts;
}

JsonObject *proa_list_make(const ProaFeed *feed, GError **error)
{
	g_autoptr(JsonObject) list = json_object_new();
	JsonArray *releases = json_array_new();
	g_autoptr(GPtrArray) objects = gather(feed);

	json_object_set_string_member(list, "feed", feed->dir);
	json_object_set_object_member(list, "metadata", describe_roles(feed));
	json_object_set_object_member(list, "keys", describe_keys(feed));
	for (guint i = 0; i < objects->len; i++)
		json_array_add_object_element(releases, json_object_ref(g_ptr_array_index(objects, i)));
	json_object_set_array_member(list, "releases", releases);
	JsonArray *drafts = describe_drafts(feed, error);
	if (!drafts)
		return NULL;
	json_object_set_array_member(list, "drafts", drafts);
	return g_steal_pointer(&list);
}

static const char *text_of(JsonObject *object, const char *member)
{
	return proa_json_string_or(object, member, "-");
}

static void print_keys(JsonObject *keys)
{
	g_autoptr(GList) roles = json_object_get_members(keys);

	printf("\n%-12s %-10s %s\n", "KEYS OF", "MUST SIGN", "ID AND SCHEME");
	for (GList *role = roles; role; role = role->next) {
		JsonObject *object = json_object_get_object_member(keys, role->data);
		JsonArray *list = json_object_get_array_member(object, "keys");
		guint count = json_array_get_length(list);
		g_autofree char *must = g_strdup_printf(
			"%" G_GINT64_FORMAT " of %u", proa_json_int_or(object, "threshold", 0), count);
		for (guint i = 0; i < count; i++) {
			JsonObject *key = json_array_get_object_element(list, i);
			printf("%-12s %-10s %.16s %s\n", i ? "" : (char *)role->data, i ? "" : must,
				text_of(key, "keyid"), text_of(key, "scheme"));
		}
	}
}

void proa_list_print(JsonObject *list)
{
	JsonObject *metadata = json_object_get_object_member(list, "metadata");
	JsonArray *releases = json_object_get_array_member(list, "releases");

	g_autoptr(GList) roles = json_object_get_members(metadata);
	for (GList *role = roles; role; role = role->next) {
		JsonObject *object = json_object_get_object_member(metadata, role->data);
		printf("%-10s version %-5" G_GINT64_FORMAT " %s %s\n", (char *)role->data,
			proa_json_int_or(object, "version", 0),
			proa_json_bool_or(object, "expired", FALSE) ? "EXPIRED" : "expires",
			text_of(object, "expires"));
	}
	JsonArray *drafts = json_object_get_array_member(list, "drafts");
	for (guint i = 0; i < json_array_get_length(drafts); i++) {
		JsonObject *object = json_array_get_object_element(drafts, i);
		printf("%-10s draft of \"%s\", %" G_GINT64_FORMAT " signatures: %s\n",
			text_of(object, "role"), text_of(object, "change"),
			proa_json_int_or(object, "signatures", 0), text_of(object, "file"));
	}
	print_keys(json_object_get_object_member(list, "keys"));
	printf("\n%-10s %-16s %-9s %10s  %s\n", "CHANNEL", "VERSION", "STATE", "PAYLOAD", "ROOT HASH");
	for (guint i = 0; i < json_array_get_length(releases); i++) {
		JsonObject *object = json_array_get_object_element(releases, i);
		g_autofree char *size = g_strdup_printf(
			"%.1f MB", (double)proa_json_int_or(object, "payload_bytes", 0) / 1e6);
		printf("%-10s %-16s %-9s %10s  %.16s\n", text_of(object, "channel"),
			text_of(object, "version"),
			proa_json_bool_or(object, "published", FALSE) ? "published" : "pending", size,
			text_of(object, "root_hash"));
	}
	if (json_array_get_length(releases) == 0)
		puts("(no release)");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/change.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAFTS PROA_FEED_OURS "/drafts"
/* The version of the TUF specification that we write by. */
#define SPEC_VERSION "1.0.31"

static void draft_free(gpointer data)
{
	ProaDraft *draft = data;

	g_free(draft->role);
	g_clear_pointer(&draft->envelope, json_object_unref);
	g_free(draft);
}

static void need_free(gpointer data)
{
	ProaNeed *need = data;

	g_free(need->role);
	g_free(need->by);
	g_free(need);
}

ProaChange *proa_change_new(const ProaFeed *feed, const char *name)
{
	ProaChange *change = g_new0(ProaChange, 1);

	change->feed = feed;
	change->name = g_strdup(name);
	change->drafts = g_ptr_array_new_with_free_func(draft_free);
	return change;
}

void proa_change_free(ProaChange *change)
{
	if (!change)
		return;
	g_free(change->name);
	g_ptr_array_unref(change->drafts);
	g_free(change);
}

static char *change_dir(const ProaChange *change)
{
	return g_build_filename(change->feed->dir, DRAFTS, change->name, NULL);
}

char *proa_change_path(const ProaChange *change, const char *role)
{
	g_autofree char *dir = change_dir(change), *name = g_strconcat(role, ".json", NULL);

	return g_build_filename(dir, name, NULL);
}

static void add_draft(ProaChange *change, const char *role, JsonObject *envelope_taken)
{
	ProaDraft *draft = g_new0(ProaDraft, 1);

	draft->role = g_strdup(role);
	draft->envelope = envelope_taken;
	g_ptr_array_add(change->drafts, draft);
}

ProaDraft *proa_change_find(const ProaChange *change, const char *role)
{
	for (guint i = 0; i < change->drafts->len; i++) {
		ProaDraft *draft = change->drafts->pdata[i];
		if (strcmp(draft->role, role) == 0)
			return draft;
	}
	return NULL;
}

/* --- kept on disk */

/* What is published of a role; NULL: nothing yet. */
static const ProaSigned *published(const ProaFeed *feed, const char *role)
{
	if (strcmp(role, "root") == 0)
		return feed->root ? feed->root->file : NULL;
	if (strcmp(role, "targets") == 0)
		return feed->targets ? feed->targets->file : NULL;
	const ProaTargets *channel = g_hash_table_lookup(feed->channels, role);
	return channel ? channel->file : NULL;
}

static gint64 version_of(const ProaFeed *feed, const char *role)
{
	const ProaSigned *now = published(feed, role);

	return now ? proa_json_int_or(now->content, "version", 0) : 0;
}

static ProaChange *load_one(const ProaFeed *feed, const char *name, GError **error)
{
	g_autoptr(ProaChange) change = proa_change_new(feed, name);
	g_autofree char *dir = change_dir(change);
	g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
	const char *file;

	while (entries && (file = g_dir_read_name(entries))) {
		if (!g_str_has_suffix(file, ".json"))
			continue;
		g_autofree char *path = g_build_filename(dir, file, NULL);
		g_autofree char *role = g_strndup(file, strlen(file) - strlen(".json"));
		JsonObject *envelope = proa_envelope_read(path, error);
		if (!envelope)
			return NULL;
		/* What is out, or was overtaken, was left by a crash. */
		if (proa_json_int_or(proa_envelope_content(envelope), "version", 0) <= version_of(feed, role))
			json_object_unref(envelope);
		else
			add_draft(change, role, envelope);
	}
	return entries ? g_steal_pointer(&change) : NULL;
}

static void change_release(gpointer data)
{
	proa_change_free(data);
}

GPtrArray *proa_changes_load(const ProaFeed *feed, GError **error)
{
	g_autoptr(GPtrArray) changes = g_ptr_array_new_with_free_func(change_release);
	g_autofree char *dir = g_build_filename(feed->dir, DRAFTS, NULL);
	g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
	const char *name;

	while (entries && (name = g_dir_read_name(entries))) {
		ProaChange *change = load_one(feed, name, error);
		if (!change)
			return NULL;
		if (change->drafts->len > 0)
			g_ptr_array_add(changes, change);
		else
			proa_change_free(change);
	}
	return g_steal_pointer(&changes);
}

gboolean proa_change_save(const ProaChange *change, GError **error)
{
	for (guint i = 0; i < change->drafts->len; i++) {
		const ProaDraft *draft = change->drafts->pdata[i];
		g_autofree char *path = proa_change_path(change, draft->role);
		g_autofree char *dir = g_path_get_dirname(path);
		g_autoptr(GBytes) bytes = proa_envelope_bytes(draft->envelope);
		gsize size;
		const void *data = g_bytes_get_data(bytes, &size);
		if (!proa_file_make_dirs(dir, error) || !proa_file_replace(path, data, size, 0644, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_change_drop(const ProaChange *change, GError **error)
{
	g_autofree char *dir = change_dir(change);

	for (guint i = 0; i < change->drafts->len; i++) {
		const ProaDraft *draft = change->drafts->pdata[i];
		g_autofree char *path = proa_change_path(change, draft->role);
		if (!proa_file_remove(path, error))
			return FALSE;
	}
	return rmdir(dir) == 0 || errno == ENOENT ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", dir);
}

/* --- editing */

static gboolean is_free(const ProaChange *change, const char *role, GError **error)
{
	g_autoptr(GPtrArray) others = proa_changes_load(change->feed, error);

	if (!others)
		return FALSE;
	for (guint i = 0; i < others->len; i++) {
		const ProaChange *other = others->pdata[i];
		if (proa_change_find(other, role))
			return proa_fail(error, PROA_REASON_BUSY,
				"the draft \"%s\" of %s waits for signatures: `proa-feed merge` brings them, `proa-feed drop` gives it up",
				other->name, role);
	}
	return TRUE;
}

static JsonObject *copy_object(JsonObject *object)
{
	g_autofree char *text = proa_json_to_line(object);

	return proa_json_parse(text, strlen(text), "metadata", PROA_REASON_BAD_METADATA, NULL);
}

static JsonObject *first_version(const char *role)
{
	JsonObject *content = json_object_new();
	gboolean root = strcmp(role, "root") == 0;

	json_object_set_string_member(content, "_type", root ? "root" : "targets");
	json_object_set_int_member(content, "version", 0);
	if (root)
		json_object_set_boolean_member(content, "consistent_snapshot", TRUE);
	else
		json_object_set_object_member(content, "targets", json_object_new());
	return content;
}

JsonObject *proa_change_edit(ProaChange *change, const char *role, gint64 lifetime, GError **error)
{
	ProaDraft *draft = proa_change_find(change, role);
	const ProaSigned *now = published(change->feed, role);

	if (draft)
		return proa_envelope_content(draft->envelope);
	if (!is_free(change, role, error))
		return NULL;
	g_autoptr(JsonObject) content = now ? copy_object(now->content) : first_version(role);
	g_autofree char *expires = proa_role_time_format(g_get_real_time() / G_USEC_PER_SEC + lifetime);
	json_object_set_int_member(content, "version", proa_json_int_or(content, "version", 0) + 1);
	json_object_set_string_member(content, "spec_version", SPEC_VERSION);
	json_object_set_string_member(content, "expires", expires);
	add_draft(change, role, proa_envelope_new(content));
	return content; /* the envelope holds it */
}

/* The bytes of a role as it will be. */
static GBytes *bytes_of(const ProaChange *change, const char *role, GError **error)
{
	const ProaDraft *draft = proa_change_find(change, role);
	const ProaSigned *now = published(change->feed, role);

	if (draft)
		return proa_envelope_bytes(draft->envelope);
	if (now)
		return g_bytes_ref(now->bytes);
	proa_fail(error, PROA_REASON_BAD_STATE, "the feed has no %s metadata", role);
	return NULL;
}

ProaRoot *proa_change_root(const ProaChange *change, GError **error)
{
	g_autoptr(GBytes) bytes = bytes_of(change, "root", error);

	return bytes ? proa_root_parse(bytes, "the new root", error) : NULL;
}

ProaTargets *proa_change_targets(const ProaChange *change, GError **error)
{
	g_autoptr(GBytes) bytes = bytes_of(change, "targets", error);

	return bytes ? proa_targets_parse(bytes, "the new targets", error) : NULL;
}

/* --- signatures */

static ProaRoleKeys *copy_keys(const ProaRoleKeys *keys)
{
	ProaRoleKeys *copy = g_new0(ProaRoleKeys, 1);

	copy->keys = g_ptr_array_new_with_free_func((GDestroyNotify)proa_key_unref);
	copy->threshold = keys->threshold;
	for (guint i = 0; i < keys->keys->len; i++)
		g_ptr_array_add(copy->keys, proa_key_ref(keys->keys->pdata[i]));
	return copy;
}

ProaRoleKeys *proa_change_role_keys(const ProaRoot *root, const ProaTargets *targets, const char *role)
{
	for (ProaRole i = 0; i < _PROA_ROLE_MAX; i++)
		if (strcmp(role, proa_role_to_string(i)) == 0)
			return copy_keys(root->roles[i]);
	g_autoptr(GPtrArray) delegates =
		targets && targets->delegations ? proa_delegations_all(targets->delegations) : NULL;
	for (guint i = 0; delegates && i < delegates->len; i++) {
		const ProaDelegate *delegate = delegates->pdata[i];
		if (strcmp(delegate->name, role) == 0)
			return copy_keys(delegate->keys);
	}
	return NULL;
}

static void keys_release(gpointer data)
{
	proa_role_keys_free(data);
}

/* The keys that have a say in the draft of @role: [0] of the role as it will be, [1] of the old one (or
 * NULL). */
static GPtrArray *keys_for(const ProaChange *change, const char *role, GError **error)
{
	g_autoptr(GPtrArray) roles = g_ptr_array_new_with_free_func(keys_release);
	const ProaFeed *feed = change->feed;
	g_autoptr(ProaRoot) root = proa_change_root(change, error);
	g_autoptr(ProaTargets) targets = root ? proa_change_targets(change, error) : NULL;
	ProaRoleKeys *now = targets ? proa_change_role_keys(root, targets, role) : NULL;

	if (!targets)
		return NULL;
	if (!now) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "the feed has no role \"%s\"", role);
		return NULL;
	}
	g_ptr_array_add(roles, now);
	g_ptr_array_add(roles, feed->root ? proa_change_role_keys(feed->root, feed->targets, role) : NULL);
	return g_steal_pointer(&roles);
}

gboolean proa_change_sign(ProaChange *change, const GPtrArray *signers, GError **error)
{
	for (guint i = 0; i < change->drafts->len; i++) {
		ProaDraft *draft = change->drafts->pdata[i];
		g_autoptr(GPtrArray) roles = keys_for(change, draft->role, error);
		if (!roles || !proa_envelope_sign(draft->envelope, signers, roles, NULL, error)) {
			g_prefix_error(error, "%s: ", draft->role);
			return FALSE;
		}
	}
	return TRUE;
}

gboolean proa_change_merge(ProaChange *change, JsonObject *envelope, gboolean *ret_taken, guint *ret_added,
	guint *ret_worthless, GError **error)
{
	*ret_taken = FALSE;
	for (guint i = 0; i < change->drafts->len; i++) {
		ProaDraft *draft = change->drafts->pdata[i];
		if (!proa_envelope_same(draft->envelope, envelope))
			continue;
		g_autoptr(GPtrArray) roles = keys_for(change, draft->role, error);
		if (!roles)
			return FALSE;
		*ret_added = proa_envelope_merge(draft->envelope, envelope, roles, ret_worthless);
		*ret_taken = TRUE;
	}
	return TRUE;
}

static void add_need(GPtrArray *needs, const ProaDraft *draft, const ProaSigned *file,
	const ProaRoleKeys *keys, const char *by)
{
	guint have = keys ? proa_signed_count(file, keys) : 0;

	if (!keys || have >= keys->threshold)
		return;
	ProaNeed *need = g_new0(ProaNeed, 1);
	need->role = g_strdup(draft->role);
	need->by = g_strdup(by);
	need->have = have;
	need->threshold = keys->threshold;
	g_ptr_array_add(needs, need);
}

GPtrArray *proa_change_needs(const ProaChange *change, GError **error)
{
	g_autoptr(GPtrArray) needs = g_ptr_array_new_with_free_func(need_free);

	for (guint i = 0; i < change->drafts->len; i++) {
		const ProaDraft *draft = change->drafts->pdata[i];
		g_autoptr(GPtrArray) keys = keys_for(change, draft->role, error);
		g_autoptr(GBytes) bytes = proa_envelope_bytes(draft->envelope);
		g_autoptr(ProaSigned) file =
			keys ? proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, draft->role, error) : NULL;
		if (!file)
			return NULL;
		add_need(needs, draft, file, keys->pdata[0], draft->role);
		/* A root is the only one that its predecessor must agree to (TUF 5.3.4). */
		if (strcmp(draft->role, "root") == 0)
			add_need(needs, draft, file, keys->pdata[1], "the old root");
	}
	return g_steal_pointer(&needs);
}

gboolean proa_change_fail(const GPtrArray *needs, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < needs->len; i++) {
		const ProaNeed *need = needs->pdata[i];
		g_string_append_printf(text, "%s%s is signed by %u of the %u keys of %s that must sign",
			i ? "; " : "", need->role, need->have, need->threshold, need->by);
	}
	return proa_fail(error, PROA_REASON_NOT_FOUND, "%s", text->str);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/keyset.h"

#include "base/file.h"

#include <string.h>

#define MAX_PUBLIC_KEYS 64
#define MIN_ID_PREFIX 8
#define PUBLIC_FORMAT "proa-public-keys"

static void object_release(gpointer data)
{
	json_object_unref(data);
}

ProaKeyset *proa_keyset_new(void)
{
	ProaKeyset *keyset = g_new0(ProaKeyset, 1);

	keyset->ids = g_ptr_array_new_with_free_func(g_free);
	keyset->objects = g_ptr_array_new_with_free_func(object_release);
	keyset->threshold = 1;
	return keyset;
}

void proa_keyset_free(ProaKeyset *keyset)
{
	if (!keyset)
		return;
	g_ptr_array_unref(keyset->ids);
	g_ptr_array_unref(keyset->objects);
	g_free(keyset);
}

static void append(ProaKeyset *keyset, const char *id, JsonObject *object)
{
	if (g_ptr_array_find_with_equal_func(keyset->ids, id, g_str_equal, NULL))
		return;
	g_ptr_array_add(keyset->ids, g_strdup(id));
	g_ptr_array_add(keyset->objects, json_object_ref(object));
}

ProaKeyset *proa_keyset_copy(const ProaKeyset *keyset)
{
	ProaKeyset *copy = proa_keyset_new();

	copy->threshold = keyset->threshold;
	for (guint i = 0; i < keyset->ids->len; i++)
		append(copy, keyset->ids->pdata[i], keyset->objects->pdata[i]);
	return copy;
}

gboolean proa_keyset_add(ProaKeyset *keyset, JsonObject *object, GError **error)
{
	g_autofree char *id = proa_signer_keyid_of(object, error);
	g_autoptr(ProaKey) key = id ? proa_key_new(id, object, error) : NULL;

	if (!key)
		return FALSE;
	if (!proa_key_identity(key))
		return proa_fail(error, PROA_REASON_BAD_METADATA, "no node would accept the key %s", id);
	append(keyset, id, object);
	return TRUE;
}

gboolean proa_keyset_add_signers(ProaKeyset *keyset, const GPtrArray *signers, GError **error)
{
	for (guint i = 0; i < signers->len; i++)
		if (!proa_keyset_add(keyset, proa_signer_public(signers->pdata[i]), error))
			return FALSE;
	return TRUE;
}

gboolean proa_keyset_parse_public(
	ProaKeyset *keyset, const char *text, gsize size, const char *what, GError **error)
{
	if (size > PROA_KEYSET_MAX_PUBLIC)
		return proa_fail(
			error, PROA_REASON_TOO_LARGE, "%s is over %zu bytes", what, PROA_KEYSET_MAX_PUBLIC);
	g_autoptr(JsonObject) file = proa_json_parse(text, size, what, PROA_REASON_BAD_METADATA, NULL);
	JsonArray *keys = file ? proa_json_array_or_null(file, "keys") : NULL;
	guint count = keys ? json_array_get_length(keys) : 0;

	if (count == 0 || strcmp(proa_json_string_or(file, "format", ""), PUBLIC_FORMAT) != 0)
		return proa_fail(error, PROA_REASON_BAD_METADATA,
			"%s holds no public keys (`proa-feed key` writes them, as FILE.pub)", what);
	if (count > MAX_PUBLIC_KEYS)
		return proa_fail(
			error, PROA_REASON_BAD_METADATA, "%s holds more than %d keys", what, MAX_PUBLIC_KEYS);
	for (guint i = 0; i < count; i++) {
		JsonNode *node = json_array_get_element(keys, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return proa_fail(error, PROA_REASON_BAD_METADATA, "%s: a key is not an object", what);
		if (!proa_keyset_add(keyset, json_node_get_object(node), error)) {
			g_prefix_error(error, "%s: ", what);
			return FALSE;
		}
	}
	return TRUE;
}

gboolean proa_keyset_add_public(ProaKeyset *keyset, const char *path, GError **error)
{
	gsize size;
	g_autofree char *text = proa_file_read(path, PROA_KEYSET_MAX_PUBLIC, &size, error);

	return text && proa_keyset_parse_public(keyset, text, size, path, error);
}

gboolean proa_keyset_write_public(const ProaKeyset *keyset, const char *path, GError **error)
{
	g_autoptr(JsonObject) file = json_object_new();
	JsonArray *keys = json_array_new();

	json_object_set_string_member(file, "format", PUBLIC_FORMAT);
	for (guint i = 0; i < keyset->objects->len; i++)
		json_array_add_object_element(keys, json_object_ref(keyset->objects->pdata[i]));
	json_object_set_array_member(file, "keys", keys);
	g_autofree char *text = proa_json_to_text(file);
	return proa_file_replace(path, text, strlen(text), 0644, error);
}

static gboolean remove_one(ProaKeyset *keyset, const char *prefix, GError **error)
{
	guint found = 0, at = 0;

	for (guint i = 0; i < keyset->ids->len; i++) {
		if (!g_str_has_prefix(keyset->ids->pdata[i], prefix))
			continue;
		found++;
		at = i;
	}
	if (strlen(prefix) < MIN_ID_PREFIX || found != 1)
		return proa_fail(error, PROA_REASON_NOT_FOUND,
			"%u keys of the role have an id that begins with \"%s\" (`proa-feed list` tells the ids; give %d digits or more)",
			found, prefix, MIN_ID_PREFIX);
	g_ptr_array_remove_index(keyset->ids, at);
	g_ptr_array_remove_index(keyset->objects, at);
	return TRUE;
}

gboolean proa_keyset_remove(ProaKeyset *keyset, const char *which, GError **error)
{
	g_autoptr(ProaKeyset) file = proa_keyset_new();

	if (strspn(which, "0123456789abcdef") == strlen(which) || !g_file_test(which, G_FILE_TEST_EXISTS))
		return remove_one(keyset, which, error);
	if (!proa_keyset_add_public(file, which, error))
		return FALSE;
	for (guint i = 0; i < file->ids->len; i++)
		if (!remove_one(keyset, file->ids->pdata[i], error)) {
			g_prefix_error(error, "%s: ", which);
			return FALSE;
		}
	return TRUE;
}

static guint count_quantum(const ProaKeyset *keyset)
{
	guint quantum = 0;

	for (guint i = 0; i < keyset->objects->len; i++)
		quantum +=
			strcmp(proa_json_string_or(keyset->objects->pdata[i], "keytype", ""), "ml-dsa") == 0;
	return quantum;
}

guint proa_keyset_holders(const ProaKeyset *keyset)
{
	guint quantum = count_quantum(keyset);

	return MAX(quantum, keyset->objects->len - quantum);
}

gboolean proa_keyset_set_holders(ProaKeyset *keyset, guint holders, GError **error)
{
	guint quantum = count_quantum(keyset), classical = keyset->objects->len - quantum;
	guint all = MAX(quantum, classical);

	if (holders < 1 || holders > all)
		return proa_fail(error, PROA_REASON_USAGE,
			"%u of %u holders cannot sign: say how many must with --threshold", holders, all);
	if (quantum == 0 || classical == 0) {
		keyset->threshold = holders;
		return TRUE;
	}
	if (quantum != classical)
		return proa_fail(error, PROA_REASON_USAGE,
			"that leaves %u classical and %u ML-DSA keys: a hybrid holder has one of each and comes or goes with both (a file of public keys names both)",
			classical, quantum);
	if (2 * holders <= all)
		return proa_fail(error, PROA_REASON_USAGE,
			"of holders with hybrid keys more than half must sign, not %u of %u: otherwise keys of one kind would be enough (--threshold %u)",
			holders, all, all / 2 + 1);
	keyset->threshold = MAX(2 * holders, all + 1);
	return TRUE;
}

/* {"keyids", "threshold"} of the keyset, into @role. */
static void describe(const ProaKeyset *keyset, JsonObject *role)
{
	JsonArray *ids = json_array_new();

	for (guint i = 0; i < keyset->ids->len; i++)
		json_array_add_string_element(ids, keyset->ids->pdata[i]);
	json_object_set_array_member(role, "keyids", ids);
	json_object_set_int_member(role, "threshold", keyset->threshold);
}

/* The keyset that @role describes with the keys in @keys. */
static ProaKeyset *read_role(JsonObject *role, JsonObject *keys, GError **error)
{
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	gint64 threshold;
	JsonArray *ids = proa_json_array(role, "keyids", PROA_REASON_BAD_METADATA, error);

	if (!ids ||
		!proa_json_int(role, "threshold", 1, G_MAXINT32, &threshold, PROA_REASON_BAD_METADATA, error))
		return NULL;
	keyset->threshold = (guint)threshold;
	for (guint i = 0; i < json_array_get_length(ids); i++) {
		const char *id = json_array_get_string_element(ids, i);
		JsonObject *object = id ? proa_json_object_or_null(keys, id) : NULL;
		if (object)
			append(keyset, id, object);
	}
	return g_steal_pointer(&keyset);
}

static void note_ids(GHashTable *used, JsonObject *role)
{
	JsonArray *ids = role ? proa_json_array_or_null(role, "keyids") : NULL;

	for (guint i = 0; ids && i < json_array_get_length(ids); i++)
		g_hash_table_add(used, (gpointer)(guintptr)json_array_get_string_element(ids, i));
}

/* Adds the keyset's keys to @keys, and removes those that no role of @used lists. */
static void update_keys(const ProaKeyset *keyset, JsonObject *keys, GHashTable *used)
{
	g_autoptr(GList) names = json_object_get_members(keys);

	for (GList *name = names; name; name = name->next)
		if (!g_hash_table_contains(used, name->data))
			json_object_remove_member(keys, name->data);
	for (guint i = 0; i < keyset->ids->len; i++)
		json_object_set_object_member(
			keys, keyset->ids->pdata[i], json_object_ref(keyset->objects->pdata[i]));
}

/* An object member, made if it is not there. */
static JsonObject *member_of(JsonObject *object, const char *name)
{
	JsonObject *member = proa_json_object_or_null(object, name);

	if (member)
		return member;
	member = json_object_new();
	json_object_set_object_member(object, name, member);
	return member;
}

ProaKeyset *proa_keyset_of_root(JsonObject *content, const char *role, GError **error)
{
	JsonObject *roles = proa_json_object(content, "roles", PROA_REASON_BAD_METADATA, error);
	JsonObject *object = roles ? proa_json_object(roles, role, PROA_REASON_BAD_METADATA, error) : NULL;

	return object ? read_role(object, member_of(content, "keys"), error) : NULL;
}

void proa_keyset_to_root(const ProaKeyset *keyset, JsonObject *content, const char *role)
{
	JsonObject *roles = member_of(content, "roles");
	g_autoptr(GHashTable) used = g_hash_table_new(g_str_hash, g_str_equal);

	describe(keyset, member_of(roles, role));
	g_autoptr(GList) names = json_object_get_members(roles);
	for (GList *name = names; name; name = name->next)
		note_ids(used, proa_json_object_or_null(roles, name->data));
	update_keys(keyset, member_of(content, "keys"), used);
}

/* The delegation to @name in the list @roles, or NULL. */
static JsonObject *find_delegation(JsonArray *roles, const char *name)
{
	for (guint i = 0; roles && i < json_array_get_length(roles); i++) {
		JsonObject *role = json_array_get_object_element(roles, i);
		if (strcmp(proa_json_string_or(role, "name", ""), name) == 0)
			return role;
	}
	return NULL;
}

ProaKeyset *proa_keyset_of_targets(JsonObject *content, const char *name, GError **error)
{
	gboolean tokens = strcmp(name, PROA_BREAK_GLASS) == 0;
	JsonObject *holder = proa_json_object_or_null(content, tokens ? "proa" : "delegations");
	JsonObject *role = NULL, *keys = NULL;

	if (holder && tokens) {
		role = proa_json_object_or_null(holder, PROA_BREAK_GLASS);
		keys = role ? proa_json_object_or_null(role, "keys") : NULL;
	} else if (holder) {
		role = find_delegation(proa_json_array_or_null(holder, "roles"), name);
		keys = proa_json_object_or_null(holder, "keys");
	}
	if (role && keys)
		return read_role(role, keys, error);
	proa_fail(error, PROA_REASON_NOT_FOUND, "the feed has no channel \"%s\"", name);
	return NULL;
}

static JsonObject *new_delegation(JsonArray *roles, const char *channel)
{
	JsonObject *role = json_object_new();
	JsonArray *paths = json_array_new();
	g_autofree char *path = g_strdup_printf("%s/*/manifest.json", channel);

	json_object_set_string_member(role, "name", channel);
	json_object_set_boolean_member(role, "terminating", TRUE);
	json_array_add_string_element(paths, path);
	json_object_set_array_member(role, "paths", paths);
	json_array_add_object_element(roles, role);
	return role;
}

void proa_keyset_to_targets(const ProaKeyset *keyset, JsonObject *content, const char *name)
{
	g_autoptr(GHashTable) used = g_hash_table_new(g_str_hash, g_str_equal);

	if (strcmp(name, PROA_BREAK_GLASS) == 0) {
		JsonObject *role = member_of(member_of(content, "proa"), PROA_BREAK_GLASS);
		describe(keyset, role);
		update_keys(keyset, member_of(role, "keys"), used);
		return;
	}
	JsonObject *delegations = member_of(content, "delegations");
	JsonArray *roles = proa_json_array_or_null(delegations, "roles");
	if (!roles) {
		roles = json_array_new();
		json_object_set_array_member(delegations, "roles", roles);
	}
	JsonObject *role = find_delegation(roles, name);
	describe(keyset, role ? role : new_delegation(roles, name));
	for (guint i = 0; i < json_array_get_length(roles); i++)
		note_ids(used, json_array_get_object_element(roles, i));
	update_keys(keyset, member_of(delegations, "keys"), used);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/signed.h"

#include "base/digest.h"
#include "updater/trust/canonical.h"

#include <string.h>

typedef struct {
	char *keyid;
	GBytes *bytes;
} Signature;

static void signature_free(gpointer data)
{
	Signature *signature = data;

	g_free(signature->keyid);
	g_bytes_unref(signature->bytes);
	g_free(signature);
}

static void key_release(gpointer data)
{
	proa_key_unref(data);
}

GHashTable *proa_keys_parse(JsonObject *keys, GError **error)
{
	g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, key_release);
	g_autoptr(GList) ids = json_object_get_members(keys);

	if (json_object_get_size(keys) > PROA_SIGNED_MAX_KEYS) {
		proa_fail(error, PROA_REASON_BAD_METADATA, "more than %d keys", PROA_SIGNED_MAX_KEYS);
		return NULL;
	}
	for (GList *id = ids; id; id = id->next) {
		JsonObject *object = proa_json_object(keys, id->data, PROA_REASON_BAD_METADATA, error);
		ProaKey *key = object ? proa_key_new(id->data, object, error) : NULL;
		if (!key)
			return NULL;
		g_hash_table_insert(table, g_strdup(id->data), key);
	}
	return g_steal_pointer(&table);
}

ProaRoleKeys *proa_role_keys_new(JsonObject *role, GHashTable *keys, GError **error)
{
	gint64 threshold;
	JsonArray *ids = proa_json_array(role, "keyids", PROA_REASON_BAD_METADATA, error);

	if (!ids ||
		!proa_json_int(role, "threshold", 1, G_MAXINT32, &threshold, PROA_REASON_BAD_METADATA, error))
		return NULL;

	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(ProaRoleKeys) result = g_new0(ProaRoleKeys, 1);
	result->keys = g_ptr_array_new_with_free_func(key_release);
	result->threshold = (guint)threshold;
	for (guint i = 0; i < json_array_get_length(ids); i++) {
		JsonNode *node = json_array_get_element(ids, i);
		const char *id = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
		if (!id) {
			proa_fail(error, PROA_REASON_BAD_METADATA, "a key id is not a string");
			return NULL;
		}
		if (!g_hash_table_add(seen, (gpointer)(guintptr)id)) {
			proa_fail(error, PROA_REASON_BAD_METADATA, "the key id %s comes twice", id);
			return NULL;
		}
		ProaKey *key = g_hash_table_lookup(keys, id);
		if (key)
			g_ptr_array_add(result->keys, proa_key_ref(key));
	}
	return g_steal_pointer(&result);
}

void proa_role_keys_free(ProaRoleKeys *role)
{
	if (!role)
		return;
	g_clear_pointer(&role->keys, g_ptr_array_unref);
	g_free(role);
}

/* Hexadecimal of either case to bytes; NULL if it is empty, too long or something else. */
static GBytes *signature_bytes(const char *hex)
{
	gsize length = strlen(hex), size = length / 2;

	if (length == 0 || length % 2 != 0 || size > PROA_SIGNED_MAX_SIGNATURE_SIZE)
		return NULL;
	g_autofree guint8 *bytes = g_malloc(size);
	if (!proa_hex_decode(hex, bytes, size))
		return NULL;
	return g_bytes_new_take(g_steal_pointer(&bytes), size);
}

static gboolean parse_signature(ProaSigned *file, JsonNode *node, GHashTable *seen, GError **error)
{
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return proa_fail(error, PROA_REASON_BAD_METADATA, "a signature is not an object");
	JsonObject *object = json_node_get_object(node);
	const char *keyid = proa_json_string(object, "keyid", PROA_REASON_BAD_METADATA, error);
	const char *hex = keyid ? proa_json_string(object, "sig", PROA_REASON_BAD_METADATA, error) : NULL;
	if (!hex)
		return FALSE;
	/* TUF 4.2: "multiple signatures with the same keyid are not allowed", whether or not they would
	 * count. */
	if (!g_hash_table_add(seen, (gpointer)(guintptr)keyid))
		return proa_fail(error, PROA_REASON_BAD_METADATA, "two signatures of the key id %s", keyid);
	GBytes *bytes = signature_bytes(hex);
	if (!bytes)
		return TRUE;
	Signature *signature = g_new0(Signature, 1);
	signature->keyid = g_strdup(keyid);
	signature->bytes = bytes;
	g_ptr_array_add(file->signatures, signature);
	return TRUE;
}

static gboolean parse_signatures(ProaSigned *file, JsonArray *list, GError **error)
{
	guint count = json_array_get_length(list);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal); /* key ids */

	if (count > PROA_SIGNED_MAX_SIGNATURES)
		return proa_fail(error, PROA_REASON_BAD_METADATA, "more than %d signatures",
			PROA_SIGNED_MAX_SIGNATURES);
	for (guint i = 0; i < count; i++)
		if (!parse_signature(file, json_array_get_element(list, i), seen, error))
			return FALSE;
	return TRUE;
}

ProaSigned *proa_signed_parse(GBytes *bytes, gsize max, const char *what, GError **error)
{
	gsize size;
	const char *text = g_bytes_get_data(bytes, &size);
	g_autoptr(ProaSigned) file = g_new0(ProaSigned, 1);
	g_autoptr(JsonObject) envelope = NULL;

	if (size > max) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "%s is over %" G_GSIZE_FORMAT " bytes", what, max);
		return NULL;
	}
	if (!proa_canonical_parse(text ? text : "", size, what, "signed", &envelope, &file->canonical, error))
		return NULL;
	file->bytes = g_bytes_ref(bytes);
	file->signatures = g_ptr_array_new_with_free_func(signature_free);
	JsonObject *content = proa_json_object(envelope, "signed", PROA_REASON_BAD_METADATA, error);
	JsonArray *list =
		content ? proa_json_array(envelope, "signatures", PROA_REASON_BAD_METADATA, error) : NULL;
	if (!list || !parse_signatures(file, list, error)) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	file->content = json_object_ref(content);
	return g_steal_pointer(&file);
}

void proa_signed_free(ProaSigned *file)
{
	if (!file)
		return;
	g_clear_pointer(&file->bytes, g_bytes_unref);
	g_clear_pointer(&file->content, json_object_unref);
	g_clear_pointer(&file->canonical, g_bytes_unref);
	g_clear_pointer(&file->signatures, g_ptr_array_unref);
	g_free(file);
}

gboolean proa_signed_by(const ProaSigned *file, const ProaKey *key)
{
	for (guint i = 0; i < file->signatures->len; i++) {
		const Signature *signature = g_ptr_array_index(file->signatures, i);
		if (strcmp(signature->keyid, proa_key_id(key)) == 0 &&
			proa_key_verify(key, file->canonical, signature->bytes))
			return TRUE;
	}
	return FALSE;
}

guint proa_signed_count(const ProaSigned *file, const ProaRoleKeys *role)
{
	g_autoptr(GHashTable) good = g_hash_table_new(g_str_hash, g_str_equal); /* identities */

	for (guint i = 0; i < role->keys->len && g_hash_table_size(good) < role->threshold; i++) {
		const ProaKey *key = g_ptr_array_index(role->keys, i);
		const char *identity = proa_key_identity(key);
		if (identity && !g_hash_table_contains(good, identity) && proa_signed_by(file, key))
			g_hash_table_add(good, (gpointer)(guintptr)identity);
	}
	return g_hash_table_size(good);
}

gboolean proa_signed_check(const ProaSigned *file, const ProaRoleKeys *role, const char *what, GError **error)
{
	guint count = proa_signed_count(file, role);

	return count >= role->threshold ||
	       proa_fail(error, PROA_REASON_BAD_SIGNATURE,
		       "%s is signed by %u of the %u keys that must have signed it", what, count,
		       role->threshold);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/envelope.h"

#include "base/file.h"
#include "updater/trust/canonical.h"

#include <string.h>

JsonObject *proa_envelope_new(JsonObject *content)
{
	JsonObject *envelope = json_object_new();

	json_object_set_array_member(envelope, "signatures", json_array_new());
	json_object_set_object_member(envelope, "signed", json_object_ref(content));
	return envelope;
}

JsonObject *proa_envelope_content(JsonObject *envelope)
{
	return json_object_get_object_member(envelope, "signed");
}

JsonObject *proa_envelope_read(const char *path, GError **error)
{
	gsize size;
	char *text = proa_file_read(path, PROA_ENVELOPE_MAX_SIZE, &size, error);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;
	/* What it looks like is checked as a client does; what it means is for whoever asked. */
	g_autoptr(ProaSigned) file =
		bytes ? proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, path, error) : NULL;

	return file ? proa_json_parse(text, size, path, PROA_REASON_BAD_METADATA, error) : NULL;
}

GBytes *proa_envelope_bytes(JsonObject *envelope)
{
	char *text = proa_json_to_line(envelope);

	return g_bytes_new_take(text, strlen(text));
}

gboolean proa_envelope_same(JsonObject *a, JsonObject *b)
{
	g_autoptr(GBytes) one = proa_canonical_encode(proa_envelope_content(a), NULL);
	g_autoptr(GBytes) other = proa_canonical_encode(proa_envelope_content(b), NULL);

	return one && other && g_bytes_equal(one, other);
}

static JsonArray *signatures_of(JsonObject *envelope)
{
	return json_object_get_array_member(envelope, "signatures");
}

/* The signature under an id, or NULL. */
static JsonObject *find_signature(JsonObject *envelope, const char *keyid)
{
	JsonArray *list = signatures_of(envelope);

	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *signature = json_array_get_object_element(list, i);
		if (g_strcmp0(proa_json_string_or(signature, "keyid", NULL), keyid) == 0)
			return signature;
	}
	return NULL;
}

/* Whether a good signature of the key is there, under the id that the key is listed under. */
static gboolean is_signed_by(JsonObject *envelope, const ProaKey *key)
{
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, "the envelope", NULL);

	return file && proa_signed_by(file, key);
}

static void remove_signatures(JsonObject *envelope, const char *keyid)
{
	JsonArray *list = signatures_of(envelope);

	for (guint i = json_array_get_length(list); i > 0; i--) {
		JsonObject *signature = json_array_get_object_element(list, i - 1);
		if (g_strcmp0(proa_json_string_or(signature, "keyid", NULL), keyid) == 0)
			json_array_remove_element(list, i - 1);
	}
}

/* Signs as @key, in place of what stands under its id and is worth nothing. */
static gboolean add_signature(JsonObject *envelope, const ProaSigner *signer, const ProaKey *key,
	GBytes *canonical, guint *added, GError **error)
{
	if (is_signed_by(envelope, key))
		return TRUE;
	g_autofree char *hex = proa_signer_sign(signer, canonical, error);
	if (!hex)
		return FALSE;
	remove_signatures(envelope, proa_key_id(key));
	JsonObject *signature = json_object_new();
	json_object_set_string_member(signature, "keyid", proa_key_id(key));
	json_object_set_string_member(signature, "sig", hex);
	json_array_add_object_element(signatures_of(envelope), signature);
	(*added)++;
	return TRUE;
}

/* The signer's key as one of @roles lists it, or NULL. */
static const ProaKey *key_in_roles(const ProaSigner *signer, const GPtrArray *roles)
{
	for (guint i = 0; i < roles->len; i++) {
		const ProaRoleKeys *role = roles->pdata[i];
		for (guint j = 0; role && j < role->keys->len; j++)
			if (g_strcmp0(proa_key_identity(role->keys->pdata[j]),
				    proa_signer_identity(signer)) == 0)
				return role->keys->pdata[j];
	}
	return NULL;
}

gboolean proa_envelope_sign(JsonObject *envelope, const GPtrArray *signers, const GPtrArray *roles,
	guint *ret_added, GError **error)
{
	g_autoptr(GBytes) canonical = proa_canonical_encode(proa_envelope_content(envelope), error);
	guint added = 0;

	if (!canonical)
		return FALSE;
	for (guint i = 0; i < signers->len; i++) {
		const ProaKey *key = key_in_roles(signers->pdata[i], roles);
		if (key && !add_signature(envelope, signers->pdata[i], key, canonical, &added, error))
			return FALSE;
	}
	if (ret_added)
		*ret_added = added;
	return TRUE;
}

/* The signer's key as a root or targets lists it, or under its own id. */
static ProaKey *key_in_content(const ProaSigner *signer, JsonObject *content, GError **error)
{
	JsonObject *keys = proa_json_object_or_null(content, "keys");
	g_autoptr(GList) names = keys ? json_object_get_members(keys) : NULL;

	for (GList *name = names; name; name = name->next) {
		JsonObject *object = proa_json_object_or_null(keys, name->data);
		g_autoptr(ProaKey) key = object ? proa_key_new(name->data, object, NULL) : NULL;
		if (key && g_strcmp0(proa_key_identity(key), proa_signer_identity(signer)) == 0)
			return g_steal_pointer(&key);
	}
	return proa_key_new(proa_signer_keyid(signer), proa_signer_public(signer), error);
}

gboolean proa_envelope_sign_all(
	JsonObject *envelope, const GPtrArray *signers, guint *ret_added, GError **error)
{
	JsonObject *content = proa_envelope_content(envelope);
	g_autoptr(GBytes) canonical = proa_canonical_encode(content, error);

	*ret_added = 0;
	if (!canonical)
		return FALSE;
	for (guint i = 0; i < signers->len; i++) {
		const ProaSigner *signer = signers->pdata[i];
		g_autoptr(ProaKey) key = key_in_content(signer, content, error);
		if (!key || !add_signature(envelope, signer, key, canonical, ret_added, error))
			return FALSE;
	}
	return TRUE;
}

guint proa_envelope_merge(JsonObject *into, JsonObject *from, const GPtrArray *roles, guint *ret_worthless)
{
	g_autoptr(GBytes) bytes = proa_envelope_bytes(from);
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, "the envelope", NULL);
	g_autoptr(GHashTable) good = g_hash_table_new(g_str_hash, g_str_equal);
	guint added = 0;

	for (guint i = 0; file && i < roles->len; i++) {
		const ProaRoleKeys *role = roles->pdata[i];
		for (guint j = 0; role && j < role->keys->len; j++) {
			const ProaKey *key = role->keys->pdata[j];
			const char *id = proa_key_id(key);
			if (g_hash_table_contains(good, id) || !proa_signed_by(file, key))
				continue;
			g_hash_table_add(good, (gpointer)(guintptr)id);
			if (is_signed_by(into, key))
				continue;
			remove_signatures(into, id);
			json_array_add_object_element(
				signatures_of(into), json_object_ref(find_signature(from, id)));
			added++;
		}
	}
	*ret_worthless = json_array_get_length(signatures_of(from)) - g_hash_table_size(good);
	return added;
}

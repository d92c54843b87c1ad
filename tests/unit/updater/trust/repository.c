/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/updater/trust/repository.h"

#include "base/digest.h"
#include "updater/trust/canonical.h"
#include "updater/trust/store.h"

#include <openssl/evp.h>
#include <string.h>

#define YEAR ((gint64)365 * 24 * 60 * 60)

TestKey *test_key_new(guint8 number)
{
	TestKey *key = g_new0(TestKey, 1);
	guint8 public[32];
	gsize size = sizeof public;

	memset(key->seed, number, sizeof key->seed);
	EVP_PKEY *private = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed, sizeof key->seed);
	g_assert_cmpint(EVP_PKEY_get_raw_public_key(private, public, &size), ==, 1);
	EVP_PKEY_free(private);

	g_autofree char *hex = proa_hex_encode(public, size);
	JsonObject *value = json_object_new();
	json_object_set_string_member(value, "public", hex);
	key->object = json_object_new();
	json_object_set_string_member(key->object, "keytype", "ed25519");
	json_object_set_string_member(key->object, "scheme", "ed25519");
	json_object_set_object_member(key->object, "keyval", value);
	key->id = proa_sha256_hex(hex, strlen(hex)); /* any unique id will do */
	return key;
}

void test_key_free(TestKey *key)
{
	if (!key)
		return;
	g_free(key->id);
	json_object_unref(key->object);
	g_free(key);
}

char *test_key_sign(const TestKey *key, GBytes *message)
{
	EVP_PKEY *private = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed, sizeof key->seed);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	guint8 signature[64];
	gsize signature_size = sizeof signature, size;
	const guint8 *data = g_bytes_get_data(message, &size);

	g_assert_cmpint(EVP_DigestSignInit(context, NULL, NULL, NULL, private), ==, 1);
	g_assert_cmpint(EVP_DigestSign(context, signature, &signature_size, data, size), ==, 1);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(private);
	return proa_hex_encode(signature, signature_size);
}

GBytes *repository_sign(const Repository *repository, JsonObject *content, const int *signing)
{
	g_autoptr(JsonObject) envelope = json_object_new();
	JsonArray *signatures = json_array_new();
	g_autoptr(GBytes) canonical = proa_canonical_encode(content, NULL);

	for (; *signing >= 0; signing++) {
		const TestKey *key = repository->keys[*signing];
		g_autofree char *hex = test_key_sign(key, canonical);
		JsonObject *signature = json_object_new();
		json_object_set_string_member(signature, "keyid", key->id);
		json_object_set_string_member(signature, "sig", hex);
		json_array_add_object_element(signatures, signature);
	}
	json_object_set_array_member(envelope, "signatures", signatures);
	json_object_set_object_member(envelope, "signed", json_object_ref(content));
	char *text = proa_json_to_line(envelope);
	return g_bytes_new_take(text, strlen(text));
}

static void bytes_release(gpointer data)
{
	g_bytes_unref(data);
}

static void object_release(gpointer data)
{
	json_object_unref(data);
}

Repository *repository_new(void)
{
	Repository *repository = g_new0(Repository, 1);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;

	for (guint i = 0; i < G_N_ELEMENTS(repository->keys); i++)
		repository->keys[i] = test_key_new((guint8)i);
	for (int role = 0; role < _PROA_ROLE_MAX; role++) {
		repository->listed[role][0] = repository->signing[role][0] = role;
		repository->listed[role][1] = repository->signing[role][1] = -1;
		repository->threshold[role] = 1;
		repository->version[role] = 1;
		repository->expires[role] = now + YEAR;
	}
	repository->targets = json_object_new();
	repository->others = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, object_release);
	repository->other_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	repository->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, bytes_release);
	repository->requests = g_ptr_array_new_with_free_func(g_free);
	repository_add_target(repository->targets, "stable/1.0.0/manifest.json", "one");
	repository_publish_root(repository);
	repository_publish(repository);
	return repository;
}

void repository_free(Repository *repository)
{
	if (!repository)
		return;
	for (guint i = 0; i < G_N_ELEMENTS(repository->keys); i++)
		test_key_free(repository->keys[i]);
	json_object_unref(repository->targets);
	g_clear_pointer(&repository->delegations, json_object_unref);
	g_hash_table_unref(repository->others);
	g_hash_table_unref(repository->other_keys);
	g_hash_table_unref(repository->files);
	g_ptr_array_unref(repository->requests);
	g_free(repository);
}

static JsonObject *head(const char *type, gint64 version, gint64 expires)
{
	JsonObject *object = json_object_new();
	g_autofree char *when = proa_role_time_format(expires);

	json_object_set_string_member(object, "_type", type);
	json_object_set_string_member(object, "spec_version", "1.0.31");
	json_object_set_int_member(object, "version", version);
	json_object_set_string_member(object, "expires", when);
	return object;
}

static JsonObject *head_of(const Repository *repository, ProaRole role)
{
	return head(proa_role_to_string(role), repository->version[role], repository->expires[role]);
}

/* {"keyids", "threshold"} */
static void set_keys(JsonObject *object, const Repository *repository, const int *listed, int threshold)
{
	JsonArray *ids = json_array_new();

	for (; *listed >= 0; listed++)
		json_array_add_string_element(ids, repository->keys[*listed]->id);
	json_object_set_array_member(object, "keyids", ids);
	json_object_set_int_member(object, "threshold", threshold);
}

static JsonObject *all_keys(const Repository *repository)
{
	JsonObject *keys = json_object_new();

	for (guint i = 0; i < G_N_ELEMENTS(repository->keys); i++)
		json_object_set_object_member(
			keys, repository->keys[i]->id, json_object_ref(repository->keys[i]->object));
	return keys;
}

static void put(Repository *repository, char *path_taken, GBytes *bytes_taken)
{
	g_hash_table_insert(repository->files, path_taken, bytes_taken);
}

void repository_publish_root(Repository *repository)
{
	g_autoptr(JsonObject) root = head_of(repository, PROA_ROLE_ROOT);
	JsonObject *roles = json_object_new();

	json_object_set_boolean_member(root, "consistent_snapshot", !repository->inconsistent);
	json_object_set_object_member(root, "keys", all_keys(repository));
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++) {
		JsonObject *object = json_object_new();
		set_keys(object, repository, repository->listed[role], repository->threshold[role]);
		json_object_set_object_member(roles, proa_role_to_string(role), object);
	}
	json_object_set_object_member(root, "roles", roles);
	put(repository,
		g_strdup_printf("%" G_GINT64_FORMAT ".root.json", repository->version[PROA_ROLE_ROOT]),
		repository_sign(repository, root, repository->signing[PROA_ROLE_ROOT]));
}

static char *file_name(const Repository *repository, const char *role, gint64 version)
{
	g_autofree char *quoted = proa_store_quote(role);

	if (repository->inconsistent || version == 0)
		return g_strdup_printf("%s.json", quoted);
	return g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", version, quoted);
}

static JsonObject *describe(const Repository *repository, GBytes *bytes, gint64 version)
{
	JsonObject *object = json_object_new();

	json_object_set_int_member(object, "version", version);
	if (repository->no_hashes)
		return object;
	JsonObject *hashes = json_object_new();
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_object_member(object, "hashes", hashes);
	json_object_set_int_member(object, "length", (gint64)g_bytes_get_size(bytes));
	return object;
}

static void publish_others(Repository *repository, JsonObject *meta)
{
	GHashTableIter iter;
	gpointer name, content;

	g_hash_table_iter_init(&iter, repository->others);
	while (g_hash_table_iter_next(&iter, &name, &content)) {
		int signing[] = { GPOINTER_TO_INT(g_hash_table_lookup(repository->other_keys, name)), -1 };
		gint64 version = json_object_get_int_member(content, "version");
		GBytes *bytes = repository_sign(repository, content, signing);
		g_autofree char *listed = g_strconcat(name, ".json", NULL);
		json_object_set_object_member(meta, listed, describe(repository, bytes, version));
		put(repository, file_name(repository, name, version), bytes);
	}
}

void repository_publish(Repository *repository)
{
	g_autoptr(JsonObject) targets = head_of(repository, PROA_ROLE_TARGETS);
	g_autoptr(JsonObject) snapshot = head_of(repository, PROA_ROLE_SNAPSHOT);
	g_autoptr(JsonObject) timestamp = head_of(repository, PROA_ROLE_TIMESTAMP);
	JsonObject *meta = json_object_new(), *timestamp_meta = json_object_new();
	const gint64 *version = repository->version;

	json_object_set_object_member(targets, "targets", json_object_ref(repository->targets));
	if (repository->delegations)
		json_object_set_object_member(
			targets, "delegations", json_object_ref(repository->delegations));
	if (repository->token_key) {
		JsonObject *ours = json_object_new(), *role = json_object_new();
		set_keys(role, repository, (int[]){ repository->token_key, -1 }, 1);
		json_object_set_object_member(role, "keys", all_keys(repository));
		json_object_set_object_member(ours, "break-glass", role);
		json_object_set_object_member(targets, "proa", ours);
	}
	GBytes *bytes = repository_sign(repository, targets, repository->signing[PROA_ROLE_TARGETS]);
	json_object_set_object_member(
		meta, "targets.json", describe(repository, bytes, version[PROA_ROLE_TARGETS]));
	put(repository, file_name(repository, "targets", version[PROA_ROLE_TARGETS]), bytes);

	publish_others(repository, meta);
	json_object_set_object_member(snapshot, "meta", meta);
	bytes = repository_sign(repository, snapshot, repository->signing[PROA_ROLE_SNAPSHOT]);
	json_object_set_object_member(
		timestamp_meta, "snapshot.json", describe(repository, bytes, version[PROA_ROLE_SNAPSHOT]));
	put(repository, file_name(repository, "snapshot", version[PROA_ROLE_SNAPSHOT]), bytes);

	json_object_set_object_member(timestamp, "meta", timestamp_meta);
	if (repository->time) {
		JsonObject *ours = json_object_new();
		json_object_set_int_member(ours, "time", repository->time);
		json_object_set_object_member(timestamp, "proa", ours);
	}
	put(repository, file_name(repository, "timestamp", 0),
		repository_sign(repository, timestamp, repository->signing[PROA_ROLE_TIMESTAMP]));
}

void repository_bump(Repository *repository, ProaRole role)
{
	repository->version[role]++;
	if (role == PROA_ROLE_ROOT) {
		repository_publish_root(repository);
		return;
	}
	if (role == PROA_ROLE_TARGETS)
		repository->version[PROA_ROLE_SNAPSHOT]++;
	if (role != PROA_ROLE_TIMESTAMP)
		repository->version[PROA_ROLE_TIMESTAMP]++;
	repository_publish(repository);
}

void repository_add_target(JsonObject *targets, const char *path, const char *content)
{
	JsonObject *target = json_object_new(), *hashes = json_object_new();
	g_autofree char *digest = proa_sha256_hex(content, strlen(content));

	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_object_member(target, "hashes", hashes);
	json_object_set_int_member(target, "length", (gint64)strlen(content));
	json_object_set_object_member(targets, path, target);
}

/* The delegations of a role, made if it has none yet. */
static JsonObject *delegations_of(Repository *repository, const char *role)
{
	JsonObject *content = g_hash_table_lookup(repository->others, role);
	JsonObject *delegations =
		content ? proa_json_object_or_null(content, "delegations") : repository->delegations;

	if (delegations)
		return delegations;
	delegations = json_object_new();
	json_object_set_object_member(delegations, "keys", all_keys(repository));
	json_object_set_array_member(delegations, "roles", json_array_new());
	if (content)
		json_object_set_object_member(content, "delegations", delegations);
	else
		repository->delegations = delegations;
	return delegations;
}

JsonObject *repository_delegate(Repository *repository, const char *from, const char *to, const char *pattern,
	gboolean by_hash, gboolean terminating, int key)
{
	JsonObject *role = json_object_new();
	JsonArray *patterns = json_array_new();
	int listed[] = { key, -1 };

	json_object_set_string_member(role, "name", to);
	json_object_set_boolean_member(role, "terminating", terminating);
	set_keys(role, repository, listed, 1);
	json_array_add_string_element(patterns, pattern);
	json_object_set_array_member(role, by_hash ? "path_hash_prefixes" : "paths", patterns);
	json_array_add_object_element(
		json_object_get_array_member(delegations_of(repository, from), "roles"), role);

	JsonObject *content = g_hash_table_lookup(repository->others, to);
	if (!content) {
		content = head("targets", 1, repository->expires[PROA_ROLE_TARGETS]);
		json_object_set_object_member(content, "targets", json_object_new());
		g_hash_table_insert(repository->others, g_strdup(to), content);
		g_hash_table_insert(repository->other_keys, g_strdup(to), GINT_TO_POINTER(key));
	}
	return json_object_get_object_member(content, "targets");
}

gboolean repository_fetch(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	Repository *repository = data;
	GBytes *bytes = g_hash_table_lookup(repository->files, path);

	g_ptr_array_add(repository->requests, g_strdup(path));
	if (!bytes)
		return proa_fail(error, PROA_REASON_NOT_FOUND, "404");
	if (g_bytes_get_size(bytes) > max_size)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "over %" G_GSIZE_FORMAT " bytes", max_size);
	if (etag && repository->etags) {
		g_autofree char *now = g_compute_checksum_for_bytes(G_CHECKSUM_MD5, bytes);
		if (g_strcmp0(now, *etag) == 0) {
			repository->unchanged++;
			return TRUE;
		}
		g_set_str(etag, now);
	}
	*ret_bytes = g_bytes_ref(bytes);
	return TRUE;
}

char *repository_take_requests(Repository *repository)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < repository->requests->len; i++)
		g_string_append_printf(
			text, "%s%s", i ? " " : "", (char *)g_ptr_array_index(repository->requests, i));
	g_ptr_array_set_size(repository->requests, 0);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

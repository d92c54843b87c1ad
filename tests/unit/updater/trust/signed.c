/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/signed.h"

#include "tests/unit/updater/trust/repository.h"
#include "updater/trust/canonical.h"

#include <string.h>

/* Signatures to be put on an envelope by hand. */
typedef struct {
	JsonObject *content;
	JsonArray *signatures;
	JsonObject *keys;
	JsonObject *role;
	JsonArray *ids;
} Draft;

static Draft draft_new(int threshold)
{
	Draft draft = { json_object_new(), json_array_new(), json_object_new(), json_object_new(),
		json_array_new() };

	json_object_set_string_member(draft.content, "x", "y");
	json_object_set_int_member(draft.role, "threshold", threshold);
	json_object_set_array_member(draft.role, "keyids", json_array_ref(draft.ids));
	return draft;
}

static void draft_clear(Draft *draft)
{
	json_object_unref(draft->content);
	json_array_unref(draft->signatures);
	json_object_unref(draft->keys);
	json_object_unref(draft->role);
	json_array_unref(draft->ids);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Draft, draft_clear)

static void draft_list(Draft *draft, const char *id, const TestKey *key)
{
	json_object_set_object_member(draft->keys, id, json_object_ref(key->object));
	json_array_add_string_element(draft->ids, id);
}

static void draft_add(Draft *draft, const char *id, const char *hex)
{
	JsonObject *signature = json_object_new();

	json_object_set_string_member(signature, "keyid", id);
	json_object_set_string_member(signature, "sig", hex);
	json_array_add_object_element(draft->signatures, signature);
}

static void draft_sign(Draft *draft, const char *id, const TestKey *key)
{
	g_autoptr(GBytes) canonical = proa_canonical_encode(draft->content, NULL);
	g_autofree char *hex = test_key_sign(key, canonical);

	draft_add(draft, id, hex);
}

static GBytes *draft_bytes(const Draft *draft)
{
	g_autoptr(JsonObject) envelope = json_object_new();

	json_object_set_array_member(envelope, "signatures", json_array_ref(draft->signatures));
	json_object_set_object_member(envelope, "signed", json_object_ref(draft->content));
	char *text = proa_json_to_line(envelope);
	return g_bytes_new_take(text, strlen(text));
}

static gboolean draft_passes(const Draft *draft)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = draft_bytes(draft);
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, 1 << 20, "draft", NULL);
	g_autoptr(GHashTable) keys = proa_keys_parse(draft->keys, NULL);
	g_autoptr(ProaRoleKeys) role = proa_role_keys_new(draft->role, keys, NULL);

	g_assert_nonnull(file);
	gboolean ok = proa_signed_check(file, role, "draft", &error);
	if (!ok)
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_SIGNATURE);
	return ok;
}

static void test_threshold(void)
{
	g_autoptr(TestKey) one = test_key_new(1), two = test_key_new(2), three = test_key_new(3);
	g_auto(Draft) draft = draft_new(2);

	draft_list(&draft, "1", one);
	draft_list(&draft, "2", two);
	draft_list(&draft, "3", three);
	g_assert_false(draft_passes(&draft));
	draft_sign(&draft, "3", three);
	g_assert_false(draft_passes(&draft));
	draft_sign(&draft, "1", one);
	g_assert_true(draft_passes(&draft));
}

static void test_same_key_counts_once(void)
{
	g_autoptr(TestKey) one = test_key_new(1);
	g_auto(Draft) draft = draft_new(2);

	draft_list(&draft, "1", one);
	draft_list(&draft, "also-1", one);
	draft_sign(&draft, "1", one);
	draft_sign(&draft, "also-1", one);
	g_assert_false(draft_passes(&draft));
}

static void test_bad_extras_do_no_harm(void)
{
	static const char *const broken[] = { "", "no hexadecimal", "abc", "00" };
	g_autoptr(TestKey) one = test_key_new(1), two = test_key_new(2), three = test_key_new(3);
	g_auto(Draft) draft = draft_new(1);

	for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
		g_autofree char *id = g_strdup_printf("broken-%u", i);
		draft_list(&draft, id, three);
		draft_add(&draft, id, broken[i]);
	}
	draft_list(&draft, "1", one);
	draft_list(&draft, "2", two);
	draft_add(&draft, "unknown", "00ff");
	draft_sign(&draft, "2", one); /* the wrong key under a good id */
	g_assert_false(draft_passes(&draft));
	draft_sign(&draft, "1", one);
	g_assert_true(draft_passes(&draft));
}

static void test_unlisted_key(void)
{
	g_autoptr(TestKey) one = test_key_new(1), two = test_key_new(2);
	g_auto(Draft) draft = draft_new(1);

	/* Two is a key of the file, but not of this role. */
	draft_list(&draft, "1", one);
	json_object_set_object_member(draft.keys, "2", json_object_ref(two->object));
	draft_sign(&draft, "2", two);
	g_assert_false(draft_passes(&draft));
}

static void test_content_changed(void)
{
	g_autoptr(TestKey) one = test_key_new(1);
	g_auto(Draft) draft = draft_new(1);

	draft_list(&draft, "1", one);
	draft_sign(&draft, "1", one);
	g_assert_true(draft_passes(&draft));
	json_object_set_string_member(draft.content, "unknown", "field");
	g_assert_false(draft_passes(&draft));
}

static void test_threshold_above_keys(void)
{
	g_autoptr(TestKey) one = test_key_new(1);
	g_auto(Draft) draft = draft_new(2);

	draft_list(&draft, "1", one);
	draft_sign(&draft, "1", one);
	g_assert_false(draft_passes(&draft));
}

static void test_role_refused(void)
{
	static const char *const cases[] = { "{}", "{\"keyids\":[],\"threshold\":0}",
		"{\"keyids\":[],\"threshold\":-1}", "{\"keyids\":[],\"threshold\":\"1\"}",
		"{\"keyids\":[\"a\",\"a\"],\"threshold\":1}", "{\"keyids\":[1],\"threshold\":1}",
		"{\"keyids\":{},\"threshold\":1}", "{\"keyids\":[null],\"threshold\":1}" };
	g_autoptr(GHashTable) keys = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(JsonObject) object =
			proa_json_parse(cases[i], strlen(cases[i]), "role", PROA_REASON_BAD_METADATA, NULL);
		g_assert_null(proa_role_keys_new(object, keys, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

static void check_envelope(const char *text, gsize max, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	g_assert_null(proa_signed_parse(bytes, max, "file", &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void test_envelope_refused(void)
{
	check_envelope("", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{}}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signatures\":[]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":[],\"signatures\":[]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signatures\":{}}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signatures\":[1]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signatures\":[{\"keyid\":\"a\"}]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope(
		"{\"signed\":{},\"signatures\":[{\"keyid\":1,\"sig\":\"\"}]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"00\"},"
		       "{\"keyid\":\"a\",\"sig\":\"\"}]}",
		100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signed\":{},\"signatures\":[]}", 100, PROA_REASON_BAD_METADATA);
	check_envelope("{\"signed\":{},\"signatures\":[]}", 10, PROA_REASON_TOO_LARGE);
}

/* "@each" @count times with its number, between @head and @tail, separated by commas. */
static char *many(guint count, const char *head, const char *each, const char *tail)
{
	GString *text = g_string_new(head);

	for (guint i = 0; i < count; i++) {
		g_autofree char *number = g_strdup_printf("%u", i);
		g_auto(GStrv) parts = g_strsplit(each, "#", -1);
		g_autofree char *one = g_strjoinv(number, parts);
		g_string_append_printf(text, "%s%s", i ? "," : "", one);
	}
	g_string_append(text, tail);
	return g_string_free(text, FALSE);
}

static void test_caps(void)
{
	static const char key[] = "\"#\":{\"keytype\":\"x\",\"scheme\":\"x\",\"keyval\":{}}";
	static const char signature[] = "{\"keyid\":\"#\",\"sig\":\"00\"}";

	for (guint over = 0; over < 2; over++) {
		g_autofree char *keys = many(PROA_SIGNED_MAX_KEYS + over, "{", key, "}"),
				*file = many(PROA_SIGNED_MAX_SIGNATURES + over,
					"{\"signed\":{},\"signatures\":[", signature, "]}");
		g_autoptr(JsonObject) object =
			proa_json_parse(keys, strlen(keys), "keys", PROA_REASON_BAD_METADATA, NULL);
		g_autoptr(GHashTable) table = proa_keys_parse(object, NULL);
		g_autoptr(GBytes) bytes = g_bytes_new(file, strlen(file));
		g_autoptr(ProaSigned) parsed = proa_signed_parse(bytes, strlen(file), "file", NULL);
		g_assert_cmpint(table != NULL, ==, !over);
		g_assert_cmpint(parsed != NULL, ==, !over);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/signed/threshold-of-distinct-keys", test_threshold);
	g_test_add_func("/trust/signed/same-key-counts-once", test_same_key_counts_once);
	g_test_add_func("/trust/signed/bad-extra-signatures-do-no-harm", test_bad_extras_do_no_harm);
	g_test_add_func("/trust/signed/key-of-another-role-does-not-count", test_unlisted_key);
	g_test_add_func("/trust/signed/unknown-members-are-signed-too", test_content_changed);
	g_test_add_func(
		"/trust/signed/threshold-above-number-of-keys-never-passes", test_threshold_above_keys);
	g_test_add_func("/trust/signed/refuses-broken-roles", test_role_refused);
	g_test_add_func("/trust/signed/refuses-broken-envelopes", test_envelope_refused);
	g_test_add_func("/trust/signed/keys-and-signatures-are-bounded", test_caps);
	return g_test_run();
}

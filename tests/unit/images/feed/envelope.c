/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/envelope.h"

#include "tests/unit/images/feed/fixture.h"

static GPtrArray *new_signers(const Scratch *scratch, const char *name)
{
	g_autofree char *path = scratch_file(scratch, name);
	GPtrArray *signers = proa_signers_new();

	g_assert_true(proa_signers_generate(signers, path, "ed25519", NULL));
	return signers;
}

static JsonObject *new_envelope(const char *text)
{
	g_autoptr(JsonObject) content = json_object_new();

	json_object_set_string_member(content, "x", text);
	return proa_envelope_new(content);
}

static guint count(JsonObject *envelope)
{
	return json_array_get_length(json_object_get_array_member(envelope, "signatures"));
}

static void role_release(gpointer data)
{
	proa_role_keys_free(data);
}

/* A role of these two. */
static GPtrArray *roles_of(const GPtrArray *one, const GPtrArray *other)
{
	GPtrArray *roles = g_ptr_array_new_with_free_func(role_release);
	ProaRoleKeys *role = g_new0(ProaRoleKeys, 1);
	const ProaSigner *signers[] = { one->pdata[0], other->pdata[0] };

	role->keys = g_ptr_array_new_with_free_func((GDestroyNotify)proa_key_unref);
	role->threshold = 2;
	for (guint i = 0; i < G_N_ELEMENTS(signers); i++)
		g_ptr_array_add(role->keys,
			proa_key_new(proa_signer_keyid(signers[i]), proa_signer_public(signers[i]), NULL));
	g_ptr_array_add(roles, role);
	g_ptr_array_add(roles, NULL);
	return roles;
}

/* A holder who puts rubbish under another's id, or signs for himself alone, takes nobody's place. */
static void test_worthless(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GPtrArray) alice = new_signers(&scratch, "a.pem"), bob = new_signers(&scratch, "b.pem"),
			     mallory = new_signers(&scratch, "m.pem");
	g_autoptr(GPtrArray) roles = roles_of(alice, bob);
	g_autoptr(JsonObject) draft = new_envelope("y"), bad = new_envelope("y"), good = new_envelope("y");
	JsonObject *rubbish = json_object_new();
	guint added = 0, worthless = 0;

	g_assert_true(proa_envelope_sign_all(bad, mallory, &added, NULL));
	json_object_set_string_member(rubbish, "keyid", proa_signer_keyid(alice->pdata[0]));
	json_object_set_string_member(rubbish, "sig", "00ff");
	json_array_add_object_element(json_object_get_array_member(bad, "signatures"), rubbish);
	g_assert_cmpuint(proa_envelope_merge(draft, bad, roles, &worthless), ==, 0);
	g_assert_cmpuint(worthless, ==, 2);
	g_assert_cmpuint(count(draft), ==, 0);
	g_assert_true(proa_envelope_sign_all(good, alice, &added, NULL));
	g_assert_cmpuint(proa_envelope_merge(draft, good, roles, &worthless), ==, 1);
	g_assert_cmpuint(worthless, ==, 0);
}

/* Rubbish under a holder's own id, as a copy gets it on its way, keeps nobody from signing. */
static void test_rubbish_under_own_id(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GPtrArray) alice = new_signers(&scratch, "a.pem"), bob = new_signers(&scratch, "b.pem");
	g_autoptr(GPtrArray) roles = roles_of(alice, bob);
	static const char *const rubbish[] = { "00ff", "", "no hexadecimal text" };

	for (guint i = 0; i < 3 * G_N_ELEMENTS(rubbish); i++) {
		g_autoptr(JsonObject) draft = new_envelope("y"), good = new_envelope("y");
		JsonObject *bad = json_object_new();
		guint added = 0, worthless = 0;
		json_object_set_string_member(bad, "keyid", proa_signer_keyid(alice->pdata[0]));
		json_object_set_string_member(bad, "sig", rubbish[i / 3]);
		json_array_add_object_element(json_object_get_array_member(draft, "signatures"), bad);
		g_assert_true(proa_envelope_sign_all(good, alice, &added, NULL));
		if (i % 3 == 0)
			g_assert_true(proa_envelope_sign_all(draft, alice, &added, NULL));
		else if (i % 3 == 1)
			g_assert_true(proa_envelope_sign(draft, alice, roles, &added, NULL));
		else
			added = proa_envelope_merge(draft, good, roles, &worthless);
		g_assert_cmpuint(added, ==, 1);
		g_assert_cmpuint(count(draft), ==, 1);
		g_assert_true(proa_envelope_sign_all(draft, alice, &added, NULL));
		g_assert_cmpuint(added, ==, 0);
		g_assert_cmpuint(proa_envelope_merge(good, draft, roles, &worthless), ==, 0);
		g_assert_cmpuint(worthless, ==, 0);
	}
}

/* Two holders sign copies on their own machines, and both signatures come together. */
static void test_merge(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GPtrArray) alice = new_signers(&scratch, "a.pem"), bob = new_signers(&scratch, "b.pem");
	g_autoptr(JsonObject) one = new_envelope("\n\"y\""), two = new_envelope("\n\"y\""),
			      other = new_envelope("z");
	g_autoptr(GPtrArray) roles = roles_of(alice, bob);
	guint added = 0, worthless = 0;

	g_assert_true(proa_envelope_sign_all(one, alice, &added, NULL));
	g_assert_cmpuint(added, ==, 1);
	g_assert_true(proa_envelope_sign_all(one, alice, &added, NULL));
	g_assert_cmpuint(added, ==, 0);
	g_assert_true(proa_envelope_sign_all(two, bob, &added, NULL));
	g_assert_true(proa_envelope_same(one, two));
	g_assert_false(proa_envelope_same(one, other));
	g_assert_cmpuint(proa_envelope_merge(one, two, roles, &worthless), ==, 1);
	g_assert_cmpuint(proa_envelope_merge(one, two, roles, &worthless), ==, 0);
	g_assert_cmpuint(worthless, ==, 0);
	g_assert_cmpuint(count(one), ==, 2);
	g_autoptr(GBytes) bytes = proa_envelope_bytes(one);
	g_free(scratch_write(
		&scratch, "x.json", g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes)));
	g_autofree char *path = scratch_file(&scratch, "x.json");
	g_autoptr(JsonObject) read = proa_envelope_read(path, NULL);
	g_assert_true(proa_envelope_same(one, read));
	g_assert_cmpuint(count(read), ==, 2);
}

/* Who is not listed does not sign, and who is listed under another id signs with that. */
static void test_roles(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GPtrArray) alice = new_signers(&scratch, "a.pem"), bob = new_signers(&scratch, "b.pem");
	g_autoptr(JsonObject) envelope = new_envelope("y");
	g_autoptr(GPtrArray) roles = g_ptr_array_new(), both = proa_signers_new();
	ProaRoleKeys role = { .keys = g_ptr_array_new_with_free_func((GDestroyNotify)proa_key_unref),
		.threshold = 1 };
	guint added = 0;

	g_ptr_array_add(role.keys, proa_key_new("another-id", proa_signer_public(alice->pdata[0]), NULL));
	g_ptr_array_add(roles, &role);
	g_ptr_array_extend_and_steal(both, g_steal_pointer(&alice));
	g_ptr_array_extend_and_steal(both, g_steal_pointer(&bob));
	g_assert_true(proa_envelope_sign(envelope, both, roles, &added, NULL));
	g_assert_cmpuint(added, ==, 1);
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, "x", NULL);
	g_assert_true(proa_signed_check(file, &role, "x", NULL));
	g_ptr_array_unref(role.keys);
}

static void test_refused(void)
{
	static const char *const bad[] = { "", "[]", "{}", "{\"signed\":{}}",
		"{\"signed\":1,\"signatures\":[]}", "{\"signed\":{},\"signatures\":[1]}",
		"{\"signed\":{\"a\":1,\"a\":2},\"signatures\":[]}" };
	g_auto(Scratch) scratch = scratch_new();

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *path = scratch_write(&scratch, "x.json", bad[i], -1);
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_envelope_read(path, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/envelope/signatures-come-together", test_merge);
	g_test_add_func("/feed/envelope/worthless-signatures-take-nobodys-place", test_worthless);
	g_test_add_func("/feed/envelope/rubbish-under-ones-own-id-is-replaced", test_rubbish_under_own_id);
	g_test_add_func("/feed/envelope/signs-for-its-roles-alone", test_roles);
	g_test_add_func("/feed/envelope/refuses-what-is-none", test_refused);
	return g_test_run();
}

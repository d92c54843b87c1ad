/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/signer.h"

#include "tests/unit/images/feed/fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

static ProaRoleKeys *role_of(const ProaSigner *const *signers, guint count, guint threshold)
{
	g_autoptr(JsonObject) keys = json_object_new(), role = json_object_new();
	JsonArray *ids = json_array_new();

	for (guint i = 0; i < count; i++) {
		json_object_set_object_member(
			keys, proa_signer_keyid(signers[i]), json_object_ref(proa_signer_public(signers[i])));
		json_array_add_string_element(ids, proa_signer_keyid(signers[i]));
	}
	json_object_set_array_member(role, "keyids", ids);
	json_object_set_int_member(role, "threshold", threshold);
	g_autoptr(GHashTable) parsed = proa_keys_parse(keys, NULL);
	return proa_role_keys_new(role, parsed, NULL);
}

static void test_generate(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "root.pem"), *text = NULL;
	g_autoptr(ProaSigner) signer = proa_signer_generate(path, NULL);
	g_autoptr(GError) error = NULL;
	GStatBuf st;

	g_assert_nonnull(signer);
	g_assert_cmpint(g_stat(path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_true(g_str_has_prefix(text, "-----BEGIN PRIVATE KEY-----\n")); /* PKCS#8 */
	g_autoptr(ProaSigner) again = proa_signer_load(path, NULL);
	g_assert_cmpstr(proa_signer_keyid(again), ==, proa_signer_keyid(signer));

	/* A key that exists is never written over. */
	g_assert_null(proa_signer_generate(path, &error));
	g_autofree char *unchanged = NULL;
	g_assert_true(g_file_get_contents(path, &unchanged, NULL, NULL));
	g_assert_cmpstr(text, ==, unchanged);
}

static gboolean sign_and_check(const GPtrArray *signers, const ProaRoleKeys *role, GError **error)
{
	g_autoptr(JsonObject) content = json_object_new();
	json_object_set_string_member(content, "x", "\n\"y\"");
	g_autoptr(GBytes) bytes = proa_signers_sign(signers, role, content, "test", error);
	g_autoptr(ProaSigned) file = bytes ? proa_signed_parse(bytes, 1 << 20, "test", error) : NULL;

	return file && proa_signed_check(file, role, "test", error);
}

static void test_sign(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_file(&scratch, "a.pem"), *b = scratch_file(&scratch, "b.pem");
	g_autoptr(ProaSigner) one = proa_signer_generate(a, NULL), two = proa_signer_generate(b, NULL);
	const ProaSigner *both[] = { one, two };
	g_autoptr(ProaRoleKeys) role = role_of(both, 2, 2);
	g_autoptr(GPtrArray) signers = proa_signers_load(scratch.path, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_cmpuint(signers->len, ==, 2);
	g_assert_true(sign_and_check(signers, role, NULL));
	/* A copy of a key signs no second time. */
	g_autofree char *key = NULL;
	g_assert_true(g_file_get_contents(a, &key, NULL, NULL));
	g_free(scratch_write(&scratch, "copy.pem", key, -1));
	g_autoptr(GPtrArray) three = proa_signers_load(scratch.path, NULL);
	g_assert_cmpuint(three->len, ==, 3);
	g_assert_true(sign_and_check(three, role, NULL));
	g_ptr_array_set_size(signers, 1);
	g_assert_false(sign_and_check(signers, role, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

/* Hybrid: one Ed25519 key, one ML-DSA-65 key, threshold 2. */
static void test_hybrid(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_file(&scratch, "a.pem"), *b = scratch_file(&scratch, "b.pem");
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ML-DSA-65");
	FILE *file = fopen(b, "w");

	g_assert_nonnull(file);
	PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(pkey);
	g_autoptr(ProaSigner) classical = proa_signer_generate(a, NULL), quantum = proa_signer_load(b, NULL);
	const ProaSigner *both[] = { classical, quantum };
	g_autoptr(ProaRoleKeys) role = role_of(both, 2, 2);
	g_autoptr(GPtrArray) signers = proa_signers_load(scratch.path, NULL);
	g_assert_true(sign_and_check(signers, role, NULL));
}

static void test_refused(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "x.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n", -1);
	g_autofree char *rsa = scratch_file(&scratch, "rsa.pem"), *none = scratch_file(&scratch, "none");
	g_autoptr(GError) error = NULL;
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	FILE *file = fopen(rsa, "w");

	PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(pkey);
	g_assert_null(proa_signer_load(path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
	g_clear_error(&error);
	g_assert_null(proa_signer_load(rsa, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
	g_clear_error(&error);
	g_assert_null(proa_signers_load(none, &error));
	g_assert_cmpint(proa_reason_of(error), ==, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/signer/keys-are-private-and-never-overwritten", test_generate);
	g_test_add_func("/feed/signer/signs-up-to-the-threshold", test_sign);
	g_test_add_func("/feed/signer/signs-hybrid-roles", test_hybrid);
	g_test_add_func("/feed/signer/refuses-what-it-cannot-sign-with", test_refused);
	return g_test_run();
}

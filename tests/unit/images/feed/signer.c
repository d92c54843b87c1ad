/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/signer.h"

#include "tests/unit/images/feed/fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

static GPtrArray *generated(const char *path, const char *algorithm)
{
	GPtrArray *signers = proa_signers_new();
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_signers_generate(signers, path, algorithm, &error));
	g_assert_no_error(error);
	return signers;
}

static void test_generate(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "root.pem"), *text = NULL;
	g_autoptr(GPtrArray) signers = generated(path, "hybrid"), again = proa_signers_new();
	g_autoptr(GError) error = NULL;
	GStatBuf st;

	/* One file, two keys. */
	g_assert_cmpuint(signers->len, ==, 2);
	g_assert_cmpint(g_stat(path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_true(g_str_has_prefix(text, "-----BEGIN PRIVATE KEY-----\n")); /* PKCS#8 */
	g_assert_true(proa_signers_add(again, path, NULL));
	g_assert_cmpuint(again->len, ==, 2);
	for (guint i = 0; i < 2; i++)
		g_assert_cmpstr(proa_signer_keyid(again->pdata[i]), ==, proa_signer_keyid(signers->pdata[i]));

	/* A key that exists is never written over. */
	g_assert_false(proa_signers_generate(signers, path, "ed25519", &error));
	g_autofree char *unchanged = NULL;
	g_assert_true(g_file_get_contents(path, &unchanged, NULL, NULL));
	g_assert_cmpstr(text, ==, unchanged);
}

/* What we sign, a client verifies. */
static void test_sign(gconstpointer algorithm)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "a.pem");
	g_autoptr(GPtrArray) signers = generated(path, algorithm);
	g_autoptr(GBytes) message = g_bytes_new_static("the message", 11), other = g_bytes_new_static("x", 1);

	for (guint i = 0; i < signers->len; i++) {
		const ProaSigner *signer = signers->pdata[i];
		g_autofree char *hex = proa_signer_sign(signer, message, NULL);
		g_autoptr(ProaKey) key = proa_key_new("id", proa_signer_public(signer), NULL);
		gsize size = strlen(hex) / 2;
		g_autofree guint8 *raw = g_malloc(size);
		g_assert_true(proa_hex_decode(hex, raw, size));
		g_autoptr(GBytes) signature = g_bytes_new(raw, size);
		g_assert_true(proa_key_verify(key, message, signature));
		g_assert_false(proa_key_verify(key, other, signature));
	}
}

static void write_pem(const char *path, EVP_PKEY *pkey)
{
	FILE *file = fopen(path, "w");

	g_assert_nonnull(file);
	PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	EVP_PKEY_free(pkey);
}

static void test_rsa(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "rsa.pem");
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GBytes) message = g_bytes_new_static("the message", 11);

	write_pem(path, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048));
	g_assert_true(proa_signers_add(signers, path, NULL));
	g_autofree char *hex = proa_signer_sign(signers->pdata[0], message, NULL);
	g_autoptr(ProaKey) key = proa_key_new("id", proa_signer_public(signers->pdata[0]), NULL);
	gsize size = strlen(hex) / 2;
	g_autofree guint8 *raw = g_malloc(size);
	g_assert_true(proa_hex_decode(hex, raw, size));
	g_autoptr(GBytes) signature = g_bytes_new(raw, size);
	g_assert_true(proa_key_verify(key, message, signature));
}

static void refuses(const char *path, ProaReason reason)
{
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_signers_add(signers, path, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void test_refused(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "x.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n", -1);
	g_autofree char *weak = scratch_file(&scratch, "weak.pem"), *x = scratch_file(&scratch, "x25519.pem"),
			*none = scratch_file(&scratch, "none");
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GError) error = NULL;

	write_pem(weak, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024));
	write_pem(x, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"));
	refuses(path, PROA_REASON_BAD_STATE);
	refuses(weak, PROA_REASON_BAD_STATE);
	refuses(x, PROA_REASON_BAD_STATE);
	refuses(none, PROA_REASON_NOT_FOUND);
	g_assert_false(proa_signers_add_dir(signers, none, &error));
	g_assert_cmpint(proa_reason_of(error), ==, PROA_REASON_NOT_FOUND);
	g_assert_false(proa_signer_algorithm_valid("rot13"));
}

int main(int argc, char **argv)
{
	static const char *const algorithms[] = { "hybrid", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87",
		"ecdsa-p256", "ecdsa-p384" };

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/signer/keys-are-private-and-never-overwritten", test_generate);
	for (guint i = 0; i < G_N_ELEMENTS(algorithms); i++) {
		g_autofree char *path = g_strconcat("/feed/signer/signs/", algorithms[i], NULL);
		g_test_add_data_func(path, algorithms[i], test_sign);
	}
	g_test_add_func("/feed/signer/signs/rsassa-pss", test_rsa);
	g_test_add_func("/feed/signer/refuses-what-it-cannot-sign-with", test_refused);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/key.h"

#include "base/digest.h"
#include "tests/unit/updater/trust/repository.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ui.h>
#include <string.h>

#define MESSAGE "the message"

typedef struct {
	const char *keytype, *scheme, *generate, *parameter, *digest;
} Case;

static EVP_PKEY *generate(const Case *c)
{
	if (strcmp(c->generate, "RSA") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)g_ascii_strtoull(c->parameter, NULL, 10));
	if (c->parameter)
		return EVP_PKEY_Q_keygen(NULL, NULL, c->generate, c->parameter);
	return EVP_PKEY_Q_keygen(NULL, NULL, c->generate);
}

static JsonObject *object_of(EVP_PKEY *pkey, const char *keytype, const char *scheme)
{
	JsonObject *object = json_object_new(), *value = json_object_new();
	guint8 raw[32];
	gsize size = sizeof raw;

	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		EVP_PKEY_get_raw_public_key(pkey, raw, &size);
		g_autofree char *hex = proa_hex_encode(raw, size);
		json_object_set_string_member(value, "public", hex);
	} else {
		BIO *bio = BIO_new(BIO_s_mem());
		char *data;
		PEM_write_bio_PUBKEY(bio, pkey);
		long length = BIO_get_mem_data(bio, &data);
		g_autofree char *text = g_strndup(data, (gsize)length);
		json_object_set_string_member(value, "public", text);
		BIO_free(bio);
	}
	json_object_set_string_member(object, "keytype", keytype);
	json_object_set_string_member(object, "scheme", scheme);
	json_object_set_object_member(object, "keyval", value);
	return object;
}

static GBytes *sign(EVP_PKEY *pkey, const Case *c, GBytes *message)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *inner = NULL;
	g_autoptr(GBytes) payload = proa_key_payload(c->scheme, message);
	gsize size, signature_size = 0;
	const guint8 *data = g_bytes_get_data(payload, &size);

	g_assert_cmpint(EVP_DigestSignInit_ex(context, &inner, c->digest, NULL, NULL, pkey, NULL), ==, 1);
	if (g_str_has_prefix(c->scheme, "rsassa-pss")) {
		EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST);
	}
	g_assert_cmpint(EVP_DigestSign(context, NULL, &signature_size, data, size), ==, 1);
	guint8 *signature = g_malloc(signature_size);
	g_assert_cmpint(EVP_DigestSign(context, signature, &signature_size, data, size), ==, 1);
	EVP_MD_CTX_free(context);
	return g_bytes_new_take(signature, signature_size);
}

static void test_scheme(gconstpointer data)
{
	const Case *c = data;
	EVP_PKEY *pkey = generate(c);
	g_autoptr(JsonObject) object = object_of(pkey, c->keytype, c->scheme);
	g_autoptr(ProaKey) key = proa_key_new("id", object, NULL);
	g_autoptr(GBytes) message = g_bytes_new_static(MESSAGE, strlen(MESSAGE));
	g_autoptr(GBytes) other = g_bytes_new_static("the massage", strlen(MESSAGE));
	g_autoptr(GBytes) signature = sign(pkey, c, message);
	g_autoptr(GBytes) empty = g_bytes_new_static("", 0);

	g_assert_nonnull(key);
	g_assert_nonnull(proa_key_identity(key));
	g_assert_true(proa_key_verify(key, message, signature));
	g_assert_false(proa_key_verify(key, other, signature));
	g_assert_false(proa_key_verify(key, message, empty));

	gsize size;
	const guint8 *bytes = g_bytes_get_data(signature, &size);
	g_autofree guint8 *flipped = g_memdup2(bytes, size);
	flipped[size / 2] ^= 1;
	g_autoptr(GBytes) wrong = g_bytes_new(flipped, size), cut = g_bytes_new(bytes, size - 1);
	g_assert_false(proa_key_verify(key, message, wrong));
	g_assert_false(proa_key_verify(key, message, cut));
	EVP_PKEY_free(pkey);
}

/* ML-DSA signs the byte string of TAP 21; a signature of the bare message is none. */
static void test_mldsa_prehash(void)
{
	const Case bare = { "ml-dsa", "none", "ML-DSA-44", NULL, NULL };
	EVP_PKEY *pkey = generate(&bare);
	g_autoptr(JsonObject) object = object_of(pkey, "ml-dsa", "ml-dsa-44/1");
	g_autoptr(ProaKey) key = proa_key_new("id", object, NULL);
	g_autoptr(GBytes) message = g_bytes_new_static(MESSAGE, strlen(MESSAGE));
	g_autoptr(GBytes) signature = sign(pkey, &bare, message);
	g_autoptr(GBytes) payload = proa_key_payload("ml-dsa-44/1", message);

	g_assert_false(proa_key_verify(key, message, signature));
	g_assert_cmpuint(g_bytes_get_size(payload), ==, 68);
	g_assert_cmpmem(g_bytes_get_data(payload, NULL), 4, "tuf\x01", 4);
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA512, message);
	g_autofree char *rest = proa_hex_encode((const guint8 *)g_bytes_get_data(payload, NULL) + 4, 64);
	g_assert_cmpstr(rest, ==, digest);
	EVP_PKEY_free(pkey);
}

/* A key that is not what its scheme says, or too weak, verifies nothing, but is no error either. */
static void test_unusable(void)
{
	static const struct {
		Case c;
		const char *keytype, *scheme;
	} cases[] = {
		{ { NULL, NULL, "EC", "P-384", NULL }, "ecdsa", "ecdsa-sha2-nistp256" },
		{ { NULL, NULL, "EC", "P-256", NULL }, "ecdsa", "ecdsa-sha2-nistp384" },
		{ { NULL, NULL, "RSA", "1024", NULL }, "rsa", "rsassa-pss-sha256" },
		{ { NULL, NULL, "EC", "P-256", NULL }, "rsa", "rsassa-pss-sha256" },
		{ { NULL, NULL, "ML-DSA-44", NULL, NULL }, "ml-dsa", "ml-dsa-65/1" },
		{ { NULL, NULL, "ML-DSA-44", NULL, NULL }, "ml-dsa", "ml-dsa-44/2" },
		{ { NULL, NULL, "EC", "P-256", NULL }, "ed25519", "ed25519" },
		{ { NULL, NULL, "ED25519", NULL, NULL }, "ed25519", "ed25519ph" },
		{ { NULL, NULL, "ED25519", NULL, NULL }, "spx", "spx" },
	};
	g_autoptr(GBytes) message = g_bytes_new_static(MESSAGE, strlen(MESSAGE));

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		EVP_PKEY *pkey = generate(&cases[i].c);
		g_autoptr(JsonObject) object = object_of(pkey, cases[i].keytype, cases[i].scheme);
		g_autoptr(ProaKey) key = proa_key_new("id", object, NULL);
		g_assert_nonnull(key);
		g_assert_null(proa_key_identity(key));
		g_assert_false(proa_key_verify(key, message, message));
		EVP_PKEY_free(pkey);
	}
}

static gboolean asked;

static int note_asked(UI *ui, UI_STRING *string)
{
	asked = TRUE;
	return 0;
}

/* A PEM block that says it is encrypted is no key, and nobody at the terminal is asked for its passphrase. */
static void test_encrypted(void)
{
	const Case p256 = { "ecdsa", "ecdsa-sha2-nistp256", "EC", "P-256", "SHA256" };
	EVP_PKEY *pkey = generate(&p256);
	g_autoptr(JsonObject) object = object_of(pkey, p256.keytype, p256.scheme);
	JsonObject *value = json_object_get_object_member(object, "keyval");
	g_auto(GStrv) parts = g_strsplit(json_object_get_string_member(value, "public"), "-----\n", 2);
	g_autofree char *encrypted = g_strconcat(parts[0],
		"-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n",
		parts[1], NULL);
	UI_METHOD *method = UI_create_method("a terminal that is watched");

	UI_method_set_reader(method, note_asked);
	UI_set_default_method(method);
	json_object_set_string_member(value, "public", encrypted);
	g_autoptr(ProaKey) key = proa_key_new("id", object, NULL);
	g_assert_nonnull(key);
	g_assert_null(proa_key_identity(key));
	g_assert_false(asked);
	UI_set_default_method(UI_OpenSSL());
	UI_destroy_method(method);
	EVP_PKEY_free(pkey);
}

static void test_no_key(void)
{
	static const char *const cases[] = { "{}", "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\"}",
		"{\"keytype\":1,\"scheme\":\"ed25519\",\"keyval\":{}}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":\"x\"}" };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(JsonObject) object =
			proa_json_parse(cases[i], strlen(cases[i]), "key", PROA_REASON_BAD_METADATA, NULL);
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_key_new("id", object, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

/* Another spelling of the same key is the same key. */
static void test_identity(void)
{
	g_autoptr(TestKey) one = test_key_new(1), two = test_key_new(2);
	g_autoptr(ProaKey) a = proa_key_new("a", one->object, NULL), b = proa_key_new("b", two->object, NULL);
	JsonObject *value = json_object_get_object_member(one->object, "keyval");
	g_autofree char *upper = g_ascii_strup(json_object_get_string_member(value, "public"), -1);

	json_object_set_string_member(value, "public", upper);
	g_autoptr(ProaKey) again = proa_key_new("c", one->object, NULL);
	g_assert_cmpstr(proa_key_identity(a), ==, proa_key_identity(again));
	g_assert_cmpstr(proa_key_identity(a), !=, proa_key_identity(b));
	g_assert_cmpstr(proa_key_id(again), ==, "c");
}

/* A point can be written compressed or not, and its curve by name or by parameters: one key, one identity. */
static void test_identity_of_points(void)
{
	static const struct {
		const char *parameter, *value;
	} spellings[] = {
		{ OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed" },
		{ OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "hybrid" },
		{ OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT },
	};
	const Case p256 = { "ecdsa", "ecdsa-sha2-nistp256", "EC", "P-256", "SHA256" };
	EVP_PKEY *pkey = generate(&p256);
	g_autoptr(JsonObject) object = object_of(pkey, p256.keytype, p256.scheme);
	g_autoptr(ProaKey) key = proa_key_new("a", object, NULL);
	JsonObject *plain = json_object_get_object_member(object, "keyval");

	for (guint i = 0; i < G_N_ELEMENTS(spellings); i++) {
		g_assert_cmpint(
			EVP_PKEY_set_utf8_string_param(pkey, spellings[i].parameter, spellings[i].value), ==,
			1);
		g_autoptr(JsonObject) other = object_of(pkey, p256.keytype, p256.scheme);
		JsonObject *spelt = json_object_get_object_member(other, "keyval");
		g_assert_cmpstr(json_object_get_string_member(spelt, "public"), !=,
			json_object_get_string_member(plain, "public"));
		g_autoptr(ProaKey) again = proa_key_new("b", other, NULL);
		g_assert_cmpstr(proa_key_identity(again), ==, proa_key_identity(key));
	}
	EVP_PKEY_free(pkey);
}

int main(int argc, char **argv)
{
	static const Case cases[] = {
		{ "ed25519", "ed25519", "ED25519", NULL, NULL },
		{ "ecdsa", "ecdsa-sha2-nistp256", "EC", "P-256", "SHA256" },
		{ "ecdsa", "ecdsa-sha2-nistp384", "EC", "P-384", "SHA384" },
		{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "EC", "P-256", "SHA256" },
		{ "ecdsa", "ecdsa-sha2-nistp521", "EC", "P-521", "SHA512" },
		{ "rsa", "rsa-pkcs1v15-sha256", "RSA", "2048", "SHA256" },
		{ "rsa", "rsassa-pss-sha256", "RSA", "2048", "SHA256" },
		{ "rsa", "rsassa-pss-sha512", "RSA", "2048", "SHA512" },
		{ "ml-dsa", "ml-dsa-44/1", "ML-DSA-44", NULL, NULL },
		{ "ml-dsa", "ml-dsa-65/1", "ML-DSA-65", NULL, NULL },
		{ "ml-dsa", "ml-dsa-87/1", "ML-DSA-87", NULL, NULL },
	};

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *scheme = g_strdelimit(g_strdup(cases[i].scheme), "/", '.');
		g_autofree char *path =
			g_strdup_printf("/trust/key/verifies/%s/%s", cases[i].keytype, scheme);
		g_test_add_data_func(path, &cases[i], test_scheme);
	}
	g_test_add_func("/trust/key/ml-dsa-signs-the-prehash-only", test_mldsa_prehash);
	g_test_add_func("/trust/key/unfit-keys-verify-nothing", test_unusable);
	g_test_add_func("/trust/key/encrypted-is-no-key-and-asks-nobody", test_encrypted);
	g_test_add_func("/trust/key/refuses-what-is-no-key", test_no_key);
	g_test_add_func("/trust/key/identity-is-the-key-itself", test_identity);
	g_test_add_func("/trust/key/one-point-has-one-identity", test_identity_of_points);
	return g_test_run();
}

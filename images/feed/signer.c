/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/signer.h"

#include "base/digest.h"
#include "base/file.h"
#include "images/feed/pkcs11.h"
#include "updater/trust/canonical.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KEY_FILE 32768

struct ProaSigner {
	EVP_PKEY *private;
	JsonObject *public;
	const char *digest; /* NULL: the algorithm has its own */
	char *scheme;
	char *keyid;
	ProaKey *key; /* the public key as a client sees it */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

/* What we sign with, by OpenSSL's name; updater/trust/key.c has the table of what we verify. */
static const struct {
	const char *algorithm;
	const char *group; /* of a curve; NULL: none */
	const char *keytype, *scheme;
	const char *digest; /* NULL: the algorithm has its own */
} algorithms[] = {
	{ "ED25519", NULL, "ed25519", "ed25519", NULL },
	{ "ML-DSA-44", NULL, "ml-dsa", "ml-dsa-44/1", NULL },
	{ "ML-DSA-65", NULL, "ml-dsa", "ml-dsa-65/1", NULL },
	{ "ML-DSA-87", NULL, "ml-dsa", "ml-dsa-87/1", NULL },
	{ "EC", "prime256v1", "ecdsa", "ecdsa-sha2-nistp256", "SHA256" },
	{ "EC", "secp384r1", "ecdsa", "ecdsa-sha2-nistp384", "SHA384" },
	{ "EC", "secp521r1", "ecdsa", "ecdsa-sha2-nistp521", "SHA512" },
	{ "RSA", NULL, "rsa", "rsassa-pss-sha256", "SHA256" },
};

/* What can be made: the first key, and for a hybrid the second. */
static const struct {
	const char *name, *first, *first_group, *second;
} choices[] = {
	{ "hybrid", "ED25519", NULL, "ML-DSA-65" },
	{ "ed25519", "ED25519", NULL, NULL },
	{ "ml-dsa-44", "ML-DSA-44", NULL, NULL },
	{ "ml-dsa-65", "ML-DSA-65", NULL, NULL },
	{ "ml-dsa-87", "ML-DSA-87", NULL, NULL },
	{ "ecdsa-p256", "EC", "P-256", NULL },
	{ "ecdsa-p384", "EC", "P-384", NULL },
};

/* What OpenSSL complains of, taken out of its queue. */
static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason ? reason : "unknown error of OpenSSL";
}

/* Everything that @bio holds, as text. */
static char *bio_text(BIO *bio)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);

	return g_strndup(data, size > 0 ? (gsize)size : 0);
}

/* keyval.public: raw hexadecimal for Ed25519, PEM for all else. A token gives its public half as any other
 * key. */
static char *public_text(EVP_PKEY *private)
{
	guint8 raw[32];
	gsize size = sizeof raw;

	if (EVP_PKEY_is_a(private, "ED25519"))
		return EVP_PKEY_get_raw_public_key(private, raw, &size) == 1 ? proa_hex_encode(raw, size)
									     : NULL;
	g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
	return bio && PEM_write_bio_PUBKEY(bio, private) == 1 ? bio_text(bio) : NULL;
}

static gboolean group_is(EVP_PKEY *private, const char *group)
{
	char name[64];

	return !group ||
	       (EVP_PKEY_get_group_name(private, name, sizeof name, NULL) == 1 && strcmp(name, group) == 0);
}

static JsonObject *public_object(EVP_PKEY *private, ProaSigner *signer)
{
	for (guint i = 0; i < G_N_ELEMENTS(algorithms); i++) {
		if (!EVP_PKEY_is_a(private, algorithms[i].algorithm) ||
			!group_is(private, algorithms[i].group))
			continue;
		g_autofree char *text = public_text(private);
		signer->scheme = g_strdup(algorithms[i].scheme);
		if (!text)
			return NULL;
		JsonObject *object = json_object_new(), *value = json_object_new();
		json_object_set_string_member(value, "public", text);
		json_object_set_string_member(object, "keytype", algorithms[i].keytype);
		json_object_set_string_member(object, "scheme", algorithms[i].scheme);
		json_object_set_object_member(object, "keyval", value);
		signer->digest = algorithms[i].digest;
		return object;
	}
	return NULL;
}

static void signer_free(ProaSigner *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->private);
	g_clear_pointer(&signer->public, json_object_unref);
	g_free(signer->scheme);
	g_free(signer->keyid);
	proa_key_unref(signer->key);
	g_free(signer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSigner, signer_free)

static void signer_release(gpointer data)
{
	signer_free(data);
}

GPtrArray *proa_signers_new(void)
{
	return g_ptr_array_new_with_free_func(signer_release);
}

char *proa_signer_keyid_of(JsonObject *object, GError **error)
{
	g_autoptr(GBytes) canonical = proa_canonical_encode(object, error);

	return canonical ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, canonical) : NULL;
}

gboolean proa_signers_take(GPtrArray *signers, EVP_PKEY *private_taken, const char *where, GError **error)
{
	g_autoptr(ProaSigner) signer = g_new0(ProaSigner, 1);

	signer->private = private_taken;
	signer->public = public_object(private_taken, signer);
	ERR_clear_error();
	if (!signer->public && signer->scheme)
		return proa_fail(error, PROA_REASON_BAD_STATE,
			"%s: the private key's public half cannot be had; in a token it must be there with the same CKA_ID as the private one",
			where);
	if (!signer->public)
		return proa_fail(error, PROA_REASON_BAD_STATE,
			"%s: keys of the kind %s cannot be used (`proa-feed key --help` lists those that can)",
			where, EVP_PKEY_get0_type_name(private_taken));
	signer->keyid = proa_signer_keyid_of(signer->public, error);
	signer->key = signer->keyid ? proa_key_new(signer->keyid, signer->public, error) : NULL;
	if (!signer->key)
		return FALSE;
	if (!proa_key_identity(signer->key))
		return proa_fail(error, PROA_REASON_BAD_STATE, "%s: a key that no node would accept", where);
	g_ptr_array_add(signers, g_steal_pointer(&signer));
	return TRUE;
}

/* Writes @text to a new file that only its owner can read, durably. */
static gboolean write_private(const char *path, const char *text, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating the key %s", path);
	if (!proa_write_all(fd, text, strlen(text), error))
		return FALSE;
	return fsync(fd) == 0 || proa_fail_errno(error, PROA_REASON_IO, errno, "writing the key %s", path);
}

gboolean proa_signer_algorithm_valid(const char *algorithm)
{
	for (guint i = 0; i < G_N_ELEMENTS(choices); i++)
		if (strcmp(choices[i].name, algorithm) == 0)
			return TRUE;
	return FALSE;
}

/* Makes one key and appends its PEM to @bio. */
static gboolean generate_one(
	GPtrArray *signers, BIO *bio, const char *algorithm, const char *group, GError **error)
{
	EVP_PKEY *private = group ? EVP_PKEY_Q_keygen(NULL, NULL, algorithm, group)
				  : EVP_PKEY_Q_keygen(NULL, NULL, algorithm);

	if (!private || PEM_write_bio_PKCS8PrivateKey(bio, private, NULL, NULL, 0, NULL, NULL) != 1) {
		EVP_PKEY_free(private);
		return proa_fail(error, PROA_REASON_INTERNAL, "making a key: %s", openssl_reason());
	}
	return proa_signers_take(signers, private, "a new key", error);
}

gboolean proa_signers_generate(GPtrArray *signers, const char *path, const char *algorithm, GError **error)
{
	g_autoptr(BIO) bio = BIO_new(BIO_s_secmem());
	guint i = 0;

	while (i < G_N_ELEMENTS(choices) && strcmp(choices[i].name, algorithm) != 0)
		i++;
	if (i == G_N_ELEMENTS(choices))
		return proa_fail(error, PROA_REASON_USAGE, "\"%s\" is no kind of key", algorithm);
	if (!bio || !generate_one(signers, bio, choices[i].first, choices[i].first_group, error) ||
		(choices[i].second && !generate_one(signers, bio, choices[i].second, NULL, error)))
		return FALSE;
	g_autofree char *text = bio_text(bio);
	gboolean ok = write_private(path, text, error);
	OPENSSL_cleanse(text, strlen(text));
	return ok;
}

/* Every private key of a PEM file. */
static gboolean add_file(GPtrArray *signers, const char *path, GError **error)
{
	gsize size;
	guint before = signers->len;
	g_autofree char *text = proa_file_read(path, MAX_KEY_FILE, &size, error);

	if (!text)
		return FALSE;
	g_autoptr(BIO) bio = BIO_new_mem_buf(text, (int)size);
	EVP_PKEY *private;
	gboolean ok = TRUE;
	while (ok && bio && (private = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)))
		ok = proa_signers_take(signers, private, path, error);
	OPENSSL_cleanse(text, size);
	if (ok && signers->len == before)
		return proa_fail(error, PROA_REASON_BAD_STATE, "%s: no private key in PEM: %s", path,
			openssl_reason());
	ERR_clear_error();
	return ok;
}

gboolean proa_signers_add(GPtrArray *signers, const char *file_or_uri, GError **error)
{
	return g_str_has_prefix(file_or_uri, "pkcs11:") ? proa_pkcs11_add(signers, file_or_uri, error)
							: add_file(signers, file_or_uri, error);
}

/* The URI that a file holds. */
static gboolean add_uri_file(GPtrArray *signers, const char *path, GError **error)
{
	g_autofree char *uri = proa_file_read(path, MAX_KEY_FILE, NULL, error);

	if (!uri)
		return FALSE;
	g_strstrip(uri);
	if (!g_str_has_prefix(uri, "pkcs11:"))
		return proa_fail(error, PROA_REASON_BAD_STATE, "%s holds no pkcs11 URI", path);
	return proa_signers_add(signers, uri, error);
}

gboolean proa_signers_add_dir(GPtrArray *signers, const char *dir, GError **error)
{
	g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
	const char *name;

	if (!entries) {
		g_prefix_error(error, "keys: ");
		return FALSE;
	}
	while ((name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		if (g_str_has_suffix(name, ".pem") && !proa_signers_add(signers, path, error))
			return FALSE;
		if (g_str_has_suffix(name, ".uri") && !add_uri_file(signers, path, error))
			return FALSE;
	}
	return TRUE;
}

JsonObject *proa_signer_public(const ProaSigner *signer)
{
	return signer->public;
}

const char *proa_signer_keyid(const ProaSigner *signer)
{
	return signer->keyid;
}

const char *proa_signer_identity(const ProaSigner *signer)
{
	return proa_key_identity(signer->key);
}

static gboolean begin_signing(const ProaSigner *signer, EVP_MD_CTX *context)
{
	EVP_PKEY_CTX *inner = NULL;

	if (EVP_DigestSignInit_ex(context, &inner, signer->digest, NULL, NULL, signer->private, NULL) != 1)
		return FALSE;
	return !EVP_PKEY_is_a(signer->private, "RSA") ||
	       (EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1);
}

char *proa_signer_sign(const ProaSigner *signer, GBytes *canonical, GError **error)
{
	g_autoptr(GBytes) payload = proa_key_payload(signer->scheme, canonical);
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	gsize size, signature_size = 0;
	const guint8 *data = g_bytes_get_data(payload, &size);

	if (context && begin_signing(signer, context) &&
		EVP_DigestSign(context, NULL, &signature_size, data, size) == 1) {
		g_autofree guint8 *signature = g_malloc(signature_size);
		if (EVP_DigestSign(context, signature, &signature_size, data, size) == 1)
			return proa_hex_encode(signature, signature_size);
	}
	proa_fail(error, PROA_REASON_IO, "signing with key %.16s: %s", signer->keyid, openssl_reason());
	return NULL;
}

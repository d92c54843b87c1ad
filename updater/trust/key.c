/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/key.h"

#include "base/digest.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

typedef struct {
	const char *keytype;
	const char *scheme;
	const char *algorithm; /* what OpenSSL must say the key is */
	const char *group;     /* curve, NULL: none */
	const char *digest;    /* NULL: the algorithm has its own */
	gboolean hex;          /* keyval.public is the raw key in hexadecimal, not PEM */
	gboolean pss;
	gboolean prehash; /* TAP 21 */
} Scheme;

static const Scheme schemes[] = {
	{ .keytype = "ed25519", .scheme = "ed25519", .algorithm = "ED25519", .hex = TRUE },
	{ .keytype = "ecdsa",
		.scheme = "ecdsa-sha2-nistp256",
		.algorithm = "EC",
		.group = "prime256v1",
		.digest = "SHA256" },
	{ .keytype = "ecdsa",
		.scheme = "ecdsa-sha2-nistp384",
		.algorithm = "EC",
		.group = "secp384r1",
		.digest = "SHA384" },
	/* the specification's own spelling of the key type */
	{ .keytype = "ecdsa-sha2-nistp256",
		.scheme = "ecdsa-sha2-nistp256",
		.algorithm = "EC",
		.group = "prime256v1",
		.digest = "SHA256" },
	{ .keytype = "ecdsa-sha2-nistp384",
		.scheme = "ecdsa-sha2-nistp384",
		.algorithm = "EC",
		.group = "secp384r1",
		.digest = "SHA384" },
	{ .keytype = "ecdsa",
		.scheme = "ecdsa-sha2-nistp521",
		.algorithm = "EC",
		.group = "secp521r1",
		.digest = "SHA512" },
	{ .keytype = "rsa",
		.scheme = "rsassa-pss-sha256",
		.algorithm = "RSA",
		.digest = "SHA256",
		.pss = TRUE },
	{ .keytype = "rsa",
		.scheme = "rsassa-pss-sha384",
		.algorithm = "RSA",
		.digest = "SHA384",
		.pss = TRUE },
	{ .keytype = "rsa",
		.scheme = "rsassa-pss-sha512",
		.algorithm = "RSA",
		.digest = "SHA512",
		.pss = TRUE },
	/* not of the specification, but of the reference signing library, and what many HSMs can do */
	{ .keytype = "rsa", .scheme = "rsa-pkcs1v15-sha256", .algorithm = "RSA", .digest = "SHA256" },
	{ .keytype = "rsa", .scheme = "rsa-pkcs1v15-sha384", .algorithm = "RSA", .digest = "SHA384" },
	{ .keytype = "rsa", .scheme = "rsa-pkcs1v15-sha512", .algorithm = "RSA", .digest = "SHA512" },
	{ .keytype = "ml-dsa", .scheme = "ml-dsa-44/1", .algorithm = "ML-DSA-44", .prehash = TRUE },
	{ .keytype = "ml-dsa", .scheme = "ml-dsa-65/1", .algorithm = "ML-DSA-65", .prehash = TRUE },
	{ .keytype = "ml-dsa", .scheme = "ml-dsa-87/1", .algorithm = "ML-DSA-87", .prehash = TRUE },
};

struct ProaKey {
	char *id;
	char *identity;
	const Scheme *scheme; /* NULL: unknown */
	EVP_PKEY *public;     /* NULL: not usable */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

static const Scheme *scheme_find(const char *keytype, const char *name)
{
	for (guint i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (strcmp(schemes[i].keytype, keytype) == 0 && strcmp(schemes[i].scheme, name) == 0)
			return &schemes[i];
	return NULL;
}

static EVP_PKEY *load_hex(const char *text)
{
	guint8 raw[32];

	if (!proa_hex_decode(text, raw, sizeof raw))
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, sizeof raw);
}

/* OpenSSL would ask the terminal for the passphrase of a PEM block that says it is encrypted. */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	return 0;
}

static EVP_PKEY *load_pem(const char *text)
{
	gsize length = strlen(text);

	if (length > PROA_KEY_MAX_PEM)
		return NULL;
	g_autoptr(BIO) bio = BIO_new_mem_buf(text, (int)length);
	return bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
}

/* Whether the key is what its scheme says, and of a strength that we accept. */
static gboolean key_fits(EVP_PKEY *public, const Scheme *scheme)
{
	char group[64];

	if (!EVP_PKEY_is_a(public, scheme->algorithm))
		return FALSE;
	if (scheme->group && (EVP_PKEY_get_group_name(public, group, sizeof group, NULL) != 1 ||
				     strcmp(group, scheme->group) != 0))
		return FALSE;
	if (strcmp(scheme->algorithm, "RSA") == 0) {
		int bits = EVP_PKEY_get_bits(public);
		return bits >= PROA_KEY_MIN_RSA_BITS && bits <= PROA_KEY_MAX_RSA_BITS;
	}
	return TRUE;
}

/*
 * The digest of the DER form. A point on a curve has several spellings (compressed or not, the curve by name
 * or by its parameters): one of them is taken for all, or one key could meet a threshold of two.
 */
static char *identity_of(EVP_PKEY *public, const Scheme *scheme)
{
	guint8 *der = NULL;

	if (scheme->group && (EVP_PKEY_set_utf8_string_param(public,
				      OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1 ||
				     EVP_PKEY_set_utf8_string_param(public, OSSL_PKEY_PARAM_EC_ENCODING,
					     OSSL_PKEY_EC_ENCODING_GROUP) != 1))
		return NULL;
	int size = i2d_PUBKEY(public, &der);
	if (size <= 0)
		return NULL;
	char *identity = proa_sha256_hex(der, (gsize)size);
	OPENSSL_free(der);
	return identity;
}

ProaKey *proa_key_new(const char *keyid, JsonObject *object, GError **error)
{
	const char *keytype = proa_json_string(object, "keytype", PROA_REASON_BAD_METADATA, error);
	const char *name =
		keytype ? proa_json_string(object, "scheme", PROA_REASON_BAD_METADATA, error) : NULL;
	JsonObject *keyval =
		name ? proa_json_object(object, "keyval", PROA_REASON_BAD_METADATA, error) : NULL;

	if (!keyval) {
		g_prefix_error(error, "key %s: ", keyid);
		return NULL;
	}
	ProaKey *key = g_atomic_rc_box_new0(ProaKey);
	key->id = g_strdup(keyid);
	key->scheme = scheme_find(keytype, name);
	const char *text = proa_json_string_or(keyval, "public", NULL);
	if (!key->scheme || !text)
		return key;

	g_autoptr(EVP_PKEY) public = key->scheme->hex ? load_hex(text) : load_pem(text);
	if (public && key_fits(public, key->scheme))
		key->identity = identity_of(public, key->scheme);
	if (key->identity)
		key->public = g_steal_pointer(&public);
	ERR_clear_error();
	return key;
}

ProaKey *proa_key_ref(ProaKey *key)
{
	return g_atomic_rc_box_acquire(key);
}

static void key_clear(gpointer data)
{
	ProaKey *key = data;

	g_free(key->id);
	g_free(key->identity);
	EVP_PKEY_free(key->public);
}

void proa_key_unref(ProaKey *key)
{
	if (key)
		g_atomic_rc_box_release_full(key, key_clear);
}

const char *proa_key_id(const ProaKey *key)
{
	return key->id;
}

const char *proa_key_identity(const ProaKey *key)
{
	return key->identity;
}

/* TAP 21, version 1: "tuf", 0x01, SHA-512 of the message. */
static GBytes *prehashed(GBytes *message)
{
	guint8 payload[4 + 64] = { 't', 'u', 'f', 1 };
	gsize digest_size = sizeof payload - 4;
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA512);

	gsize size;
	const guint8 *data = g_bytes_get_data(message, &size);
	g_checksum_update(checksum, data, (gssize)size);
	g_checksum_get_digest(checksum, payload + 4, &digest_size);
	return g_bytes_new(payload, sizeof payload);
}

GBytes *proa_key_payload(const char *scheme, GBytes *message)
{
	for (guint i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (schemes[i].prehash && strcmp(schemes[i].scheme, scheme) == 0)
			return prehashed(message);
	return g_bytes_ref(message);
}

static gboolean begin_verify(EVP_MD_CTX *context, const ProaKey *key)
{
	EVP_PKEY_CTX *inner = NULL;

	if (EVP_DigestVerifyInit_ex(context, &inner, key->scheme->digest, NULL, NULL, key->public, NULL) != 1)
		return FALSE;
	/* The salt's length is the signer's choice, as in the reference signing library. */
	return !key->scheme->pss ||
	       (EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_AUTO) == 1);
}

gboolean proa_key_verify(const ProaKey *key, GBytes *message, GBytes *signature)
{
	gsize size, signature_size;
	const guint8 *signature_data = g_bytes_get_data(signature, &signature_size);
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();

	if (!key->public || !context || signature_size == 0)
		return FALSE;
	g_autoptr(GBytes) payload = key->scheme->prehash ? prehashed(message) : g_bytes_ref(message);
	const guint8 *data = g_bytes_get_data(payload, &size);
	gboolean ok = begin_verify(context, key) &&
		      EVP_DigestVerify(context, signature_data, signature_size, data, size) == 1;
	/* A bad signature is no event: leave nothing in the thread's queue for others to find. */
	ERR_clear_error();
	return ok;
}

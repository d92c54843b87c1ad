/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/signer.h"

#include "base/digest.h"
#include "base/file.h"
#include "updater/trust/canonical.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KEY_FILE 32768

struct ProaSigner {
	EVP_PKEY *private;
	JsonObject *public;
	char *scheme;
	char *keyid;
	ProaKey *key; /* the public key as a client sees it */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

/* What we sign with, by OpenSSL's name; updater/trust/key.c has the table of what we verify. */
static const struct {
	const char *algorithm, *keytype, *scheme;
} algorithms[] = {
	{ "ED25519", "ed25519", "ed25519" },
	{ "ML-DSA-44", "ml-dsa", "ml-dsa-44/1" },
	{ "ML-DSA-65", "ml-dsa", "ml-dsa-65/1" },
	{ "ML-DSA-87", "ml-dsa", "ml-dsa-87/1" },
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

/* keyval.public: raw hexadecimal for Ed25519, PEM for all else. */
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

static JsonObject *public_object(EVP_PKEY *private, char **ret_scheme)
{
	for (guint i = 0; i < G_N_ELEMENTS(algorithms); i++) {
		if (!EVP_PKEY_is_a(private, algorithms[i].algorithm))
			continue;
		g_autofree char *text = public_text(private);
		if (!text)
			return NULL;
		JsonObject *object = json_object_new(), *value = json_object_new();
		json_object_set_string_member(value, "public", text);
		json_object_set_string_member(object, "keytype", algorithms[i].keytype);
		json_object_set_string_member(object, "scheme", algorithms[i].scheme);
		json_object_set_object_member(object, "keyval", value);
		*ret_scheme = g_strdup(algorithms[i].scheme);
		return object;
	}
	return NULL;
}

/* Takes @private_taken. */
static ProaSigner *signer_new(EVP_PKEY *private_taken, const char *path, GError **error)
{
	g_autoptr(ProaSigner) signer = g_new0(ProaSigner, 1);

	signer->private = private_taken;
	signer->public = public_object(private_taken, &signer->scheme);
	if (!signer->public) {
		proa_fail(error, PROA_REASON_BAD_STATE, "%s: neither an Ed25519 nor an ML-DSA key", path);
		return NULL;
	}
	g_autoptr(GBytes) canonical = proa_canonical_encode(signer->public, error);
	if (!canonical)
		return NULL;
	signer->keyid = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, canonical);
	signer->key = proa_key_new(signer->keyid, signer->public, error);
	return signer->key ? g_steal_pointer(&signer) : NULL;
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

ProaSigner *proa_signer_generate(const char *path, GError **error)
{
	EVP_PKEY *private = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	g_autoptr(BIO) bio = BIO_new(BIO_s_secmem());

	if (!private || !bio || PEM_write_bio_PKCS8PrivateKey(bio, private, NULL, NULL, 0, NULL, NULL) != 1) {
		EVP_PKEY_free(private);
		proa_fail(error, PROA_REASON_INTERNAL, "making a key: %s", openssl_reason());
		return NULL;
	}
	g_autoptr(ProaSigner) signer = signer_new(private, path, error);
	g_autofree char *text = bio_text(bio);
	gboolean ok = signer && write_private(path, text, error);
	OPENSSL_cleanse(text, strlen(text));
	return ok ? g_steal_pointer(&signer) : NULL;
}

ProaSigner *proa_signer_load(const char *path, GError **error)
{
	gsize size;
	g_autofree char *text = proa_file_read(path, MAX_KEY_FILE, &size, error);

	if (!text)
		return NULL;
	g_autoptr(BIO) bio = BIO_new_mem_buf(text, (int)size);
	EVP_PKEY *private = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	OPENSSL_cleanse(text, size);
	if (!private) {
		proa_fail(error, PROA_REASON_BAD_STATE, "%s: no private key in PEM: %s", path,
			openssl_reason());
		return NULL;
	}
	return signer_new(private, path, error);
}

void proa_signer_free(ProaSigner *signer)
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

static void signer_release(gpointer data)
{
	proa_signer_free(data);
}

GPtrArray *proa_signers_load(const char *dir, GError **error)
{
	g_autoptr(GPtrArray) signers = g_ptr_array_new_with_free_func(signer_release);
	g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
	const char *name;

	if (!entries) {
		g_prefix_error(error, "keys: ");
		return NULL;
	}
	while ((name = g_dir_read_name(entries))) {
		if (!g_str_has_suffix(name, ".pem"))
			continue;
		g_autofree char *path = g_build_filename(dir, name, NULL);
		ProaSigner *signer = proa_signer_load(path, error);
		if (!signer)
			return NULL;
		g_ptr_array_add(signers, signer);
	}
	return g_steal_pointer(&signers);
}

JsonObject *proa_signer_public(const ProaSigner *signer)
{
	return signer->public;
}

const char *proa_signer_keyid(const ProaSigner *signer)
{
	return signer->keyid;
}

/* One signature in hexadecimal. */
static char *sign_one(const ProaSigner *signer, GBytes *canonical, GError **error)
{
	g_autoptr(GBytes) payload = proa_key_payload(signer->scheme, canonical);
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	gsize size, signature_size = 0;
	const guint8 *data = g_bytes_get_data(payload, &size);

	if (context && EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, signer->private, NULL) == 1 &&
		EVP_DigestSign(context, NULL, &signature_size, data, size) == 1) {
		g_autofree guint8 *signature = g_malloc(signature_size);
		if (EVP_DigestSign(context, signature, &signature_size, data, size) == 1)
			return proa_hex_encode(signature, signature_size);
	}
	proa_fail(error, PROA_REASON_INTERNAL, "signing: %s", openssl_reason());
	return NULL;
}

/* The key of @role that this signer holds, or NULL. Its id there may be another than ours. */
static const ProaKey *key_of(const ProaSigner *signer, const ProaRoleKeys *role)
{
	for (guint i = 0; i < role->keys->len; i++) {
		const ProaKey *key = g_ptr_array_index(role->keys, i);
		if (g_strcmp0(proa_key_identity(key), proa_key_identity(signer->key)) == 0)
			return key;
	}
	return NULL;
}

GBytes *proa_signers_sign(const GPtrArray *signers, const ProaRoleKeys *role, JsonObject *content,
	const char *what, GError **error)
{
	g_autoptr(GBytes) canonical = proa_canonical_encode(content, error);
	g_autoptr(JsonObject) envelope = json_object_new();
	g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL); /* two files may hold one key */
	JsonArray *signatures = json_array_new();

	json_object_set_array_member(envelope, "signatures", signatures);
	if (!canonical)
		return NULL;
	for (guint i = 0; i < signers->len; i++) {
		const ProaSigner *signer = g_ptr_array_index(signers, i);
		const ProaKey *key = key_of(signer, role);
		if (!key || !g_hash_table_add(used, (gpointer)(guintptr)key))
			continue;
		g_autofree char *hex = sign_one(signer, canonical, error);
		if (!hex)
			return NULL;
		JsonObject *signature = json_object_new();
		json_object_set_string_member(signature, "keyid", proa_key_id(key));
		json_object_set_string_member(signature, "sig", hex);
		json_array_add_object_element(signatures, signature);
	}
	if (json_array_get_length(signatures) < role->threshold) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "%u of the %u keys that must sign %s are at hand",
			json_array_get_length(signatures), role->threshold, what);
		return NULL;
	}
	json_object_set_object_member(envelope, "signed", json_object_ref(content));
	char *text = proa_json_to_line(envelope);
	return g_bytes_new_take(text, strlen(text));
}

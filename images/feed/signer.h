/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer: private keys of a feed's roles and signing with them. A key lies in a PKCS#8 PEM file, of which one
 * may hold several (a hybrid key is an Ed25519 key and an ML-DSA-65 key), or in a token that pkcs11.h
 * reaches.
 */
#pragma once

#include "updater/trust/signed.h"

#include <openssl/types.h>

typedef struct ProaSigner ProaSigner;

/* What keys are made: "hybrid", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "ecdsa-p256", "ecdsa-p384".
 */
#define PROA_SIGNER_DEFAULT_ALGORITHM "hybrid"
gboolean proa_signer_algorithm_valid(const char *algorithm);

/* An array of ProaSigner that owns them. */
GPtrArray *proa_signers_new(void);

/*
 * Makes the keys of @algorithm, writes them to @path (mode 0600), which must not exist, and adds them to
 * @signers.
 */
gboolean proa_signers_generate(GPtrArray *signers, const char *path, const char *algorithm,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds a private key; takes @private_taken. BAD_STATE if it is of a kind that we can't sign with. */
gboolean proa_signers_take(GPtrArray *signers, EVP_PKEY *private_taken, const char *where,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Adds the keys of a PEM file, or those that a "pkcs11:" URI names. BAD_STATE if there is none that we can
 * sign with (Ed25519, ML-DSA, ECDSA on P-256, P-384 and P-521, RSA from 2048 bits on), or a file error.
 */
gboolean proa_signers_add(
	GPtrArray *signers, const char *file_or_uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * All keys of a directory: "*.pem", and what the URIs in "*.uri" name (one URI a file). A missing directory
 * is an error.
 */
gboolean proa_signers_add_dir(GPtrArray *signers, const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The public key as a TUF object, and its id: the SHA-256 of that object's canonical form. Owned by the
 * signer. */
JsonObject *proa_signer_public(const ProaSigner *signer);
const char *proa_signer_keyid(const ProaSigner *signer);

/* What makes it the same key as another (proa_key_identity()). Owned by the signer. */
const char *proa_signer_identity(const ProaSigner *signer);

/* A signature of @canonical in hexadecimal, to be freed with g_free(); NULL with IO. */
char *proa_signer_sign(const ProaSigner *signer, GBytes *canonical, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The id of a public key that stands in metadata as @object; free with g_free(). NULL with BAD_METADATA. */
char *proa_signer_keyid_of(JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;

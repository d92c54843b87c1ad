/* SPDX-License-Identifier: Apache-2.0 */
/* signer: private keys of a feed's roles, in PKCS#8 PEM files, and signing with them. */
#pragma once

#include "updater/trust/signed.h"

typedef struct ProaSigner ProaSigner;

/* Makes an Ed25519 key and writes it to @path (mode 0600), which must not exist. */
ProaSigner *proa_signer_generate(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Loads a key. BAD_STATE if the file holds none that we can sign with (Ed25519 and ML-DSA), or a file error.
 */
ProaSigner *proa_signer_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_signer_free(ProaSigner *signer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSigner, proa_signer_free)

/* All keys of a directory ("*.pem"); an array of ProaSigner that owns them. A missing directory is an error.
 */
GPtrArray *proa_signers_load(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The public key as a TUF object, and its id: the SHA-256 of that object's canonical form. Owned by the
 * signer. */
JsonObject *proa_signer_public(const ProaSigner *signer);
const char *proa_signer_keyid(const ProaSigner *signer);

/*
 * Signs @content with every signer whose key is one of @role, and makes the envelope, ready to be served.
 * NOT_FOUND if the keys at hand do not meet the threshold of the role, which errors call @what.
 */
GBytes *proa_signers_sign(const GPtrArray *signers, const ProaRoleKeys *role, JsonObject *content,
	const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;

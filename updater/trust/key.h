/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: public keys as TUF metadata writes them, and the check of one signature, all through OpenSSL's EVP.
 *
 * Names of key types and schemes are those of the reference signing library; for ML-DSA those of TAP 21: what
 * is signed is "tuf", the version byte 1 and the SHA-512 of the message, with pure ML-DSA and an empty
 * context. The table of schemes is in key.c, and docs/trust.md repeats it.
 */
#pragma once

#include "base/json.h"

/* A PEM key longer than this is not looked at (RSA-8192 needs 1.5 kB, ML-DSA-87 3.7 kB). Bytes. */
#define PROA_KEY_MAX_PEM 8192
/* RSA keys below are too weak (TUF 4.2), those above only cost time. Bits. */
#define PROA_KEY_MIN_RSA_BITS 2048
#define PROA_KEY_MAX_RSA_BITS 8192

typedef struct ProaKey ProaKey;

/*
 * The key of the TUF object @object ({"keytype", "scheme", "keyval"}), listed under @keyid.
 * A key whose type or scheme is unknown, or whose value does not load, is no error: it is kept, verifies
 * nothing and so never counts; one feed may serve clients of several ages. NULL with BAD_METADATA if the
 * object is no key at all.
 */
ProaKey *proa_key_new(const char *keyid, JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
ProaKey *proa_key_ref(ProaKey *key);
void proa_key_unref(ProaKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaKey, proa_key_unref)

/* The id it is listed under. Owned by the key. */
const char *proa_key_id(const ProaKey *key);

/*
 * What makes it the same key as another, whatever its id, scheme or spelling: the digest of its DER public
 * key. NULL if the key is not usable. Owned by the key.
 */
const char *proa_key_identity(const ProaKey *key);

/* Whether @signature is a signature of @message by this key. Anything wrong with either is simply FALSE. */
gboolean proa_key_verify(const ProaKey *key, GBytes *message, GBytes *signature);

/*
 * The bytes that a scheme hands to the signing algorithm for @message: the message itself, or for ML-DSA the
 * byte string of TAP 21. Publishers use it too.
 */
GBytes *proa_key_payload(const char *scheme, GBytes *message);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs11: keys that never leave their token, through OpenSSL's provider "pkcs11" (Debian's pkcs11-provider).
 * Which module it talks to is said by OpenSSL's configuration or PKCS11_PROVIDER_MODULE; the PIN by the URI
 * (pin-value, pin-source) or at the terminal.
 */
#pragma once

#include "images/feed/signer.h"

/* Adds every private key that @uri names. NOT_FOUND without provider, token or key, BAD_STATE for an unfit
 * key. */
gboolean proa_pkcs11_add(GPtrArray *signers, const char *uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;

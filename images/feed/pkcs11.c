/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/pkcs11.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_CTX, OSSL_STORE_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_INFO, OSSL_STORE_INFO_free)

/* Once a process: a provider that is loaded by name switches the default one off, so that is named as well.
 */
static gboolean load_provider(GError **error)
{
	static gsize loaded;
	static OSSL_PROVIDER *ordinary, *pkcs11; /* for as long as the process lives */

	if (g_once_init_enter(&loaded)) {
		ordinary = OSSL_PROVIDER_load(NULL, "default");
		pkcs11 = ordinary ? OSSL_PROVIDER_load(NULL, "pkcs11") : NULL;
		g_once_init_leave(&loaded, 1);
	}
	if (pkcs11)
		return TRUE;
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	proa_fail(error, PROA_REASON_NOT_FOUND,
		"OpenSSL's provider pkcs11 cannot be loaded (package pkcs11-provider): %s",
		why ? why : "not there");
	ERR_clear_error();
	return FALSE;
}

/* A PIN in a URI is not for messages. */
static char *without_pin(const char *uri)
{
	const char *pin = strstr(uri, "pin-value=");

	return pin ? g_strdup_printf("%.*spin-value=...", (int)(pin - uri), uri) : g_strdup(uri);
}

/* Takes the private keys out of the store, one by one. *@ret_public: whether a public key was there. */
static gboolean take_keys(
	GPtrArray *signers, OSSL_STORE_CTX *store, const char *name, gboolean *ret_public, GError **error)
{
	while (!OSSL_STORE_eof(store)) {
		g_autoptr(OSSL_STORE_INFO) info = OSSL_STORE_load(store);
		int type = info ? OSSL_STORE_INFO_get_type(info) : 0;
		*ret_public |= type == OSSL_STORE_INFO_PUBKEY;
		if (type != OSSL_STORE_INFO_PKEY)
			continue;
		EVP_PKEY *key = OSSL_STORE_INFO_get1_PKEY(info);
		if (key && !proa_signers_take(signers, key, name, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_pkcs11_add(GPtrArray *signers, const char *uri, GError **error)
{
	g_autofree char *name = without_pin(uri);
	guint before = signers->len;

	if (!load_provider(error))
		return FALSE;
	gboolean public = FALSE;
	g_autoptr(OSSL_STORE_CTX) store =
		OSSL_STORE_open_ex(uri, NULL, "provider=pkcs11", UI_OpenSSL(), NULL, NULL, NULL, NULL);
	if (store && !take_keys(signers, store, name, &public, error))
		return FALSE;
	if (signers->len > before) {
		ERR_clear_error();
		return TRUE;
	}
	/* A token says neither what is wrong with a PIN nor with a name: it shows what may be seen without.
	 */
	const char *module = g_getenv("PKCS11_PROVIDER_MODULE");
	if (!store)
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"%s: the token's library cannot be used: PKCS11_PROVIDER_MODULE is %s", name,
			module ? module : "not set, and p11-kit chose none");
	else if (public)
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"%s: the public half is in the token, the private one cannot be seen: it has another label, or the PIN is missing or wrong (?pin-source=FILE at the end of the URI)",
			name);
	else
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"%s names no private key: `pkcs11-tool --list-token-slots` and `--login --list-objects` show the labels of tokens and keys; or the PIN is missing or wrong (?pin-source=FILE)",
			name);
	ERR_clear_error();
	return FALSE;
}

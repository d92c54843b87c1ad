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

/* Takes the private keys out of the store, one by one. */
static gboolean take_keys(GPtrArray *signers, OSSL_STORE_CTX *store, const char *name, GError **error)
{
	while (!OSSL_STORE_eof(store)) {
		g_autoptr(OSSL_STORE_INFO) info = OSSL_STORE_load(store);
		if (!info || OSSL_STORE_INFO_get_type(info) != OSSL_STORE_INFO_PKEY)
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
	g_autoptr(OSSL_STORE_CTX) store =
		OSSL_STORE_open_ex(uri, NULL, "provider=pkcs11", UI_OpenSSL(), NULL, NULL, NULL, NULL);
	if (store) {
		/* A token may not know how to list by kind; what is no key is passed over then. */
		(void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
		if (!take_keys(signers, store, name, error))
			return FALSE;
	}
	if (signers->len > before) {
		ERR_clear_error();
		return TRUE;
	}
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	/* What the provider says then is "General Error". */
	const char *hint =
		g_getenv("PKCS11_PROVIDER_MODULE")
			? ""
			: " (PKCS11_PROVIDER_MODULE names the token's library; without it p11-kit chooses)";
	proa_fail(error, PROA_REASON_NOT_FOUND, "%s names no private key%s%s%s", name, why ? ": " : "",
		why ? why : "", hint);
	ERR_clear_error();
	return FALSE;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "base/version.h"
#include "updater/trust/token.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as a break-glass token. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(ProaToken) token = proa_token_parse(bytes, &error);

	g_assert_true((token == NULL) == (error != NULL));
	if (!token)
		return 0;
	g_assert_true(proa_version_valid(token->release));
	g_assert_true((token->node == NULL) != (token->pool == NULL));
	return 0;
}

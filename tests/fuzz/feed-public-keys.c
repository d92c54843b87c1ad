/* SPDX-License-Identifier: Apache-2.0 */
// link: feed
#include "images/feed/keyset.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as a holder's file of public keys. What is taken has an id each, and a threshold can be set. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	gboolean ok = proa_keyset_parse_public(keyset, (const char *)data, size, "input", &error);

	g_assert_true(ok == (error == NULL));
	g_assert_cmpuint(keyset->ids->len, ==, keyset->objects->len);
	if (!ok)
		return 0;
	guint holders = proa_keyset_holders(keyset);
	g_assert_cmpuint(holders, >=, 1);
	g_assert_cmpuint(holders, <=, keyset->ids->len);
	if (proa_keyset_set_holders(keyset, holders, NULL))
		g_assert_cmpuint(keyset->threshold, <=, keyset->ids->len);
	return 0;
}

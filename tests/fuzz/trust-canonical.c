/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/canonical.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes: read or refused; the canonical form is JSON again, and its own canonical form unless it escapes.
 */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) object = NULL;
	g_autoptr(GBytes) canonical = NULL;
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *text = g_memdup2(data, size);

	if (!proa_canonical_parse(text ? text : "", size, "input", NULL, &object, &canonical, &error)) {
		g_assert_nonnull(error);
		g_assert_null(object);
		return 0;
	}
	/* What we hold in memory has the same canonical form as what we read, unless it holds an integer over
	 * 64 bits. */
	g_autoptr(GBytes) again = proa_canonical_encode(object, NULL);
	g_assert_true(!again || g_bytes_equal(again, canonical));
	return 0;
}

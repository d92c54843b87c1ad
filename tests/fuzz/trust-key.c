/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/canonical.h"
#include "updater/trust/key.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any JSON object as a key; whatever it is, it verifies no signature that is not there. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) object = NULL;
	g_autofree char *text = g_memdup2(data, size);

	if (!proa_canonical_parse(text ? text : "", size, "input", NULL, &object, NULL, NULL))
		return 0;
	g_autoptr(ProaKey) key = proa_key_new("id", object, &error);
	g_assert_true((key == NULL) == (error != NULL));
	if (!key)
		return 0;
	g_autoptr(GBytes) message = g_bytes_new(data, size), empty = g_bytes_new_static("", 0);
	g_assert_false(proa_key_verify(key, message, empty));
	g_assert_false(proa_key_verify(key, message, message));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/snapshot.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as snapshot metadata; what was read follows itself. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(ProaSnapshot) snapshot = proa_snapshot_parse(bytes, "input", &error);

	g_assert_true((snapshot == NULL) == (error != NULL));
	if (snapshot)
		g_assert_true(proa_snapshot_check_follows(snapshot, snapshot, NULL));
	return 0;
}

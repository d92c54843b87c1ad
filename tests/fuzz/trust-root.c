/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/root.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as root metadata: keys, roles and thresholds, and the check of its own signatures. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(ProaRoot) root = proa_root_parse(bytes, "input", &error);

	g_assert_true((root == NULL) == (error != NULL));
	if (!root)
		return 0;
	g_assert_cmpint(root->head.version, >=, 1);
	for (int role = 0; role < _PROA_ROLE_MAX; role++) {
		g_autoptr(GError) inner = NULL;
		gboolean ok = proa_signed_check(root->file, root->roles[role], "input", &inner);
		g_assert_true(ok == (inner == NULL));
		g_assert_true(!ok || root->roles[role]->threshold <= root->roles[role]->keys->len);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/targets.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as targets metadata: targets, and whom it delegates what to. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(ProaTargets) targets = proa_targets_parse(bytes, "input", &error);
	GHashTableIter iter;
	gpointer path, target;

	g_assert_true((targets == NULL) == (error != NULL));
	if (!targets)
		return 0;
	g_hash_table_iter_init(&iter, targets->targets);
	while (g_hash_table_iter_next(&iter, &path, &target)) {
		g_autofree char *url = proa_trust_target_url_path(target);
		g_assert_true(g_str_has_prefix(url, "targets/"));
		g_assert_false(proa_trust_check_target(target, bytes, NULL));
		if (!targets->delegations)
			continue;
		g_autoptr(GPtrArray) exactly = proa_delegations_for_path(targets->delegations, path);
		g_autoptr(GPtrArray) perhaps = proa_delegations_for_prefix(targets->delegations, path);
		g_assert_true(exactly && perhaps);
	}
	return 0;
}

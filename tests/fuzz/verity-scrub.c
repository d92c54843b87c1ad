/* SPDX-License-Identifier: Apache-2.0 */
// link: verity
#include "verity/scrub.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DATA_SIZE (300 * 4096)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes where a hash tree should be, over data of a size that does not change: judged or refused, and
 * soon. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static const char root_hash[] = "1111111111111111111111111111111111111111111111111111111111111111";
	int slot = memfd_create("data", MFD_CLOEXEC), tree = memfd_create("tree", MFD_CLOEXEC);
	g_autofree char *slot_path = g_strdup_printf("/proc/self/fd/%d", slot);
	g_autofree char *tree_path = g_strdup_printf("/proc/self/fd/%d", tree);
	g_autoptr(GError) error = NULL;
	ProaScrub scrub = { 0 };

	g_assert(slot >= 0 && tree >= 0 && ftruncate(slot, DATA_SIZE) == 0);
	g_assert(size == 0 || write(tree, data, size) == (ssize_t)size);
	if (proa_scrub(slot_path, tree_path, root_hash, 0, NULL, NULL, &scrub, &error))
		g_assert(scrub.bad > 0 && scrub.blocks <= DATA_SIZE / 4096 + 1);
	else
		g_assert(error);
	close(slot);
	close(tree);
	return 0;
}

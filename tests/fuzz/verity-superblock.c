/* SPDX-License-Identifier: Apache-2.0 */
// link: leaves
#include "verity/leaves.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	guint8 superblock[512] = { 0 };
	ProaVerityLeaves leaves = { .fd = -1 };

	memcpy(superblock, data, MIN(size, sizeof superblock));
	if (proa_verity_superblock_parse(superblock, &leaves, &error)) {
		g_assert(leaves.blocks >= 2 && leaves.offset >= 4096 && leaves.offset % 4096 == 0);
		g_assert(leaves.offset < leaves.blocks * 4096);
	} else {
		g_assert(error);
	}
	return 0;
}

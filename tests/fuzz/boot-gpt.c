/* SPDX-License-Identifier: Apache-2.0 */
// link: boot
#include "base/file.h"
#include "boot/disk.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static guint32 crc32_of(const guint8 *data, gsize size)
{
	guint32 crc = ~0U;

	for (gsize i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

/* Any disk. The input is what begins at the GPT's header; its CRC is made right, since no fuzzer would find
 * it. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static int fd = -1;
	g_autofree guint8 *copy = g_memdup2(data, size);

	if (fd < 0)
		fd = memfd_create("disk", MFD_CLOEXEC);
	if (size >= 92) {
		memset(copy + 16, 0, 4);
		guint32 crc = crc32_of(copy, 92);
		memcpy(copy + 16, &crc, 4);
	}
	g_assert(ftruncate(fd, 0) == 0 && proa_pwrite_all(fd, copy, size, 512, NULL));
	g_autoptr(GPtrArray) list = proa_gpt_read(fd, 512, NULL);
	for (guint i = 0; list && i < list->len; i++) {
		const ProaPartition *partition = g_ptr_array_index(list, i);
		g_assert(strlen(partition->uuid) == 36 && strlen(partition->label) <= 36);
	}
	return 0;
}

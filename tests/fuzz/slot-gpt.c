/* SPDX-License-Identifier: Apache-2.0 */
// link: slot
#include "updater/slot/gpt.h"

#include <sys/mman.h>
#include <unistd.h>

#define SECTOR 512
#define DISK_SIZE (1u << 20)
#define HEAD_SIZE (2 * SECTOR + PROA_GPT_ENTRIES_SIZE)
#define TAIL_SIZE (SECTOR + PROA_GPT_ENTRIES_SIZE)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* The input is the start of a disk, and then its end. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	size_t head = MIN(size, HEAD_SIZE), tail = MIN(size - head, TAIL_SIZE);
	g_auto(ProaGptCopies) copies = { 0 };

	g_assert(ftruncate(fd, DISK_SIZE) == 0);
	g_assert(pwrite(fd, data, head, 0) == (ssize_t)head);
	g_assert(pwrite(fd, data + head, tail, DISK_SIZE - TAIL_SIZE) == (ssize_t)tail);
	g_assert(proa_gpt_copies_read(fd, SECTOR, DISK_SIZE, &copies, NULL));
	gboolean both = proa_gpt_copies_primary_valid(&copies) & proa_gpt_copies_backup_valid(&copies);
	g_assert(proa_gpt_copies_write(fd, &copies, FALSE, NULL) == both);
	close(fd);
	return 0;
}

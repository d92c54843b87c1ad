/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <glib.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

void proa_pages_keep_few(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	(void)mallopt(M_ARENA_MAX, 1);
}

/* Segments that are never written hold what the file holds. Those that the loader relocates are not among
 * them. */
static int drop(struct dl_phdr_info *object, gsize size, gpointer data)
{
	const gsize page = *(const gsize *)data;

	for (guint i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		ElfW(Addr) begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
		begin -= begin % page;
		/* What is no mapping of a file, as the kernel's own vdso, is refused: it stays. */
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void proa_pages_drop_code(void)
{
	gsize page = (gsize)sysconf(_SC_PAGESIZE);

	dl_iterate_phdr(drop, &page);
}

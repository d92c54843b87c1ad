/* SPDX-License-Identifier: Apache-2.0 */
// link: boot
#include "boot/merge.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes in place of a list of what a release shipped: read, and what was read is no path without a
 * fingerprint. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	int fd = memfd_create("list", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	GHashTableIter iter;
	gpointer key, value;

	g_assert(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	g_autoptr(GHashTable) list = proa_merge_load(path);
	g_hash_table_iter_init(&iter, list);
	while (g_hash_table_iter_next(&iter, &key, &value))
		g_assert(key && *(const char *)value);
	close(fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: boot
#include "base/file.h"
#include "boot/uki.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any file on the ESP: what is read is under the cap and has no NUL inside; a root hash is one. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("uki", MFD_CLOEXEC);
	g_assert(ftruncate(fd, 0) == 0 && proa_pwrite_all(fd, data, size, 0, NULL));
	g_autofree char *os_release = proa_uki_section(fd, ".osrel", NULL);
	g_autofree char *root_hash = proa_uki_root_hash(fd, NULL);

	g_assert(!os_release || strlen(os_release) <= PROA_UKI_MAX_SECTION);
	g_assert(!root_hash || strlen(root_hash) == 64);
	if (os_release) {
		g_autofree char *value = proa_os_release_value(os_release, "IMAGE_VERSION");
		g_assert(!value || !strchr(value, '\n'));
	}
	return 0;
}

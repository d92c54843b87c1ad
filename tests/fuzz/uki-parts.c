/* SPDX-License-Identifier: Apache-2.0 */
// link: maker
#include "images/payload/parts.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* PE sections, and in each the kernel and the files of an archive, all within the bytes given. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static const char *const names[] = { ".linux", ".initrd" };
	g_autoptr(GPtrArray) files = proa_parts_new();
	ProaRange section, frame;

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		if (!proa_parts_section(data, size, names[i], &section))
			continue;
		g_assert(section.at <= size && section.length <= size - section.at);
		if (proa_parts_kernel(data + section.at, section.length, &frame))
			g_assert(frame.at + frame.length <= section.length);
		proa_parts_files(data + section.at, section.length, section.at, files);
	}
	proa_parts_files(data, size, 0, files);
	for (guint i = 0; i < files->len; i++) {
		const ProaErofsFile *file = files->pdata[i];
		g_assert(file->blocks_at <= size && file->blocks <= size - file->blocks_at);
	}
	return 0;
}

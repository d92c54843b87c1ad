/* SPDX-License-Identifier: Apache-2.0 */
// link: maker
#include "images/payload/erofs.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* An image from elsewhere: every file lies within it, or it is refused. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) files = proa_erofs_files(data, size, &error);

	g_assert((files == NULL) == (error != NULL));
	for (guint i = 0; files && i < files->len; i++) {
		const ProaErofsFile *file = files->pdata[i];
		g_assert(file->path != NULL && file->blocks + file->tail == file->size);
		g_assert(file->blocks_at <= size && file->blocks <= size - file->blocks_at);
		g_assert(file->tail_at <= size && file->tail <= size - file->tail_at);
	}
	return 0;
}

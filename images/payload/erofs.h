/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs: where the files of an uncompressed EROFS image lie (Linux, Documentation/filesystems/erofs.rst, and
 * fs/erofs/erofs_fs.h). No more of the format than mkfs.erofs makes of a root image; anything else is
 * refused.
 */
#pragma once

#include "base/reason.h"

/* An image with more files is refused. */
#define PROA_EROFS_MAX_FILES (1024u * 1024)

/* A regular file. Offsets in bytes within the image. */
typedef struct {
	char *path; /* the first one, without a leading slash */
	guint64 size;
	guint64 blocks_at,
		blocks;        /* its whole blocks (the last one may be partly used): where, and bytes used */
	guint64 tail_at, tail; /* its last bytes, if they lie beside its inode */
} ProaErofsFile;

/* A GDestroyNotify for a ProaErofsFile. */
void proa_erofs_file_free(gpointer file);

/* Whether @image begins as an EROFS image does. */
gboolean proa_erofs_is(const guint8 *image, gsize size);

/*
 * The regular files of an image of @size bytes, hard links once, in the order of their first blocks: a
 * GPtrArray of ProaErofsFile. NULL with BAD_STATE if the image is malformed or uses what is not understood
 * here.
 */
GPtrArray *proa_erofs_files(const guint8 *image, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

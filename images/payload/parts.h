/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts: where things lie in a UKI: its PE sections (Microsoft, "PE Format"), the compressed kernel in a
 * bzImage (Linux, Documentation/arch/x86/boot.rst), the files of a cpio archive (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). All of it may come from anywhere: every offset
 * is checked.
 */
#pragma once

#include "images/payload/align.h"
#include "images/payload/erofs.h"

/* An archive with more files is not taken apart. */
#define PROA_PARTS_MAX_FILES 65536u

/* The bytes of the first section called @name, without padding. FALSE if there is none, or no PE image. */
gboolean proa_parts_section(const guint8 *uki, gsize size, const char *name, ProaRange *ret);

/* The zstd frame that holds the kernel in a bzImage. FALSE if it has none. */
gboolean proa_parts_kernel(const guint8 *image, gsize size, ProaRange *ret);

/*
 * Adds the regular files of a "newc" archive to @files (of ProaErofsFile), their places counted from @base
 * bytes before @archive. Stops where it is no archive any more; tells how many were added.
 */
guint proa_parts_files(const guint8 *archive, gsize size, guint64 base, GPtrArray *files);

/* A file of an image that is all in one place; owned by the array that it is added to. */
void proa_parts_add(GPtrArray *files, const char *path, guint64 at, guint64 size);

/* An array to add them to. */
GPtrArray *proa_parts_new(void);

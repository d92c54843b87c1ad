/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair: which old file each new file is best made from: the one of the same content, else of the same path,
 * else of the same path once the version numbers of its folders are left out, else all of them, else of the
 * same name without them. Of several the one whose size is nearest.
 */
#pragma once

#include "images/payload/erofs.h"

typedef struct {
	const ProaErofsFile *new_file;
	const ProaErofsFile *old_file; /* NULL: none is like it */
	gboolean equal;                /* both have the same content */
} ProaPair;

/* A GArray of ProaPair, in the order of @new_files. */
GArray *proa_pair_files(const guint8 *old_image, const GPtrArray *old_files, const guint8 *new_image,
	const GPtrArray *new_files);

/* @path with every version number (digits, and what joins them) replaced by '#'; free with g_free(). */
char *proa_pair_without_version(const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/* tree: a file of data that looks random, and room for its hash tree. For unit tests only. */
#pragma once

#include "verity/build.h"
#include "verity/leaves.h"

#include "base/digest.h"
#include "base/file.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#define SALT "ababababababababababababababababababababababababababababababab01"
#define UUID "3a2f4b5c-1111-4222-8333-444455556666"

typedef struct {
	char *dir;
	char *data;
	char *hash;
	ProaVerityParams params;
} Fixture;

static inline void write_pattern(const char *path, gsize size)
{
	g_autofree guint8 *bytes = g_malloc(size);
	guint32 state = 12345;

	for (gsize i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = (guint8)(state >> 24);
	}
	g_assert_true(g_file_set_contents(path, (const char *)bytes, (gssize)size, NULL));
}

static inline void set_up(Fixture *f, gconstpointer size)
{
	f->dir = g_dir_make_tmp("proa-tree-XXXXXX", NULL);
	f->data = g_build_filename(f->dir, "data", NULL);
	f->hash = g_build_filename(f->dir, "hash", NULL);
	f->params.data_size = GPOINTER_TO_SIZE(size);
	write_pattern(f->data, GPOINTER_TO_SIZE(size));
	g_assert_true(g_file_set_contents(f->hash, "", 0, NULL));
	g_assert_true(proa_hex_decode(SALT, f->params.salt, sizeof f->params.salt));
	g_strlcpy(f->params.uuid, UUID, sizeof f->params.uuid);
}

static inline void tear_down(Fixture *f, gconstpointer size)
{
	g_remove(f->data);
	g_remove(f->hash);
	g_rmdir(f->dir);
	g_free(f->data);
	g_free(f->hash);
	g_free(f->dir);
}

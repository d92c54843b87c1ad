/* SPDX-License-Identifier: Apache-2.0 */
/* scratch: a folder of its own for each test, gone when the test ends. For unit tests only. */
#pragma once

#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>

typedef struct {
	char *path;
} Scratch;

static inline int scratch_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static inline void scratch_clear(Scratch *scratch)
{
	if (scratch->path)
		nftw(scratch->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_clear_pointer(&scratch->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scratch, scratch_clear)

static inline Scratch scratch_new(void)
{
	Scratch scratch = { g_dir_make_tmp("proa-test-XXXXXX", NULL) };

	g_assert_nonnull(scratch.path);
	return scratch;
}

/* @name below the scratch folder; free with g_free(). */
static inline char *scratch_file(const Scratch *scratch, const char *name)
{
	return g_build_filename(scratch->path, name, NULL);
}

/* Writes @text as @name below the scratch folder, making the folders on the way; returns the path. */
static inline char *scratch_write(const Scratch *scratch, const char *name, const char *text, gssize size)
{
	char *path = scratch_file(scratch, name);
	g_autofree char *folder = g_path_get_dirname(path);

	g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
	g_assert_true(g_file_set_contents(path, text, size, NULL));
	return path;
}

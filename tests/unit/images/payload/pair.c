/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/pair.h"

static void expect_plain(const char *path, const char *plain)
{
	g_autofree char *got = proa_pair_without_version(path);

	g_assert_cmpstr(got, ==, plain);
}

static void versions_left_out(void)
{
	expect_plain("lib/modules/6.12.107+deb13-cloud/a.ko", "lib/modules/#+deb#-cloud/a.ko");
	expect_plain("libcrypto.so.3", "libcrypto.so.#");
	expect_plain("libx.so.1.2.3-4", "libx.so.#");
	expect_plain("1.", "#.");
	expect_plain("", "");
}

static ProaErofsFile *file(const char *path, guint64 at, guint64 size)
{
	ProaErofsFile *made = g_new0(ProaErofsFile, 1);

	*made = (ProaErofsFile){ g_strdup(path), size, at, size, 0, 0 };
	return made;
}

static void file_free(gpointer data)
{
	g_free(((ProaErofsFile *)data)->path);
	g_free(data);
}

static void pairs_by_content_path_and_name(void)
{
	const guint8 old_image[] = "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd";
	const guint8 new_image[] = "bbbbbbbbbbxxxxxxxxxxyyyyyyyyyyzzzzzzzzzzwwwwwwwwww";
	g_autoptr(GPtrArray) old_files = g_ptr_array_new_with_free_func(file_free);
	g_autoptr(GPtrArray) new_files = g_ptr_array_new_with_free_func(file_free);
	static const char *const old_paths[] = { "etc/a", "usr/b", "lib/1.2/m.ko", "x/libd.so.1" };
	static const char *const new_paths[] = { "moved/elsewhere", "etc/a", "lib/1.3/m.ko", "y/libd.so.2",
		"new" };
	static const int expected[] = { 1, 0, 2, 3, -1 };

	for (guint i = 0; i < G_N_ELEMENTS(old_paths); i++)
		g_ptr_array_add(old_files, file(old_paths[i], i * 10, 10));
	for (guint i = 0; i < G_N_ELEMENTS(new_paths); i++)
		g_ptr_array_add(new_files, file(new_paths[i], i * 10, 10));
	g_autoptr(GArray) pairs = proa_pair_files(old_image, old_files, new_image, new_files);
	for (guint i = 0; i < pairs->len; i++) {
		const ProaPair *pair = &g_array_index(pairs, ProaPair, i);
		g_assert_true(pair->old_file == (expected[i] < 0 ? NULL : old_files->pdata[expected[i]]));
		g_assert_cmpint(pair->equal, ==, i == 0);
	}
}

/* Numbers that are no versions tell files apart; where nothing else does, their sizes do. */
static void numbers_that_tell_files_apart(void)
{
	static const struct {
		const char *path;
		guint64 size;
	} old_paths[] = { { "m/1.2/raid1.ko", 100 }, { "m/1.2/raid10.ko", 110 }, { "m/1.2/raid0.ko", 50 },
		{ "l/liba.so.1", 60 }, { "l/liba.so.2", 90 }, { "x/3/b4.bin", 30 }, { "x/5/b6.bin", 80 } },
	  new_paths[] = { { "m/1.3/raid0.ko", 111 }, { "m/1.3/raid1.ko", 109 }, { "m/1.3/raid10.ko", 1 },
		  { "m/1.3/raid456.ko", 90 }, { "l/liba.so.3", 85 }, { "l/liba.so.4", 61 },
		  { "y/b7.bin", 75 } };
	static const guint expected[] = { 2, 0, 1, 0, 4, 3, 6 };
	g_autofree guint8 *old_image = g_malloc0(10000), *new_image = g_malloc0(10000);
	g_autoptr(GPtrArray) old_files = g_ptr_array_new_with_free_func(file_free);
	g_autoptr(GPtrArray) new_files = g_ptr_array_new_with_free_func(file_free);

	for (guint i = 0; i < G_N_ELEMENTS(old_paths); i++) {
		g_ptr_array_add(old_files, file(old_paths[i].path, i * 500, old_paths[i].size));
		old_image[i * 500] = 1;
		g_ptr_array_add(new_files, file(new_paths[i].path, i * 500, new_paths[i].size));
		new_image[i * 500] = 2;
	}
	g_autoptr(GArray) pairs = proa_pair_files(old_image, old_files, new_image, new_files);
	for (guint i = 0; i < pairs->len; i++)
		g_assert_true(g_array_index(pairs, ProaPair, i).old_file == old_files->pdata[expected[i]]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/pair/versions-left-out", versions_left_out);
	g_test_add_func("/payload/pair/pairs-by-content-path-and-name", pairs_by_content_path_and_name);
	g_test_add_func("/payload/pair/numbers-that-tell-files-apart", numbers_that_tell_files_apart);
	return g_test_run();
}

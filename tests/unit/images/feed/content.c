/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/content.h"

#include "tests/unit/scratch.h"

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_put(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *from = scratch_write(&scratch, "from", "abc", 3),
			*dir = scratch_file(&scratch, "a/b"),
			*to = scratch_file(&scratch, "a/b/" ABC ".full"), *text = NULL;
	g_auto(ProaContent) content = { 0 };

	g_assert_true(proa_content_of_file(from, &content, NULL));
	g_assert_cmpint(content.size, ==, 3);
	g_assert_cmpstr(content.sha256, ==, ABC);
	g_assert_true(proa_content_put(from, &content, dir, ".full", NULL));
	g_assert_true(g_file_get_contents(to, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "abc");
	g_assert_true(proa_content_put(from, &content, dir, ".full", NULL));
}

/* What came out otherwise than announced is not left under the name of its digest. */
static void test_changed(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *from = scratch_write(&scratch, "from", "abc", 3);
	g_auto(ProaContent) content = { 0 };
	g_autoptr(GError) error = NULL;
	g_autofree char *dir = scratch_file(&scratch, "to");

	g_assert_true(proa_content_of_file(from, &content, NULL));
	g_free(scratch_write(&scratch, "from", "abd", 3));
	g_assert_false(proa_content_put(from, &content, dir, "", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_METADATA_MISMATCH);
	g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
	g_assert_null(g_dir_read_name(entries));
}

/* A copy that a crash cut short is made again. */
static void test_cut_short(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *from = scratch_write(&scratch, "from", "abc", 3),
			*to = scratch_write(&scratch, "to/" ABC, "ab", 2),
			*dir = scratch_file(&scratch, "to"), *text = NULL;
	g_auto(ProaContent) content = { 0 };

	g_assert_true(proa_content_of_file(from, &content, NULL));
	g_assert_true(proa_content_put(from, &content, dir, "", NULL));
	g_assert_true(g_file_get_contents(to, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "abc");
}

static void test_missing(void)
{
	g_auto(ProaContent) content = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_content_of_file("/nonexistent", &content, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/content/named-by-its-digest", test_put);
	g_test_add_func("/feed/content/refuses-a-file-that-changes", test_changed);
	g_test_add_func("/feed/content/mends-a-copy-cut-short", test_cut_short);
	g_test_add_func("/feed/content/missing-file", test_missing);
	return g_test_run();
}

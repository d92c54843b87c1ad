/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/exchange.h"

#include "tests/unit/scratch.h"

static void check(const Scratch *scratch, const char *name, const char *expected)
{
	g_autofree char *path = scratch_file(scratch, name), *text = NULL;

	(void)g_file_get_contents(path, &text, NULL, NULL);
	g_assert_cmpstr(text, ==, expected);
}

static void change(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *folder = scratch_file(scratch, "folder");
	g_autofree char *path = g_build_filename("folder.new", name, NULL);
	g_autoptr(GError) error = NULL;
	gboolean done = FALSE;

	g_autofree char *new = proa_exchange_begin(folder, &error);
	g_assert_no_error(error);
	g_free(scratch_write(scratch, path, text, -1));
	g_assert_true(proa_exchange_end(folder, &done, &error));
	g_assert_no_error(error);
	g_assert_true(done);
	g_assert_false(g_file_test(new, G_FILE_TEST_EXISTS));
}

static void test_exchange(void)
{
	g_auto(Scratch) scratch = scratch_new();

	change(&scratch, "a", "one"); /* there was nothing */
	check(&scratch, "folder/a", "one");
	change(&scratch, "b", "two");
	check(&scratch, "folder/a", "one");
	check(&scratch, "folder/b", "two");
	change(&scratch, "a", "three");
	check(&scratch, "folder/a", "three");
}

/* What an earlier attempt left is no part of the next, and until the end nothing changes. */
static void test_left_over(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *folder = scratch_file(&scratch, "folder");

	change(&scratch, "a", "one");
	g_free(scratch_write(&scratch, "folder.new/half", "x", -1));
	change(&scratch, "b", "two");
	check(&scratch, "folder/half", NULL);
	g_autofree char *new = proa_exchange_begin(folder, NULL);
	g_free(scratch_write(&scratch, "folder.new/a", "later", -1));
	check(&scratch, "folder/a", "one");
	g_assert_true(proa_exchange_drop(folder, NULL));
	g_assert_false(g_file_test(new, G_FILE_TEST_EXISTS));
	check(&scratch, "folder/a", "one");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/exchange/old-files-and-new-ones", test_exchange);
	g_test_add_func("/feed/exchange/nothing-before-the-end", test_left_over);
	return g_test_run();
}

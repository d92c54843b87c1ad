/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/trees.h"

#include "base/digest.h"
#include "tests/unit/scratch.h"

static void run(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void run(const char *format, ...)
{
	va_list args;
	g_autofree char *output = NULL; /* not to be mistaken for test results */
	int status;

	va_start(args, format);
	g_autofree char *command = g_strdup_vprintf(format, args);
	va_end(args);
	g_assert_true(g_spawn_command_line_sync(command, &output, NULL, &status, NULL));
	g_assert_cmpint(status, ==, 0);
}

static void test_pull(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *from = scratch_file(&scratch, "from"), *to = scratch_file(&scratch, "feed/trees"),
			*tree = scratch_file(&scratch, "tree"),
			*ref = scratch_file(&scratch, "from/refs/heads/t"), *commit = NULL,
			*none = g_strnfill(64, '0');
	g_autoptr(GError) error = NULL;

	g_free(scratch_write(&scratch, "tree/usr/file", "content", -1));
	run("ostree --repo=%s init --mode=bare-user", from);
	run("ostree --repo=%s commit --branch=t --tree=dir=%s", from, tree);
	g_assert_true(g_file_get_contents(ref, &commit, NULL, NULL));
	g_strstrip(commit);

	gboolean ok = proa_trees_pull(to, from, commit, "proa/stable/x86-64/1.0.0", &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	run("ostree --repo=%s fsck --quiet", to);
	run("ostree --repo=%s ls proa/stable/x86-64/1.0.0 /usr/file", to);
	/* A second time, as after an interruption. */
	g_assert_true(proa_trees_pull(to, from, commit, "proa/stable/x86-64/1.0.0", NULL));

	g_assert_false(proa_trees_pull(to, from, none, "x", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_clear_error(&error);
	g_assert_false(proa_trees_pull(to, tree, commit, "x", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/trees/pulls-a-commit-and-names-it", test_pull);
	return g_test_run();
}

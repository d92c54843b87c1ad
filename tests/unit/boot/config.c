/* SPDX-License-Identifier: Apache-2.0 */
/* The program, as `proa config` and its unit run it. */
#include "tests/unit/boot/fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static char *run(const Fixture *fixture, int expected, const char *arguments)
{
	g_autofree char *root = fixture_root(fixture);
	g_autofree char *line = g_strdup_printf("%s --root %s %s", PROA_CONFIG, root, arguments);
	g_auto(GStrv) argv = NULL;
	g_autoptr(GError) error = NULL;
	char *out = NULL;
	int status = 0;

	g_assert_true(g_shell_parse_argv(line, NULL, &argv, &error));
	g_assert_true(g_spawn_sync(
		NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out, NULL, &status, &error));
	if (WEXITSTATUS(status) != expected)
		g_test_message("%s: %d: %s", arguments, status, out);
	g_assert_cmpint(WEXITSTATUS(status), ==, expected);
	return out;
}

static void log_diff_and_restore(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = scratch_write(&fixture.scratch, "root/etc/hostname", "one\n", -1);

	if (geteuid() != 0) {
		g_test_skip("only root may");
		return;
	}
	g_autofree char *settled = run(&fixture, 0, "settle");
	g_assert_cmpstr(settled, ==, "committed\n");
	g_autofree char *log = run(&fixture, 0, "log");
	g_assert_nonnull(strstr(log, "at boot"));
	g_autofree char *first = g_strndup(log, 12);
	g_autofree char *other = scratch_write(&fixture.scratch, "root/etc/hostname", "two\n", -1);
	g_autofree char *changed = run(&fixture, 0, "diff");
	g_assert_cmpstr(changed, ==, "M hostname\n");
	g_autofree char *restore = g_strdup_printf("restore %s", first);
	g_autofree char *done = run(&fixture, 0, restore);
	g_assert_true(g_str_has_prefix(done, "restored"));
	g_autofree char *text = proa_file_read(path, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "one\n");
	/* What was there before the restore is a commit, too. */
	g_autofree char *json = run(&fixture, 0, "--json log");
	g_assert_nonnull(strstr(json, "before a restore"));
	g_assert_nonnull(strstr(json, "restored from"));
	g_assert_nonnull(other);
}

static void mistakes_are_refused(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *etc = scratch_write(&fixture.scratch, "root/etc/hostname", "one\n", -1);
	g_autofree char *a = run(&fixture, 2, "fly"), *b = run(&fixture, 2, "log extra"),
			*c = run(&fixture, 3, "diff nonesuch"), *d = run(&fixture, 2, "restore"),
			*e = run(&fixture, 2, "--nonsense");

	g_assert_true(etc && a && b && c && d && e);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/config/log-diff-and-restore", log_diff_and_restore);
	g_test_add_func("/config/mistakes-are-refused", mistakes_are_refused);
	return g_test_run();
}

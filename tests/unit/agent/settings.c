/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include "tests/unit/scratch.h"

#include <string.h>

static ProaSettings *load(const Scratch *scratch, const char *text)
{
	g_autofree char *path = scratch_write(scratch, "etc/proa/update.conf", text, -1);

	g_assert_nonnull(path);
	return proa_settings_load(scratch->path);
}

static void without_a_file_the_defaults_hold(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaSettings *settings = proa_settings_load(scratch.path);
	g_autofree char *problems = proa_settings_problems(settings);

	g_assert_cmpint(settings->automatic, ==, PROA_AUTOMATIC_YES);
	g_assert_cmpint(settings->check_interval, ==, 3600);
	g_assert_cmpint(settings->jitter, ==, 600);
	g_assert_cmpint(settings->startup_delay, ==, 30);
	g_assert_cmpint(settings->reboot_delay, ==, 60);
	g_assert_false(settings->reboot_automatic);
	g_assert_false(settings->has_window);
	g_assert_cmpstr(problems, ==, "");
	proa_settings_free(settings);
}

static void what_is_written_is_obeyed(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaSettings *settings = load(&scratch,
		"[update]\nautomatic=check-only\ncheck_interval=2h\njitter=0\nreboot=automatic\n"
		"reboot_window=22:30-04:00\n");

	g_assert_cmpint(settings->automatic, ==, PROA_AUTOMATIC_CHECK_ONLY);
	g_assert_cmpint(settings->check_interval, ==, 7200);
	g_assert_cmpint(settings->jitter, ==, 0);
	g_assert_true(settings->reboot_automatic);
	g_assert_true(settings->has_window);
	g_assert_cmpint(settings->window.start, ==, 22 * 60 + 30);
	g_assert_cmpint(settings->window.end, ==, 4 * 60);
	proa_settings_free(settings);
}

/* Whoever wrote it did not mean "at any time". */
static void a_window_that_cannot_be_read_means_no_reboot(void)
{
	static const char *const windows[] = { "always", "25:00-01:00", "10:00-10:00", "22:30" };

	for (gsize i = 0; i < G_N_ELEMENTS(windows); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *text =
			g_strdup_printf("[update]\nreboot=automatic\nreboot_window=%s\n", windows[i]);
		ProaSettings *settings = load(&scratch, text);
		g_autofree char *problems = proa_settings_problems(settings);
		g_assert_false(settings->reboot_automatic);
		g_assert_false(settings->has_window);
		g_assert_nonnull(strstr(problems, windows[i]));
		proa_settings_free(settings);
	}
}

static void problems_are_a_line_each(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaSettings *settings = load(&scratch, "[update]\nautomatic=maybe\nnonsense=1\n");
	g_autofree char *problems = proa_settings_problems(settings);
	g_auto(GStrv) lines = g_strsplit(problems, "\n", -1);

	g_assert_cmpint(settings->automatic, ==, PROA_AUTOMATIC_YES);
	g_assert_cmpuint(g_strv_length(lines), ==, 2);
	g_assert_nonnull(strstr(problems, "update.conf:2"));
	proa_settings_free(settings);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/settings/without-a-file-the-defaults-hold", without_a_file_the_defaults_hold);
	g_test_add_func("/settings/what-is-written-is-obeyed", what_is_written_is_obeyed);
	g_test_add_func("/settings/a-window-that-cannot-be-read-means-no-reboot",
		a_window_that_cannot_be_read_means_no_reboot);
	g_test_add_func("/settings/problems-are-a-line-each", problems_are_a_line_each);
	return g_test_run();
}

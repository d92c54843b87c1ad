/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/run.h"

#include "tests/unit/scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static gboolean held; /* in the kernel: killed, and not gone */

/* In the place of libc's. */
pid_t waitpid(pid_t pid, int *status, int options)
{
	if (!held || !(options & WNOHANG))
		return wait4(pid, status, options, NULL);
	return 0;
}

static ProaRun run(const char *script, const char *const *environment, guint seconds)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	g_autoptr(GError) error = NULL;
	ProaRun result = { 0 };

	g_assert_true(proa_run(argv, environment, seconds, &result, &error));
	g_assert_no_error(error);
	return result;
}

static void tells_status_and_both_outputs(void)
{
	static const char *const environment[] = { "WHO=node", NULL };
	g_auto(ProaRun) result = run("echo out $WHO; echo err >&2; exit 7", environment, 60);

	g_assert_cmpint(result.status, ==, 7);
	g_assert_false(result.timed_out);
	g_assert_cmpstr(result.output, ==, "out node\nerr\n");
}

static void a_signal_is_told_as_the_shell_does(void)
{
	g_auto(ProaRun) result = run("kill -TERM $$", NULL, 60);

	g_assert_cmpint(result.status, ==, 128 + SIGTERM);
}

/* All that it started dies with it. */
static void the_time_limit_kills_the_whole_group(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "pid");
	g_autofree char *script = g_strdup_printf("sleep 1000 & echo $! >%s; wait", path);
	g_auto(ProaRun) result = run(script, NULL, 1);
	g_autofree char *text = NULL;

	g_assert_true(result.timed_out);
	g_assert_cmpint(result.status, ==, -1);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
	g_assert_cmpint(pid, >, 1);
	g_autofree char *stat = g_strdup_printf("/proc/%d/stat", pid);
	for (int i = 0; i < 1000; i++) {
		g_autofree char *state = NULL;
		/* It may stay as a zombie where nobody reaps orphans. */
		if (!g_file_get_contents(stat, &state, NULL, NULL) || strstr(state, ") Z "))
			return;
		g_usleep(G_USEC_PER_SEC / 100);
	}
	g_assert_not_reached();
}

static void what_stays_behind_is_not_waited_for(void)
{
	g_auto(ProaRun) result = run("sleep 1000 & echo $!", NULL, 60);
	pid_t pid = (pid_t)g_ascii_strtoll(result.output, NULL, 10);

	g_assert_false(result.timed_out);
	g_assert_cmpint(result.status, ==, 0);
	g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
}

static void output_is_bounded_and_made_valid(void)
{
	g_auto(ProaRun) result = run("printf '\\377'; yes | head -c 1000000; exit 3", NULL, 60);

	g_assert_cmpint(result.status, ==, 3);
	g_assert_cmpuint(strlen(result.output), <=, PROA_RUN_MAX_OUTPUT + 2);
	g_assert_cmpuint(strlen(result.output), >=, PROA_RUN_MAX_OUTPUT);
	g_assert_true(g_utf8_validate(result.output, -1, NULL));
}

static void what_cannot_be_started_says_why(void)
{
	const char *argv[] = { "/nonexistent/program", NULL };
	g_autoptr(GError) error = NULL;
	ProaRun result = { 0 };

	g_assert_false(proa_run(argv, NULL, 1, &result, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

static void last_line_is_clean(void)
{
	static const char *const cases[][2] = { { "", "" }, { "\n\n", "" }, { "one\ntwo\n \n", "two" },
		{ "a\tb\033c\r\n", "a b c" } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *line = proa_run_last_line(cases[i][0]);
		g_assert_cmpstr(line, ==, cases[i][1]);
	}
	g_autofree char *much = g_strnfill(5000, 'x');
	g_autofree char *line = proa_run_last_line(much);
	g_assert_cmpuint(strlen(line), <, 500);
}

/* A dead disk or server: there is no end to wait for, and there must not be more and more of them. */
static void one_that_cannot_be_killed_is_left_behind(void)
{
	const char *argv[] = { "sleep", "1000", NULL };
	g_autoptr(GError) error = NULL;
	guint started = 0;

	held = TRUE;
	for (; started < 100; started++) {
		g_auto(ProaRun) result = { 0 };
		if (!proa_run(argv, NULL, 1, &result, &error))
			break;
		g_assert_true(result.timed_out);
	}
	g_assert_cmpuint(started, ==, 8);
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	held = FALSE;
	g_auto(ProaRun) after = run("exit 5", NULL, 60);
	g_assert_cmpint(after.status, ==, 5);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/run/tells-status-and-both-outputs", tells_status_and_both_outputs);
	g_test_add_func("/run/a-signal-is-told-as-the-shell-does", a_signal_is_told_as_the_shell_does);
	g_test_add_func("/run/the-time-limit-kills-the-whole-group", the_time_limit_kills_the_whole_group);
	g_test_add_func("/run/what-stays-behind-is-not-waited-for", what_stays_behind_is_not_waited_for);
	g_test_add_func("/run/output-is-bounded-and-made-valid", output_is_bounded_and_made_valid);
	g_test_add_func("/run/what-cannot-be-started-says-why", what_cannot_be_started_says_why);
	g_test_add_func(
		"/run/one-that-cannot-be-killed-is-left-behind", one_that_cannot_be_killed_is_left_behind);
	g_test_add_func("/run/last-line-is-clean", last_line_is_clean);
	return g_test_run();
}

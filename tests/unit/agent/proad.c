/* SPDX-License-Identifier: Apache-2.0 */
/* proad from its command line to its end; what it does on the bus is in bus.c and service.c. */
#include "base/reason.h"
#include "tests/unit/agent/harness.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Runs proad with the arguments in @line and no bus; its exit status, and both outputs. */
static int run(const char *line, char **ret_text)
{
	g_autofree char *command = g_strconcat(PROAD " ", line, NULL);
	g_auto(GStrv) argv = g_strsplit(g_strchomp(command), " ", -1);
	g_autoptr(GSubprocessLauncher) launcher =
		g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE);
	g_autoptr(GError) error = NULL;

	g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", TRUE);
	g_subprocess_launcher_unsetenv(launcher, "JOURNAL_STREAM");
	g_autoptr(GSubprocess) child =
		g_subprocess_launcher_spawnv(launcher, (const char *const *)argv, &error);
	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(child, NULL, NULL, ret_text, NULL, &error));
	return g_subprocess_get_if_exited(child) ? g_subprocess_get_exit_status(child) : -1;
}

static void the_command_line(void)
{
	static const struct {
		const char *line, *text;
		int status;
	} cases[] = {
		{ "--version", "proad ", PROA_EXIT_OK },
		{ "--help", "the agent of a Proa node", PROA_EXIT_OK },
		{ "--fly", "--fly", PROA_EXIT_USAGE },
		{ "now", "it takes no arguments", PROA_EXIT_USAGE },
		/* It ends, and the unit starts it again. */
		{ "", "connecting to the system bus", PROA_EXIT_FAILED },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = NULL;
		g_assert_cmpint(run(cases[i].line, &text), ==, cases[i].status);
		if (!strstr(text, cases[i].text))
			g_error("proad %s said: %s", cases[i].line, text);
	}
}

static void each_signal_ends_it_well(void)
{
	static const int signals[] = { SIGTERM, SIGINT };

	for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
		g_auto(Harness) harness = harness_new();
		harness_start_bus(&harness);
		harness_start_proad(&harness);
		int status = harness_stop_proad(&harness, signals[i]);
		g_assert_true(WIFEXITED(status));
		g_assert_cmpint(WEXITSTATUS(status), ==, 0);
	}
}

/* A bus that goes away is no clean end: systemd starts proad again when it is back. */
static void a_bus_that_goes_away_is_a_failure(void)
{
	g_auto(Harness) harness = harness_new();
	int status;

	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_assert_cmpint(kill(harness.bus, SIGKILL), ==, 0);
	g_assert_cmpint(waitpid(harness.proad, &status, 0), ==, harness.proad);
	harness.proad = 0;
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, PROA_EXIT_FAILED);
}

/* Two agents would each start a transaction of their own. */
static void a_second_one_does_not_get_the_name(void)
{
	g_auto(Harness) harness = harness_new();
	int status;

	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_autofree char *command =
		g_strdup_printf("%s --root %s --libexec %s", PROAD, harness.scratch.path, harness.libexec);
	g_auto(GStrv) argv = g_strsplit(command, " ", -1);
	g_auto(GStrv) variables =
		g_environ_setenv(g_get_environ(), "DBUS_SYSTEM_BUS_ADDRESS", harness.address, TRUE);
	g_autofree char *text = NULL;
	g_assert_true(
		g_spawn_sync(NULL, argv, variables, G_SPAWN_DEFAULT, NULL, NULL, NULL, &text, &status, NULL));
	g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	g_auto(Answer) answer = harness_proa(&harness, "status");
	g_assert_cmpint(answer.status, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/proad/the-command-line", the_command_line);
	g_test_add_func("/proad/each-signal-ends-it-well", each_signal_ends_it_well);
	g_test_add_func("/proad/a-bus-that-goes-away-is-a-failure", a_bus_that_goes_away_is_a_failure);
	g_test_add_func("/proad/a-second-one-does-not-get-the-name", a_second_one_does_not_get_the_name);
	return g_test_run();
}

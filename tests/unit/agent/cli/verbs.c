/* SPDX-License-Identifier: Apache-2.0 */
/* Every verb of proa as an operator in a rescue shell calls it: no bus, no proad, and a node that works. */
#include "agent/cli/verbs.h"

#include "base/json.h"
#include "tests/unit/agent/harness.h"

#include <string.h>

#define OFFER "say '{\"event\":\"offer\",\"version\":\"1.0.1\",\"bytes\":5000000}'\n"
#define PAGE "Release 1.0.2 failed: containerd-down\n"

/* A proa-bootd that knows doctor, too, beside what the fixture knows. */
static Harness rescue_shell(void)
{
	Harness harness = harness_new();

	harness_install(&harness,
		OFFER "[ -z \"$check\" ] || exit 0\nstage staged 1.0.1\n"
		      "say '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\"}'\n");
	harness_write(
		&harness, "run/proa/health.json", "{\"checks\":[{\"check\":\"units\",\"verdict\":\"ok\"}]}");
	harness_write(&harness, "var/lib/proa/blackbox/1780000000-1.0.2.txt", PAGE);
	return harness;
}

static void every_verb_answers_without_a_bus(void)
{
	static const struct {
		const char *line, *says;
		int status;
	} cases[] = {
		{ "status", "running     1.0.0 in root-a", PROA_EXIT_OK },
		{ "check", "offered: release 1.0.1", PROA_EXIT_OK },
		{ "update", "staged: release 1.0.1", PROA_EXIT_OK },
		{ "rollback", "next boot: release 0.9.0", PROA_EXIT_OK },
		{ "rollback --check", "would work: release 0.9.0", PROA_EXIT_OK },
		{ "reject 0.9.0", "rejected", PROA_EXIT_OK },
		{ "unreject 0.9.0", "no longer rejected", PROA_EXIT_OK },
		{ "pin", "pinned", PROA_EXIT_OK },
		{ "unpin", "no longer pinned", PROA_EXIT_OK },
		{ "bless", "blessed", PROA_EXIT_OK },
		{ "health", "units       ok", PROA_EXIT_OK },
		{ "log", "1.0.2", PROA_EXIT_OK },
		{ "log --last-failure", PAGE, PROA_EXIT_OK },
		{ "history --rejected", "nothing was rejected", PROA_EXIT_OK },
		{ "history", "nothing has happened yet", PROA_EXIT_OK },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Harness) harness = rescue_shell();
		g_auto(Answer) text = harness_proa(&harness, cases[i].line);
		g_autofree char *line = g_strconcat(cases[i].line, " --json", NULL);
		g_auto(Answer) json = harness_proa(&harness, line);
		g_assert_cmpint(text.status, ==, cases[i].status);
		if (!strstr(text.out, cases[i].says))
			g_error("proa %s said: %s%s", cases[i].line, text.out, text.err);
		g_assert_nonnull(json.json);
		g_assert_cmpint(json.status, ==, cases[i].status);
	}
}

/* The exit status says the same as the words. */
static void what_is_wrong_shows_in_the_exit_status(void)
{
	g_auto(Harness) harness = rescue_shell();

	harness_write(&harness, "run/proa/health.json",
		"{\"checks\":[{\"check\":\"units\",\"verdict\":\"waiting\",\"reason\":\"not-running\"}]}");
	g_auto(Answer) health = harness_proa(&harness, "health");
	g_assert_cmpint(health.status, ==, PROA_EXIT_FAILED);
	/* The fixture knows no doctor: no answer of proa-bootd is a problem, and the rest is told. */
	g_auto(Answer) doctor = harness_proa(&harness, "doctor --json");
	g_assert_cmpint(doctor.status, ==, PROA_EXIT_FAILED);
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(doctor.json, "checks")), >=, 2);

	g_auto(Harness) empty = harness_new();
	g_auto(Answer) no_health = harness_proa(&empty, "health --json");
	g_assert_cmpstr(proa_json_string_or(no_health.json, "reason", NULL), ==, "not-running");
	g_assert_nonnull(strstr(proa_json_string_or(no_health.json, "message", ""), "wait"));
	g_auto(Answer) no_page = harness_proa(&empty, "log --last-failure --json");
	g_assert_cmpint(no_page.status, ==, PROA_EXIT_NOTHING);
	g_auto(Answer) no_config = harness_proa(&empty, "config log --json");
	g_assert_cmpstr(proa_json_string_or(no_config.json, "reason", NULL), ==, "not-found");
}

/* Root's own decisions go to proa-install alone, as absolute paths. */
static void a_decision_is_passed_on(void)
{
	g_auto(Harness) harness = rescue_shell();

	g_auto(Answer) answer = harness_proa(&harness, "update --to 0.9.0 --token token.json --json");
	/* The fixture takes no such option. */
	g_assert_cmpint(answer.status, ==, PROA_EXIT_FAILED);
	g_assert_nonnull(strstr(proa_json_string_or(answer.json, "message", ""), "status 2"));
}

/* Tools of systemd's that write down how they were called. */
static char *make_tools(const Harness *harness, gboolean active)
{
	static const char *const names[] = { "systemd-run", "systemctl", "systemd-analyze" };
	g_autofree char *log = scratch_file(&harness->scratch, "fixture/tools");

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *name = g_strconcat("bin/", names[i], NULL);
		g_autofree char *text = g_strdup_printf(
			"#!/bin/sh\necho \"%s $*\" >>%s\ncase \"$*\" in\n*is-active*) exit %d ;;\n"
			"calendar*2020-*) echo '    Next elapse: never' ;;\ncalendar*7h*) echo odd >&2; exit 1 ;;\n"
			"calendar*dark*) ;;\n"
			"calendar*03:00) echo '  Original form: 03:00'; echo '    Next elapse: Tue 2026-11-24 03:00:00 CET'\n"
			"echo '       (in UTC): Tue 2026-11-24 02:00:00 UTC' ;;\n"
			"calendar*04:00) echo '    Next elapse: Tue 2026-11-24 04:00:00 UTC' ;;\n"
			"esac\n",
			names[i], log, active ? 0 : 3);
		harness_write(harness, name, text);
		g_autofree char *path = scratch_file(&harness->scratch, name);
		g_assert_cmpint(g_chmod(path, 0755), ==, 0);
	}
	g_autofree char *bin = scratch_file(&harness->scratch, "bin");
	char *before = g_strdup(g_getenv("PATH"));
	g_autofree char *path = g_strconcat(bin, ":", before, NULL);
	g_setenv("PATH", path, TRUE);
	return before;
}

/* What is planned names the release: it does not toggle whatever became true by then. */
static void a_rollback_is_planned_to_a_release(void)
{
	for (int active = 0; active < 2; active++) {
		g_auto(Harness) harness = rescue_shell();
		g_autofree char *path = make_tools(&harness, active);
		g_auto(Answer) planned = harness_proa(&harness, "rollback --at 03:00 --json");
		g_autofree char *tools = harness_read(&harness, "fixture/tools");
		g_autofree char *calls = harness_read(&harness, "fixture/calls");

		g_setenv("PATH", path, TRUE);
		g_assert_cmpint(planned.status, ==, PROA_EXIT_OK);
		g_assert_cmpstr(proa_json_string_or(planned.json, "result", NULL), ==, "planned");
		g_assert_cmpstr(proa_json_string_or(planned.json, "version", NULL), ==, "0.9.0");
		/* Once: "03:00" alone would come again each day. */
		g_assert_nonnull(strstr(tools, "--on-calendar=Tue 2026-11-24 02:00:00 UTC -- "));
		g_assert_nonnull(strstr(tools, "rollback --now --to 0.9.0\n"));
		g_assert_nonnull(strstr(calls, "bootd plan-rollback to=\n"));
		/* A second one takes the place of the first, and says so. */
		g_assert_true((strstr(tools, "systemctl stop proa-rollback.timer\n") != NULL) == active);
		g_assert_true(json_object_has_member(planned.json, "note") == active);
	}
}

static void what_cannot_be_is_not_planned(void)
{
	g_auto(Harness) harness = rescue_shell();
	g_autofree char *path = make_tools(&harness, FALSE);
	g_auto(Answer) past = harness_proa(&harness, "rollback --at 2020-01-01 --json");
	g_auto(Answer) odd = harness_proa(&harness, "rollback --at 7h --json");

	harness_write(&harness, "fixture/rollback",
		"echo '{\"event\":\"error\",\"reason\":\"nothing-to-roll-back\",\"message\":\"empty\"}'; exit 3");
	g_auto(Answer) refused = harness_proa(&harness, "rollback --at 03:00 --json");
	g_autofree char *tools = harness_read(&harness, "fixture/tools");
	g_auto(Answer) dark = harness_proa(&harness, "rollback --at dark --json");
	g_setenv("PATH", path, TRUE);
	g_assert_cmpint(dark.status, ==, PROA_EXIT_FAILED);
	g_assert_cmpint(past.status, ==, PROA_EXIT_USAGE);
	g_assert_nonnull(strstr(proa_json_string_or(past.json, "message", ""), "in the past"));
	g_assert_cmpint(odd.status, ==, PROA_EXIT_USAGE);
	g_assert_cmpint(refused.status, ==, PROA_EXIT_REFUSED);
	g_assert_cmpstr(proa_json_string_or(refused.json, "reason", NULL), ==, "nothing-to-roll-back");
	g_assert_null(strstr(tools, "systemd-run"));
}

static void a_failure_can_be_told_from_outside(void)
{
	g_autoptr(GError) error = NULL;

	proa_fail(&error, PROA_REASON_ESP_FULL, "no room");
	g_assert_cmpint(proa_verb_fail("update", FALSE, error), ==, PROA_EXIT_REFUSED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/verbs/every-verb-answers-without-a-bus", every_verb_answers_without_a_bus);
	g_test_add_func(
		"/verbs/what-is-wrong-shows-in-the-exit-status", what_is_wrong_shows_in_the_exit_status);
	g_test_add_func("/verbs/a-decision-is-passed-on", a_decision_is_passed_on);
	g_test_add_func("/verbs/a-rollback-is-planned-to-a-release", a_rollback_is_planned_to_a_release);
	g_test_add_func("/verbs/what-cannot-be-is-not-planned", what_cannot_be_is_not_planned);
	g_test_add_func("/verbs/a-failure-can-be-told-from-outside", a_failure_can_be_told_from_outside);
	return g_test_run();
}

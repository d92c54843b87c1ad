/* SPDX-License-Identifier: Apache-2.0 */
/* The real proad and the real proa on a real bus, with fixtures for the programs that touch a disk. */
#include "base/json.h"
#include "base/reason.h"
#include "tests/unit/agent/harness.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOOD_UPDATE                                                                                                    \
	"say '{\"event\":\"phase\",\"phase\":\"trust\"}'\n"                                                            \
	"say '{\"event\":\"phase\",\"phase\":\"choose\"}'\n"                                                           \
	"say '{\"event\":\"offer\",\"version\":\"1.0.1\",\"root_hash\":\"'$(printf %064d 2)'\",\"bytes\":91000000}'\n" \
	"[ -z \"$check\" ] || exit 0\n"                                                                                \
	"stage staging 1.0.1\n"                                                                                        \
	"say '{\"event\":\"phase\",\"phase\":\"fetch\"}'\n"                                                            \
	"for i in 1 2 3 4 5; do\n"                                                                                     \
	"say '{\"event\":\"progress\",\"phase\":\"fetch\",\"done\":'$((i * 18200000))',\"total\":91000000}'\n"         \
	"sleep 0.1\n"                                                                                                  \
	"done\n"                                                                                                       \
	"say '{\"event\":\"phase\",\"phase\":\"arm\"}'\n"                                                              \
	"stage staged 1.0.1\n"                                                                                         \
	"say '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\",\"root_hash\":\"'$(printf %064d 2)'\",\"slot\":\"root-b\"}'\n"

/* Waits in fetch until told to stop; then says so, as proa-install does. */
#define SLOW_UPDATE                                                                                          \
	"trap 'fail cancelled 1 \"told to stop\"' TERM\n"                                                    \
	"stage staging 1.0.1\n"                                                                              \
	"say '{\"event\":\"phase\",\"phase\":\"fetch\"}'\n"                                                  \
	"say '{\"event\":\"progress\",\"phase\":\"fetch\",\"done\":1000000,\"total\":91000000}'\n"           \
	"echo $$ >\"$root/fixture/pid\"\n"                                                                   \
	"i=0; while [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done\n"

static Harness started(void)
{
	Harness harness = harness_new();

	harness_start_bus(&harness);
	harness_start_proad(&harness);
	return harness;
}

static void assert_reason(const Answer *answer, const char *reason, int status)
{
	g_assert_nonnull(answer->json);
	g_assert_cmpstr(proa_json_string_or(answer->json, "reason", NULL), ==, reason);
	g_assert_false(proa_json_bool_or(answer->json, "ok", TRUE));
	g_assert_cmpint(answer->status, ==, status);
	g_assert_cmpint(proa_json_int_or(answer->json, "exit", -1), ==, status);
	g_assert_cmpstr(proa_json_string_or(answer->json, "hint", ""), !=, "");
	g_assert_cmpstr(proa_json_string_or(answer->json, "message", ""), !=, "");
}

/* Kills the fixture that wrote its number. */
static void kill_fixture(const Harness *harness, int signal_number)
{
	harness_wait_for(harness, "fixture/pid", "\n");
	g_autofree char *text = harness_read(harness, "fixture/pid");
	pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);

	g_assert_cmpint(pid, >, 1);
	g_assert_cmpint(kill(pid, signal_number), ==, 0);
}

static void test_status(void)
{
	g_auto(Harness) harness = started();
	g_auto(Answer) answer = harness_proa(&harness, "status --json");
	JsonObject *booted = proa_json_object_or_null(answer.json, "booted");

	g_assert_cmpint(answer.status, ==, 0);
	g_assert_cmpstr(answer.err, ==, "");
	g_assert_cmpstr(proa_json_string_or(answer.json, "state", NULL), ==, "good");
	g_assert_cmpstr(proa_json_string_or(answer.json, "agent", NULL), ==, "running");
	g_assert_cmpstr(proa_json_string_or(booted, "version", NULL), ==, "1.0.0");
	g_assert_cmpstr(proa_json_string_or(booted, "slot", NULL), ==, "root-a");
	g_assert_true(proa_json_bool_or(booted, "verified", FALSE));
	g_assert_cmpstr(proa_json_string_or(proa_json_object_or_null(answer.json, "feed"), "url", NULL), ==,
		"http://feed.example/");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(answer.json, "problems")), ==, 0);

	g_auto(Answer) text = harness_proa(&harness, "status");
	g_assert_cmpint(text.status, ==, 0);
	g_assert_nonnull(strstr(text.out, "running     1.0.0 in root-a"));
	g_assert_nonnull(strstr(text.out, "dm-verity"));
}

static void test_update_with_progress(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) check = harness_proa(&harness, "check");
	g_assert_cmpint(check.status, ==, 0);
	g_assert_cmpstr(
		check.out, ==, "offered: release 1.0.1, 91.0 MB to download; `proa update` brings it\n");

	g_auto(Answer) answer = harness_proa(&harness, "update");
	g_assert_cmpint(answer.status, ==, 0);
	g_assert_cmpstr(answer.out, ==, "staged: release 1.0.1 in root-b; `proa reboot` tries it\n");
	g_assert_nonnull(strstr(answer.err, "fetch     20%  18.2 MB of 91.0 MB"));
	g_assert_nonnull(strstr(answer.err, "fetch    100%  91.0 MB of 91.0 MB"));
	g_assert_nonnull(strstr(answer.err, "MB/s"));
	g_assert_nonnull(strstr(answer.err, "left"));
	g_assert_null(strstr(answer.err, "\033"));

	g_auto(Answer) status = harness_proa(&harness, "status --json");
	JsonObject *staged = proa_json_object_or_null(status.json, "staged");
	g_assert_cmpstr(proa_json_string_or(status.json, "state", NULL), ==, "staged");
	g_assert_cmpstr(proa_json_string_or(staged, "version", NULL), ==, "1.0.1");
	JsonObject *last = proa_json_object_or_null(status.json, "last_check");
	g_assert_cmpstr(proa_json_string_or(last, "result", NULL), ==, "ok");
	g_assert_cmpstr(proa_json_string_or(last, "offered", NULL), ==, "1.0.1");
}

static void test_update_in_json(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) answer = harness_proa(&harness, "update --json --to 1.0.1");
	g_assert_cmpint(answer.status, ==, 0);
	g_assert_true(proa_json_bool_or(answer.json, "ok", FALSE));
	g_assert_cmpstr(proa_json_string_or(answer.json, "result", NULL), ==, "staged");
	g_assert_cmpstr(proa_json_string_or(answer.json, "version", NULL), ==, "1.0.1");
	g_assert_cmpstr(proa_json_string_or(answer.json, "slot", NULL), ==, "root-b");

	g_auto(GStrv) lines = g_strsplit(g_strchomp(answer.err), "\n", -1);
	guint progress = 0;
	for (guint i = 0; lines[i]; i++) {
		g_autoptr(JsonObject) line =
			proa_json_parse(lines[i], strlen(lines[i]), "a line", PROA_REASON_INTERNAL, NULL);
		g_assert_nonnull(line);
		progress += proa_json_int_or(line, "total", 0) == 91000000;
	}
	g_assert_cmpuint(progress, ==, 5);
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_nonnull(strstr(calls, "install check= to=1.0.1\n"));
}

static void test_refusal(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, "fail esp-full 3 'the UKI needs 40 MB, the ESP has 3 MB'");
	g_auto(Answer) json = harness_proa(&harness, "update --json");
	assert_reason(&json, "esp-full", PROA_EXIT_REFUSED);
	g_auto(Answer) text = harness_proa(&harness, "update");
	g_assert_cmpint(text.status, ==, PROA_EXIT_REFUSED);
	g_assert_cmpstr(text.out, ==, "");
	g_assert_cmpstr(text.err, ==,
		"proa: refused (esp-full): the UKI needs 40 MB, the ESP has 3 MB\nhint: a hint of the child\n");

	harness_install(&harness, "fail no-update 4 'nothing newer than 1.0.0'");
	g_auto(Answer) nothing = harness_proa(&harness, "check");
	g_assert_cmpint(nothing.status, ==, PROA_EXIT_NOTHING);
	g_assert_cmpstr(nothing.err, ==, "proa: nothing to do (no-update): nothing newer than 1.0.0\n");
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	JsonObject *last = proa_json_object_or_null(status.json, "last_check");
	g_assert_cmpstr(proa_json_string_or(last, "result", NULL), ==, "no-update");
}

static void test_rollback(void)
{
	g_auto(Harness) harness = started();
	g_auto(Answer) done = harness_proa(&harness, "rollback");

	g_assert_cmpint(done.status, ==, 0);
	g_assert_cmpstr(done.out, ==, "next boot: release 0.9.0 from root-b; `proa reboot` starts it\n");

	g_auto(Answer) named = harness_proa(&harness, "rollback --to 0.8.0 --json");
	g_assert_cmpint(named.status, ==, 0);
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_nonnull(strstr(calls, "bootd rollback to=0.8.0\n"));

	harness_write(&harness, "fixture/rollback",
		"echo '{\"event\":\"error\",\"reason\":\"nothing-to-roll-back\",\"message\":\"root-b is empty\"}'; exit 3");
	g_auto(Answer) refused = harness_proa(&harness, "rollback --json");
	assert_reason(&refused, "nothing-to-roll-back", PROA_EXIT_REFUSED);
}

/* An operator's word about a release goes through proad, and where proad is not there, around it. */
static void expect_decisions(Harness *harness)
{
	static const char *const lines[][3] = {
		{ "reject 0.9.0", "bootd reject to=0.9.0\n", "rejected: release 0.9.0" },
		{ "unreject 0.9.0", "bootd unreject to=0.9.0\n", "no longer rejected: release 0.9.0" },
		{ "pin 1.0.0", "bootd pin to=1.0.0\n", "pinned: release 0.9.0" },
		{ "unpin", "bootd unpin to=\n", "no longer pinned" },
		{ "bless", "bootd bless to=\n", "blessed" },
		{ "rollback --check", "bootd check-rollback to=\n", "would work: release 0.9.0" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(Answer) done = harness_proa(harness, lines[i][0]);
		g_assert_cmpint(done.status, ==, 0);
		if (!strstr(done.out, lines[i][2]))
			g_error("%s said: %s", lines[i][0], done.out);
		g_autofree char *calls = harness_read(harness, "fixture/calls");
		g_assert_nonnull(strstr(calls, lines[i][1]));
	}
}

static void test_decisions(void)
{
	g_auto(Harness) harness = started();

	expect_decisions(&harness);
	harness_write(&harness, "fixture/rollback",
		"echo '{\"event\":\"error\",\"reason\":\"no-such-release\",\"message\":\"not here\"}'; exit 3");
	g_auto(Answer) refused = harness_proa(&harness, "reject 7 --json");
	assert_reason(&refused, "no-such-release", PROA_EXIT_REFUSED);
}

static void test_busy(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, SLOW_UPDATE);
	Started first = harness_start_proa(&harness, "update --json");
	harness_wait_for(&harness, "fixture/pid", "\n");
	harness_wait_for_status(&harness, "state", "staging");

	g_auto(Answer) second = harness_proa(&harness, "update --json");
	assert_reason(&second, "busy", PROA_EXIT_REFUSED);
	g_assert_true(g_str_has_prefix(
		proa_json_string_or(second.json, "message", ""), "update is under way, in phase fetch"));
	/* The other slot is being written; the refusal names the way out. */
	g_auto(Answer) rollback = harness_proa(&harness, "rollback --json");
	assert_reason(&rollback, "busy", PROA_EXIT_REFUSED);
	g_assert_nonnull(strstr(proa_json_string_or(rollback.json, "message", ""), "`systemctl stop proad`"));
	g_auto(Answer) status = harness_proa(&harness, "status");
	g_assert_nonnull(strstr(status.out, "under way   update: fetch, 1.0 MB of 91.0 MB"));

	/* Ctrl-C on the first one cancels it. */
	g_assert_cmpint(kill(first.pid, SIGINT), ==, 0);
	g_auto(Answer) cancelled = harness_wait(&first);
	assert_reason(&cancelled, "cancelled", PROA_EXIT_FAILED);
	/* Nothing is armed, and the state is what it was. */
	harness_wait_for_status(&harness, "state", "good");
	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) again = harness_proa(&harness, "update");
	g_assert_cmpint(again.status, ==, 0);
}

/* A check that hangs in a dead network is ended for an operator's rollback, which is answered when it is
 * done. */
static void test_rollback_ends_a_check(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, "echo $$ >\"$root/fixture/pid\"\nexec sleep 600\n");
	Started check = harness_start_proa(&harness, "check --json");
	harness_wait_for(&harness, "fixture/pid", "\n");
	g_auto(Answer) rollback = harness_proa(&harness, "rollback --json");
	g_assert_cmpint(rollback.status, ==, PROA_EXIT_OK);
	g_assert_cmpstr(proa_json_string_or(rollback.json, "result", NULL), ==, "rolled-back");
	g_auto(Answer) cancelled = harness_wait(&check);
	assert_reason(&cancelled, "cancelled", PROA_EXIT_FAILED);
}

static void test_busy_by_another(void)
{
	g_auto(Harness) harness = started();

	/* A proa-install that proad did not start holds the lock. */
	harness_install(&harness, SLOW_UPDATE);
	g_autofree char *command =
		g_strdup_printf("%s/proa-install --root %s", FIXTURES, harness.scratch.path);
	g_auto(GStrv) argv = g_strsplit(command, " ", -1);
	GPid pid;
	g_assert_true(g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
		NULL, NULL, &pid, NULL));
	harness_wait_for(&harness, "fixture/pid", "\n");
	harness_wait_for_status(&harness, "state", "staging");
	g_auto(Answer) answer = harness_proa(&harness, "update --json");
	assert_reason(&answer, "busy", PROA_EXIT_REFUSED);
	kill_fixture(&harness, SIGKILL);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_no_wait(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) answer = harness_proa(&harness, "update --no-wait --json");
	g_assert_cmpint(answer.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(answer.json, "result", NULL), ==, "started");
	harness_wait_for_status(&harness, "state", "staged");
}

static void test_child_killed(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, "echo 'zstd: out of memory' >&2\n" SLOW_UPDATE);
	Started update = harness_start_proa(&harness, "update --json");
	kill_fixture(&harness, SIGKILL);
	g_auto(Answer) answer = harness_wait(&update);
	assert_reason(&answer, "internal", PROA_EXIT_FAILED);
	const char *message = proa_json_string_or(answer.json, "message", "");
	g_assert_nonnull(strstr(message, "killed by signal 9"));
	g_assert_nonnull(strstr(message, "in phase fetch"));
	g_assert_nonnull(strstr(message, "zstd: out of memory"));
	/* The state does not stay at staging, and the history tells. */
	harness_wait_for_status(&harness, "state", "good");
	g_auto(Answer) history = harness_proa(&harness, "history");
	g_assert_nonnull(strstr(history.out, "failed       1.0.1        root-b  internal"));
}

static void test_child_that_says_nothing(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, "echo not json; echo '[]'; head -c 200000 /dev/zero; exit 7");
	g_auto(Answer) answer = harness_proa(&harness, "update --json");
	assert_reason(&answer, "internal", PROA_EXIT_FAILED);
	g_assert_nonnull(strstr(proa_json_string_or(answer.json, "message", ""), "status 7"));
}

static void test_escape_sequences(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness,
		"say '{\"event\":\"error\",\"reason\":\"feed-error\",\"message\":\"a\\u001b[2Jb\\u009bc\\nd\"}'; exit 1");
	g_auto(Answer) answer = harness_proa(&harness, "update");
	g_assert_cmpint(answer.status, ==, PROA_EXIT_FAILED);
	g_assert_null(strchr(answer.err, '\033'));
	g_assert_nonnull(strstr(answer.err, "proa: failed (feed-error): a [2Jb c d\n"));
}

static void test_proad_dies(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, SLOW_UPDATE);
	Started update = harness_start_proa(&harness, "update --json");
	harness_wait_for(&harness, "fixture/pid", "\n");
	harness_stop_proad(&harness, SIGKILL);
	g_auto(Answer) answer = harness_wait(&update);
	assert_reason(&answer, "no-agent", PROA_EXIT_FAILED);

	/* Its child was told to stop; a new proad finds no transaction under way and says what runs. */
	harness_start_proad(&harness);
	harness_wait_for_status(&harness, "state", "good");
	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) again = harness_proa(&harness, "update --json");
	g_assert_cmpint(again.status, ==, 0);
}

static void test_proad_is_stopped(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, SLOW_UPDATE);
	Started update = harness_start_proa(&harness, "update --json");
	harness_wait_for(&harness, "fixture/pid", "\n");
	int status = harness_stop_proad(&harness, SIGTERM);
	g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	g_auto(Answer) answer = harness_wait(&update);
	assert_reason(&answer, "cancelled", PROA_EXIT_FAILED);
}

static void test_without_proad(void)
{
	g_auto(Harness) harness = harness_new();

	harness_start_bus(&harness);
	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	g_assert_cmpint(status.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(status.json, "agent", NULL), ==, "not-running");
	g_assert_cmpstr(proa_json_string_or(proa_json_object_or_null(status.json, "booted"), "version", NULL),
		==, "1.0.0");

	g_auto(Answer) check = harness_proa(&harness, "check");
	g_assert_cmpint(check.status, ==, 0);
	g_assert_nonnull(strstr(check.err, "running proa-install directly"));
	g_auto(Answer) update = harness_proa(&harness, "update --json");
	g_assert_cmpint(update.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(update.json, "result", NULL), ==, "staged");
	g_auto(Answer) after = harness_proa(&harness, "status --json");
	g_assert_cmpstr(proa_json_string_or(after.json, "state", NULL), ==, "staged");
	g_assert_cmpstr(
		proa_json_string_or(proa_json_object_or_null(after.json, "last_check"), "offered", NULL), ==,
		"1.0.1");
	g_auto(Answer) rollback = harness_proa(&harness, "rollback");
	g_assert_cmpint(rollback.status, ==, 0);
	g_assert_nonnull(strstr(rollback.out, "next boot: release 0.9.0"));
	expect_decisions(&harness);
}

static void test_without_bus(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness, SLOW_UPDATE);
	g_auto(Answer) status = harness_proa(&harness, "status");
	g_assert_cmpint(status.status, ==, 0);
	g_assert_nonnull(strstr(status.out, "proad does not answer"));

	Started update = harness_start_proa(&harness, "update --json");
	harness_wait_for(&harness, "fixture/pid", "\n");
	g_assert_cmpint(kill(update.pid, SIGTERM), ==, 0);
	g_auto(Answer) cancelled = harness_wait(&update);
	assert_reason(&cancelled, "cancelled", PROA_EXIT_FAILED);
	g_auto(Answer) after = harness_proa(&harness, "status --json");
	g_assert_cmpstr(proa_json_string_or(after.json, "state", NULL), ==, "good");
	g_auto(Answer) no_wait = harness_proa(&harness, "update --no-wait --json");
	assert_reason(&no_wait, "no-agent", PROA_EXIT_FAILED);
}

static void test_users(void)
{
	g_auto(Harness) harness = started();

	if (geteuid() != 0) {
		g_test_skip("needs root, to become another user");
		return;
	}
	g_auto(Answer) status = harness_proa_as_nobody(&harness, "status --json");
	g_assert_cmpint(status.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(status.json, "agent", NULL), ==, "running");
	const char *const forbidden[] = { "update --json", "check --json", "rollback --json",
		"reboot --json" };
	for (gsize i = 0; i < G_N_ELEMENTS(forbidden); i++) {
		g_auto(Answer) answer = harness_proa_as_nobody(&harness, forbidden[i]);
		assert_reason(&answer, "permission", PROA_EXIT_REFUSED);
	}
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_null(strstr(calls, "install"));
	g_assert_null(strstr(calls, "rollback"));

	/* Without proad they learn what the state files say, and why not more. */
	harness_stop_proad(&harness, SIGTERM);
	g_auto(Answer) alone = harness_proa_as_nobody(&harness, "status --json");
	g_assert_cmpint(alone.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(alone.json, "state", NULL), ==, "good");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(alone.json, "problems")), ==, 1);
}

static void test_trial(void)
{
	g_auto(Harness) harness = started();
	g_autofree char *state = harness_read(&harness, "var/lib/proa/state.json");
	g_auto(GStrv) parts = g_strsplit(state, "\"good\",", 2);
	g_autofree char *trial = g_strjoin("\"trial\",", parts[0], parts[1], NULL);

	/* As proa-bootd does it: replaced, and proad sees it by itself. */
	harness_write(&harness, "var/lib/proa/state.json", trial);
	harness_wait_for_status(&harness, "state", "trial");
	g_auto(Answer) refused = harness_proa(&harness, "update --json");
	assert_reason(&refused, "trial-boot", PROA_EXIT_REFUSED);
	g_assert_nonnull(strstr(proa_json_string_or(refused.json, "message", ""), "1.0.0"));
	harness_write(&harness, "var/lib/proa/state.json", state);
	harness_wait_for_status(&harness, "state", "good");
	harness_install(&harness, GOOD_UPDATE);
	g_auto(Answer) update = harness_proa(&harness, "update");
	g_assert_cmpint(update.status, ==, 0);
}

static void test_broken_files(void)
{
	g_auto(Harness) harness = harness_new();

	harness_write(&harness, "var/lib/proa/state.json", "{\"state\":17}");
	harness_write(&harness, "var/lib/proa/rejected.json", "no json");
	harness_write(
		&harness, "var/lib/proa/history.jsonl", "{\"event\":\"staged\",\"time\":5}\n{\"event\":\"bl");
	harness_write(&harness, "fixture/status", "this is no answer");
	harness_write(&harness, "etc/proa/update.conf", "[update]\nautomatic=maybe\nreboot_window=always\n");
	harness_start_bus(&harness);
	const char *const lines[] = { "status --json", "status", "history --json" };
	g_auto(Answer) before = harness_proa(&harness, "status --json");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(before.json, "problems")), ==, 5);
	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(Answer) answer = harness_proa(&harness, lines[i]);
		g_assert_cmpint(answer.status, ==, 0);
	}
	g_auto(Answer) history = harness_proa(&harness, "history --json");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(history.json, "history")), ==, 1);
	g_auto(Answer) rejected = harness_proa(&harness, "history --rejected --json");
	assert_reason(&rejected, "bad-state", PROA_EXIT_FAILED);
	g_auto(Answer) update = harness_proa(&harness, "update --json");
	assert_reason(&update, "no-update", PROA_EXIT_NOTHING);
}

static void test_command_line(void)
{
	g_auto(Harness) harness = harness_new();
	const char *const wrong[] = { "fly --json", "update --fast --json", "update --to", "--json" };
	const char *const right[] = { "--help", "help update", "update --help", "--version", "help" };

	for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_auto(Answer) answer = harness_proa(&harness, wrong[i]);
		g_assert_cmpint(answer.status, ==, PROA_EXIT_USAGE);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(right); i++) {
		g_auto(Answer) answer = harness_proa(&harness, right[i]);
		g_assert_cmpint(answer.status, ==, 0);
		g_assert_cmpstr(answer.out, !=, "");
		g_assert_cmpstr(answer.err, ==, "");
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bus/status-merges-slots-state-and-configuration", test_status);
	g_test_add_func("/bus/update-shows-progress-and-ends-staged", test_update_with_progress);
	g_test_add_func("/bus/json-is-one-object-and-progress-lines", test_update_in_json);
	g_test_add_func("/bus/refusal-keeps-reason-hint-and-exit-status", test_refusal);
	g_test_add_func("/bus/rollback-goes-through-bootd", test_rollback);
	g_test_add_func("/bus/an-operators-word-goes-through-bootd", test_decisions);
	g_test_add_func("/bus/second-transaction-is-busy-and-ctrl-c-cancels", test_busy);
	g_test_add_func("/bus/rollback-ends-a-check", test_rollback_ends_a_check);
	g_test_add_func("/bus/busy-when-another-holds-the-lock", test_busy_by_another);
	g_test_add_func("/bus/no-wait-comes-back-at-once", test_no_wait);
	g_test_add_func("/bus/killed-child-is-told-with-its-last-words", test_child_killed);
	g_test_add_func("/bus/child-without-an-answer-is-a-failure", test_child_that_says_nothing);
	g_test_add_func("/bus/terminal-is-safe-from-escape-sequences", test_escape_sequences);
	g_test_add_func("/bus/proad-killed-in-the-middle", test_proad_dies);
	g_test_add_func("/bus/proad-stopped-cancels-first", test_proad_is_stopped);
	g_test_add_func("/bus/without-proad-root-acts-directly", test_without_proad);
	g_test_add_func("/bus/without-a-bus-root-acts-directly", test_without_bus);
	g_test_add_func("/bus/only-root-changes-anything", test_users);
	g_test_add_func("/bus/trial-refuses-updates-until-blessed", test_trial);
	g_test_add_func("/bus/broken-files-stop-nothing", test_broken_files);
	g_test_add_func("/bus/command-line-mistakes-are-usage", test_command_line);
	return g_test_run();
}

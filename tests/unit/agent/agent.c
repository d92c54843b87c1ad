/* SPDX-License-Identifier: Apache-2.0 */
/* The agent on a loop of its own, without a bus; its children are the fixtures. */
#include "agent/agent.h"

#include "base/file.h"
#include "base/json.h"
#include "base/state.h"
#include "tests/unit/agent/loop.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STAGE                                                                                                \
	"stage staging 1.0.1\n"                                                                              \
	"[ -z \"$check\" ] || exit 0\n"                                                                      \
	"stage staged 1.0.1\n"                                                                               \
	"say '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\",\"slot\":\"root-b\"}'\n"
#define HASH_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HASH_2 "0000000000000000000000000000000000000000000000000000000000000002"
#define FOREVER "trap 'fail cancelled 1 told' TERM\nstage staging 1.0.1\nwhile :; do sleep 0.1; done\n"

typedef struct {
	Scratch scratch;
	ProaPaths *paths;
	sd_event *event;
	ProaAgent *agent;
	guint finished, reboots, answers, phases;
	ProaReason reason; /* of what finished last; PROA_REASON_MAX: it went well */
	gboolean refuse_reboot, stop;
	gint64 waits_until, next_check; /* of the status seen last */
} Node;

static void on_progress(const char *phase, guint64 done, guint64 total, gpointer data)
{
	Node *node = data;

	node->phases++;
}

static void on_finished(
	ProaOperation operation, const ProaOutcome *outcome, JsonObject *detail, gpointer data)
{
	Node *node = data;

	node->finished++;
	node->reason = outcome->ok ? PROA_REASON_MAX : outcome->reason;
	node->stop = TRUE;
}

static void on_change(gpointer data)
{
}

static gboolean on_reboot(gpointer data, GError **error)
{
	Node *node = data;

	node->reboots++;
	node->stop = TRUE;
	return !node->refuse_reboot || proa_fail(error, PROA_REASON_INTERNAL, "nobody takes it");
}

static const ProaAgentWatcher watcher = { on_progress, on_finished, on_change, on_reboot };

static void node_write(const Node *node, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(&node->scratch, name, text, -1);

	g_assert_nonnull(path);
}

static void node_state(const Node *node, ProaStateKind kind)
{
	g_autoptr(ProaState) state = proa_state_new();
	gboolean has_staged =
		kind == PROA_STATE_STAGING || kind == PROA_STATE_STAGED || kind == PROA_STATE_TRIAL;

	state->kind = kind;
	proa_state_set_release(&state->booted, "1.0.0", HASH_1, "root-a");
	proa_state_set_release(&state->good, "1.0.0", HASH_1, "root-a");
	if (has_staged)
		proa_state_set_release(&state->staged, "1.0.1", HASH_2, "root-b");
	g_assert_true(proa_state_save(node->paths->state_dir, state, NULL));
}

static Node node_new(ProaStateKind kind, const char *configuration, const char *install)
{
	Node node = { .scratch = scratch_new(), .event = loop_new() };

	node.paths = proa_paths_new(node.scratch.path, FIXTURES);
	node_write(&node, "etc/proa/update.conf", configuration);
	node_write(&node, "fixture/install", install);
	node_write(&node, "fixture/rollback",
		"echo '{\"event\":\"done\",\"result\":\"well\",\"version\":\"0.9.0\"}'");
	node_write(&node, "fixture/status", "{\"booted\":{\"version\":\"1.0.0\"}}");
	node_state(&node, kind);
	return node;
}

/* Its watcher needs the place where the node stays. */
static void node_start(Node *node)
{
	node->agent = proa_agent_new(node->event, node->paths, &watcher, node);
	proa_agent_start(node->agent);
}

static void node_clear(Node *node)
{
	g_clear_pointer(&node->agent, proa_agent_free);
	proa_paths_free(node->paths);
	sd_event_unref(node->event);
	scratch_clear(&node->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Node, node_clear)

/* Until a transaction finished, or a reboot was asked for. */
static void node_run(Node *node)
{
	for (node->stop = FALSE; !node->stop;)
		g_assert_cmpint(sd_event_run(node->event, UINT64_MAX), >=, 0);
}

typedef enum { START, REFUSE_BUSY, REFUSE_TRIAL, REBOOT, NOTHING } Expect;

static gboolean call(Node *node, ProaEvent event, GError **error)
{
	switch (event) {
	case PROA_EVENT_CHECK:
		return proa_agent_check(node->agent, error);
	case PROA_EVENT_UPDATE:
		return proa_agent_update(node->agent, NULL, error);
	case PROA_EVENT_ROLLBACK:
		return proa_agent_rollback(node->agent, NULL, error);
	case PROA_EVENT_DECIDE:
		return proa_agent_decide(node->agent, PROA_OPERATION_REJECT, "0.9.0", error);
	case PROA_EVENT_REBOOT:
		return proa_agent_reboot(node->agent, "asked for by a test", error);
	default:
		return proa_agent_cancel(node->agent, error);
	}
}

static void expect_call(ProaStateKind kind, gboolean lock, ProaEvent event, Expect expect)
{
	g_auto(Node) node = node_new(kind, "[update]\nautomatic=no\n", STAGE);
	g_autofree char *path = scratch_write(&node.scratch, "run/proa/install.lock", "", 0);
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	g_autoptr(GError) error = NULL;

	g_test_message("%s, event %d%s", proa_state_kind_to_string(kind), event, lock ? ", locked" : "");
	g_assert_cmpint(flock(fd, lock ? LOCK_EX : LOCK_UN), ==, 0);
	node_start(&node);
	gboolean ok = call(&node, event, &error);
	g_assert_cmpint(ok, ==, expect != REFUSE_BUSY && expect != REFUSE_TRIAL);
	g_assert_cmpint(proa_agent_busy(node.agent), ==, expect == START);
	g_assert_cmpuint(node.reboots, ==, expect == REBOOT);
	if (!ok)
		g_assert_cmpint(proa_reason_of(error), ==,
			expect == REFUSE_BUSY ? PROA_REASON_BUSY : PROA_REASON_TRIAL_BOOT);
}

/* Every state that state.json can hold, every call that an operator can make. */
static void every_state_and_every_call(void)
{
	static const ProaEvent calls[] = { PROA_EVENT_CHECK, PROA_EVENT_UPDATE, PROA_EVENT_ROLLBACK,
		PROA_EVENT_DECIDE, PROA_EVENT_REBOOT, PROA_EVENT_CANCEL };
	static const Expect free_row[] = { START, START, START, START, REBOOT, NOTHING };
	static const Expect trial_row[] = { START, REFUSE_TRIAL, START, START, REBOOT, NOTHING };
	static const Expect staging_row[] = { REFUSE_BUSY, REFUSE_BUSY, REFUSE_BUSY, REFUSE_BUSY, REBOOT,
		REFUSE_BUSY };

	for (int kind = 0; kind < _PROA_STATE_MAX; kind++)
		for (gsize i = 0; i < G_N_ELEMENTS(calls); i++)
			expect_call((ProaStateKind)kind, FALSE, calls[i],
				kind == PROA_STATE_TRIAL ? trial_row[i] : free_row[i]);
	/* Staging for as long as someone stages. */
	for (gsize i = 0; i < G_N_ELEMENTS(calls); i++)
		expect_call(PROA_STATE_STAGING, TRUE, calls[i], staging_row[i]);
}

static void a_check_is_recorded_when_it_ends(void)
{
	g_auto(Node) node =
		node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", "fail feed-unreachable 1 'no route'");

	node_start(&node);
	g_assert_cmpint(proa_agent_last_check(node.agent), ==, 0);
	g_assert_true(proa_agent_check(node.agent, NULL));
	node_run(&node);
	g_assert_cmpuint(node.finished, ==, 1);
	g_assert_cmpint(node.reason, ==, PROA_REASON_FEED_UNREACHABLE);
	g_assert_cmpint(proa_agent_last_check(node.agent), >, 0);
	g_assert_cmpstr(proa_agent_last_check_result(node.agent), ==, "feed-unreachable");
	g_assert_false(proa_agent_busy(node.agent));
}

static void an_update_ends_staged_and_a_cancelled_one_does_not(void)
{
	g_auto(Node) good = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", STAGE);
	g_auto(Node) slow = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", FOREVER);

	node_start(&good);
	g_assert_true(proa_agent_update(good.agent, NULL, NULL));
	node_run(&good);
	g_assert_cmpint(good.reason, ==, PROA_REASON_MAX);
	g_assert_cmpstr(proa_agent_state(good.agent), ==, "staged");
	g_assert_cmpstr(proa_agent_staged_version(good.agent), ==, "1.0.1");

	node_start(&slow);
	g_assert_true(proa_agent_update(slow.agent, NULL, NULL));
	g_assert_cmpstr(proa_agent_state(slow.agent), ==, "staging");
	/* The fixture may not have come to its trap yet: either way it is cancelled. */
	g_assert_true(proa_agent_cancel(slow.agent, NULL));
	node_run(&slow);
	g_assert_cmpint(slow.reason, ==, PROA_REASON_CANCELLED);
	g_assert_cmpstr(proa_agent_state(slow.agent), ==, "good");
}

#define HANGS "trap 'fail cancelled 1 told' TERM\nsay '{\"event\":\"phase\",\"phase\":\"trust\"}'\n"
#define LOOP "while :; do sleep 0.1; done\n"

/* Until the child has said so many phases: it has set its trap by then. */
static void node_run_to_phase(Node *node, guint phases)
{
	while (node->phases < phases)
		g_assert_cmpint(sd_event_run(node->event, UINT64_MAX), >=, 0);
}

static char *node_calls(const Node *node)
{
	g_autofree char *path = scratch_file(&node->scratch, "fixture/calls");

	return proa_file_read(path, 4096, NULL, NULL);
}

/* A dead network at 3 a.m.: neither a check nor an update that still asks keeps an operator from going back.
 */
static void a_look_at_the_feed_gives_way(void)
{
	for (int update = 0; update < 2; update++) {
		g_auto(Node) node = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", HANGS LOOP);
		g_autoptr(GError) error = NULL;

		node_start(&node);
		g_assert_true(update ? proa_agent_update(node.agent, NULL, NULL)
				     : proa_agent_check(node.agent, NULL));
		node_run_to_phase(&node, 1);
		g_assert_true(proa_agent_rollback(node.agent, "0.9.0", &error));
		g_assert_no_error(error);
		/* One word at a time. */
		g_assert_false(proa_agent_decide(node.agent, PROA_OPERATION_BLESS, NULL, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
		node_run(&node);
		g_assert_cmpint(node.reason, ==, PROA_REASON_CANCELLED);
		node_run(&node);
		g_assert_cmpuint(node.finished, ==, 2);
		g_assert_cmpint(node.reason, ==, PROA_REASON_MAX);
		g_assert_false(proa_agent_busy(node.agent));
		g_autofree char *calls = node_calls(&node);
		g_assert_nonnull(strstr(calls, "bootd rollback to=0.9.0\n"));
	}
}

/* The other slot is being written: there is a way out, but not this one. */
static void an_update_that_writes_does_not(void)
{
	g_auto(Node) node = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n",
		HANGS "say '{\"event\":\"offer\",\"version\":\"1.0.1\"}'\n"
		      "say '{\"event\":\"phase\",\"phase\":\"fetch\"}'\n" LOOP);
	g_autoptr(GError) error = NULL;

	node_start(&node);
	g_assert_true(proa_agent_update(node.agent, NULL, NULL));
	node_run_to_phase(&node, 2);
	g_assert_false(proa_agent_rollback(node.agent, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
	g_assert_nonnull(strstr(error->message, "systemctl stop proad"));
	g_assert_true(proa_agent_cancel(node.agent, NULL));
	node_run(&node);
	g_assert_cmpuint(node.finished, ==, 1);
}

/* What followed could not be started: whoever waits for it hears so. */
static void a_word_that_cannot_be_carried_out_is_answered(void)
{
	g_auto(Node) node = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", HANGS LOOP);

	node_start(&node);
	g_assert_true(proa_agent_check(node.agent, NULL));
	node_run_to_phase(&node, 1);
	g_assert_true(proa_agent_decide(node.agent, PROA_OPERATION_REJECT, "no version", NULL));
	node_run(&node);
	g_assert_cmpuint(node.finished, ==, 2);
	g_assert_cmpint(node.reason, ==, PROA_REASON_USAGE);
}

/* proad was killed while proa-install was at work, and the next one finds what it left. */
static void what_an_interrupted_transaction_left_is_healed(void)
{
	g_auto(Node) node = node_new(PROA_STATE_STAGING, "[update]\nautomatic=no\n", STAGE);

	node_start(&node);
	g_assert_cmpstr(proa_agent_state(node.agent), ==, "good");
	g_autoptr(ProaState) state = proa_state_load(node.paths->state_dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_GOOD);
	g_assert_null(state->staged.root_hash);
}

static void on_waiting_status(JsonObject *status, gpointer data)
{
	Node *node = data;

	node->waits_until = proa_json_int_or(status, "waits_until", 0);
	node->next_check = proa_json_int_or(status, "next_check", 0);
	node->stop = TRUE;
}

static void by_itself_it_stages_and_reboots_once(void)
{
	g_auto(Node) node = node_new(PROA_STATE_GOOD,
		"[update]\nautomatic=yes\nstartup_delay=0\njitter=0\nreboot=automatic\nreboot_delay=0\n",
		STAGE);

	node_start(&node);
	node_run(&node);
	g_assert_cmpuint(node.finished, ==, 1);
	g_assert_cmpuint(node.reboots, ==, 0);
	node_run(&node);
	g_assert_cmpuint(node.reboots, ==, 1);
}

/* Not at the next interval, which is a day here. */
static void a_release_held_back_is_taken_when_its_time_has_come(void)
{
	g_autofree char *held = g_strdup_printf(
		"say '{\"event\":\"wait\",\"reason\":\"crash-watch\",\"until\":%" G_GINT64_FORMAT "}'\n"
		"fail crash-watch 3 'still watched'\n",
		g_get_real_time() / G_USEC_PER_SEC + 1000);
	g_auto(Node) node = node_new(PROA_STATE_GOOD,
		"[update]\nautomatic=yes\nstartup_delay=0\njitter=0\ncheck_interval=1d\n", held);
	g_autoptr(GError) error = NULL;

	node_start(&node);
	node_run(&node);
	g_assert_cmpint(node.reason, ==, PROA_REASON_CRASH_WATCH);
	g_autofree char *by_itself = node_calls(&node);
	g_assert_nonnull(strstr(by_itself, "install check= to= unattended\n"));
	g_assert_true(proa_agent_status(node.agent, on_waiting_status, &node, &error));
	node_run(&node);
	g_assert_cmpint(node.waits_until - node.next_check, >=, -1);
	g_assert_cmpint(node.waits_until - node.next_check, <=, 2);
	g_assert_cmpint(node.waits_until, >, g_get_real_time() / G_USEC_PER_SEC + 900);

	/* One that went through waits for nothing any more. */
	node_write(&node, "fixture/install", STAGE);
	g_assert_true(proa_agent_update(node.agent, NULL, &error));
	node_run(&node);
	g_assert_true(proa_agent_status(node.agent, on_waiting_status, &node, &error));
	node_run(&node);
	g_assert_cmpint(node.waits_until, ==, 0);
	g_assert_cmpint(node.next_check, >, g_get_real_time() / G_USEC_PER_SEC + 80000);
	/* An operator is not held back. */
	g_autofree char *asked = node_calls(&node);
	g_assert_nonnull(strstr(asked, "install check= to=\n"));
}

/* An operator who pins the node means the next reboot, too. */
static void no_reboot_into_what_is_not_pinned(void)
{
	static const char *const pins[] = { "{\"version\":\"1.0.0\"}", "{\"version\":\"1.0.1\"}" };

	for (guint i = 0; i < G_N_ELEMENTS(pins); i++) {
		g_auto(Node) node = node_new(
			PROA_STATE_GOOD, "[update]\nautomatic=no\nreboot=automatic\nreboot_delay=0\n", STAGE);
		node_write(&node, "var/lib/proa/pin.json", pins[i]);
		node_start(&node);
		g_assert_true(proa_agent_update(node.agent, NULL, NULL));
		node_run(&node);
		g_assert_cmpstr(proa_agent_state(node.agent), ==, "staged");
		for (int turn = 0; turn < 10 && node.reboots == 0; turn++)
			g_assert_cmpint(sd_event_run(node.event, 50000), >=, 0);
		g_assert_cmpuint(node.reboots, ==, i);
	}
}

/* A reboot did not lead to it, and will not the next time. */
static void what_was_staged_before_this_boot_is_no_reason_to_reboot(void)
{
	g_auto(Node) node = node_new(PROA_STATE_STAGED,
		"[update]\nautomatic=yes\nstartup_delay=0\njitter=0\nreboot=automatic\nreboot_delay=0\n",
		"fail no-update 4 'nothing newer'");

	node_start(&node);
	node_run(&node);
	g_assert_cmpint(node.reason, ==, PROA_REASON_NO_UPDATE);
	g_assert_cmpint(sd_event_run(node.event, 100000), >=, 0);
	g_assert_cmpuint(node.reboots, ==, 0);
}

static void a_reboot_is_asked_for_with_a_dead_var_too(void)
{
	g_auto(Node) node = node_new(PROA_STATE_STAGED, "[update]\nautomatic=no\n", STAGE);
	g_autofree char *history = scratch_file(&node.scratch, "var/lib/proa/history.jsonl");
	g_autoptr(GError) error = NULL;

	node_start(&node);
	/* A folder where the history should be: it cannot be written. */
	g_assert_cmpint(g_mkdir(history, 0755), ==, 0);
	g_assert_true(proa_agent_reboot(node.agent, "asked for", &error));
	g_assert_no_error(error);
	node.refuse_reboot = TRUE;
	g_assert_false(proa_agent_reboot(node.agent, "asked for", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_INTERNAL);
	g_assert_cmpuint(node.reboots, ==, 2);
}

static void on_status(JsonObject *status, gpointer data)
{
	Node *node = data;

	g_assert_cmpstr(proa_json_string_or(status, "agent", NULL), ==, "running");
	if (++node->answers == PROA_AGENT_MAX_WAITERS)
		node->stop = TRUE;
}

/* Whoever asks meanwhile gets the same answer; a crowd is turned away before it costs memory. */
static void one_question_answers_all_who_wait(void)
{
	g_auto(Node) node = node_new(PROA_STATE_GOOD, "[update]\nautomatic=no\n", STAGE);
	g_autoptr(GError) error = NULL;

	node_start(&node);
	for (guint i = 0; i < PROA_AGENT_MAX_WAITERS; i++)
		g_assert_true(proa_agent_status(node.agent, on_status, &node, NULL));
	g_assert_false(proa_agent_status(node.agent, on_status, &node, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
	node_run(&node);
	g_assert_cmpuint(node.answers, ==, PROA_AGENT_MAX_WAITERS);
	g_autofree char *path = scratch_file(&node.scratch, "fixture/calls");
	g_autofree char *calls = proa_file_read(path, 4096, NULL, NULL);
	g_assert_cmpstr(calls, ==, "bootd status to=\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/every-state-and-every-call", every_state_and_every_call);
	g_test_add_func("/agent/a-check-is-recorded-when-it-ends", a_check_is_recorded_when_it_ends);
	g_test_add_func("/agent/an-update-ends-staged-and-a-cancelled-one-does-not",
		an_update_ends_staged_and_a_cancelled_one_does_not);
	g_test_add_func("/agent/a-look-at-the-feed-gives-way", a_look_at_the_feed_gives_way);
	g_test_add_func("/agent/an-update-that-writes-does-not", an_update_that_writes_does_not);
	g_test_add_func("/agent/a-word-that-cannot-be-carried-out-is-answered",
		a_word_that_cannot_be_carried_out_is_answered);
	g_test_add_func("/agent/what-an-interrupted-transaction-left-is-healed",
		what_an_interrupted_transaction_left_is_healed);
	g_test_add_func("/agent/by-itself-it-stages-and-reboots-once", by_itself_it_stages_and_reboots_once);
	g_test_add_func("/agent/a-release-held-back-is-taken-when-its-time-has-come",
		a_release_held_back_is_taken_when_its_time_has_come);
	g_test_add_func("/agent/no-reboot-into-what-is-not-pinned", no_reboot_into_what_is_not_pinned);
	g_test_add_func("/agent/what-was-staged-before-this-boot-is-no-reason-to-reboot",
		what_was_staged_before_this_boot_is_no_reason_to_reboot);
	g_test_add_func("/agent/a-reboot-is-asked-for-with-a-dead-var-too",
		a_reboot_is_asked_for_with_a_dead_var_too);
	g_test_add_func("/agent/one-question-answers-all-who-wait", one_question_answers_all_who_wait);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transaction.h"

#include "tests/unit/agent/loop.h"

#include <string.h>

typedef struct {
	Scratch scratch;
	ProaPaths *paths;
	sd_event *event;
	guint changes, ends;
	gboolean cancel; /* at the first change */
} Run;

static void on_changed(ProaTransaction *transaction, ProaChange change, gpointer data)
{
	Run *run = data;

	g_assert_cmpint(change, !=, PROA_CHANGE_NOTHING);
	run->changes++;
	if (run->cancel)
		proa_transaction_cancel(transaction);
}

static void on_ended(ProaTransaction *transaction, gpointer data)
{
	Run *run = data;

	run->ends++;
	sd_event_exit(run->event, 0);
}

static const ProaTransactionWatcher watcher = { on_changed, on_ended };

/* Both programs are @script. */
static Run run_new(const char *script)
{
	Run run = { .scratch = scratch_new(), .event = loop_new() };
	g_autofree char *libexec = scratch_file(&run.scratch, "libexec");
	g_autofree char *install = loop_script(&run.scratch, "libexec/proa-install", script);
	g_autofree char *bootd = loop_script(&run.scratch, "libexec/proa-bootd", script);

	g_assert_true(install && bootd);
	run.paths = proa_paths_new(NULL, libexec);
	return run;
}

static void run_clear(Run *run)
{
	proa_paths_free(run->paths);
	sd_event_unref(run->event);
	scratch_clear(&run->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static ProaTransaction *finish(Run *run, ProaOperation operation, const char *version)
{
	g_autoptr(GError) error = NULL;
	ProaTransaction *transaction = proa_transaction_start(
		run->event, run->paths, operation, version, FALSE, &watcher, run, &error);

	g_assert_no_error(error);
	g_assert_cmpint(sd_event_loop(run->event), ==, 0);
	g_assert_cmpuint(run->ends, ==, 1);
	return transaction;
}

/* Writes its own name and arguments down, and does well. */
#define ECHO                                                                                                 \
	"echo \"${0##*/} $*\" >\"${0%/*}/called\"\n"                                                         \
	"echo '{\"event\":\"offer\",\"version\":\"1.0.0\"}'\n"                                               \
	"echo '{\"event\":\"done\",\"result\":\"well\",\"version\":\"1.0.0\"}'"

static void every_operation_runs_its_program(void)
{
	static const struct {
		const char *word, *line;
		gboolean feed, lasts;
	} expected[_PROA_OPERATION_MAX] = {
		[PROA_OPERATION_CHECK] = { "check", "proa-install --check --to 1.0.0", TRUE, TRUE },
		[PROA_OPERATION_UPDATE] = { "update", "proa-install --to 1.0.0", TRUE, TRUE },
		[PROA_OPERATION_ROLLBACK] = { "rollback", "proa-bootd rollback --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_CHECK_ROLLBACK] = { "check-rollback", "proa-bootd check-rollback --to 1.0.0",
			FALSE, TRUE },
		[PROA_OPERATION_BLESS] = { "bless", "proa-bootd bless --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_REJECT] = { "reject", "proa-bootd reject --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_UNREJECT] = { "unreject", "proa-bootd unreject --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_PIN] = { "pin", "proa-bootd pin --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_UNPIN] = { "unpin", "proa-bootd unpin --to 1.0.0", FALSE, FALSE },
		[PROA_OPERATION_PLAN_ROLLBACK] = { "plan-rollback", "proa-bootd plan-rollback --to 1.0.0",
			FALSE, FALSE },
	};

	for (int i = 0; i < _PROA_OPERATION_MAX; i++) {
		g_auto(Run) run = run_new(ECHO);
		ProaOperation operation = (ProaOperation)i;
		g_autoptr(ProaTransaction) transaction = finish(&run, operation, "1.0.0");
		const ProaOutcome *outcome = proa_transaction_outcome(transaction);
		g_assert_true(outcome->ok);
		g_autofree char *path = scratch_file(&run.scratch, "libexec/called");
		g_autofree char *line = NULL;
		g_assert_true(g_file_get_contents(path, &line, NULL, NULL));
		g_assert_cmpstr(g_strchomp(line), ==, expected[i].line);
		g_assert_cmpstr(outcome->version, ==, "1.0.0");
		g_assert_cmpint(proa_transaction_operation(transaction), ==, operation);
		g_assert_cmpstr(proa_operation_to_string(operation), ==, expected[i].word);
		g_assert_cmpint(proa_operation_from_string(expected[i].word), ==, operation);
		g_assert_cmpint(proa_operation_asks_feed(operation), ==, expected[i].feed);
		g_assert_cmpint(proa_operation_is_long(operation), ==, expected[i].lasts);
		g_assert_cmpuint(run.changes, ==, 2);
	}
	g_assert_cmpint(proa_operation_from_string("fly"), ==, _PROA_OPERATION_MAX);
}

/* It would become an argument of a program. */
static void what_is_no_version_is_not_passed_on(void)
{
	static const char *const words[] = { "--help", "1.0 --token /x", "../1", "a;b" };
	g_auto(Run) run = run_new(ECHO);

	for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_transaction_start(run.event, run.paths, PROA_OPERATION_UPDATE, words[i],
			FALSE, &watcher, &run, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	}
}

static void a_child_that_says_nothing_has_failed(void)
{
	g_auto(Run) run = run_new("echo trouble >&2; exit 9");
	g_autoptr(ProaTransaction) transaction = finish(&run, PROA_OPERATION_UPDATE, NULL);
	const ProaOutcome *outcome = proa_transaction_outcome(transaction);

	g_assert_false(outcome->ok);
	g_assert_cmpint(outcome->reason, ==, PROA_REASON_INTERNAL);
	g_assert_nonnull(strstr(outcome->message, "trouble"));
}

/* An offer is the end of a check, and not that of an update. */
static void an_offer_alone_ends_a_check_only(void)
{
	static const char script[] = "echo '{\"event\":\"offer\",\"version\":\"1.0.1\"}'";
	g_auto(Run) check = run_new(script), update = run_new(script);
	g_autoptr(ProaTransaction) checked = finish(&check, PROA_OPERATION_CHECK, NULL);
	g_autoptr(ProaTransaction) updated = finish(&update, PROA_OPERATION_UPDATE, NULL);

	g_assert_true(proa_transaction_outcome(checked)->ok);
	g_assert_false(proa_transaction_outcome(updated)->ok);
}

static void cancelled_is_what_it_says(void)
{
	g_auto(Run) run = run_new("echo '{\"event\":\"phase\",\"phase\":\"fetch\"}'\nexec sleep 1000");

	run.cancel = TRUE;
	g_autoptr(ProaTransaction) transaction = finish(&run, PROA_OPERATION_UPDATE, NULL);
	g_assert_cmpint(proa_transaction_outcome(transaction)->reason, ==, PROA_REASON_CANCELLED);
}

/* What was done before it heard stands. */
static void cancelled_too_late_is_done(void)
{
	g_auto(Run) run = run_new("trap '' TERM\necho '{\"event\":\"phase\",\"phase\":\"arm\"}'\n"
				  "echo '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\"}'");

	run.cancel = TRUE;
	g_autoptr(ProaTransaction) transaction = finish(&run, PROA_OPERATION_UPDATE, NULL);
	g_assert_true(proa_transaction_outcome(transaction)->ok);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/transaction/every-operation-runs-its-program", every_operation_runs_its_program);
	g_test_add_func(
		"/transaction/what-is-no-version-is-not-passed-on", what_is_no_version_is_not_passed_on);
	g_test_add_func(
		"/transaction/a-child-that-says-nothing-has-failed", a_child_that_says_nothing_has_failed);
	g_test_add_func("/transaction/an-offer-alone-ends-a-check-only", an_offer_alone_ends_a_check_only);
	g_test_add_func("/transaction/cancelled-is-what-it-says", cancelled_is_what_it_says);
	g_test_add_func("/transaction/cancelled-too-late-is-done", cancelled_too_late_is_done);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/direct.h"

#include "agent/query.h"
#include "agent/record.h"
#include "agent/status.h"
#include "base/state.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static gboolean must_be_root(GError **error)
{
	return geteuid() == 0 || proa_fail(error, PROA_REASON_PERMISSION,
					 "proad does not answer, and only root may act without it");
}

/* An event loop that reaps children. */
static sd_event *new_event(GError **error)
{
	sd_event *event = NULL;
	sigset_t children;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	int r = sd_event_new(&event);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "making an event loop");
	return event;
}

/* --- status
 * ------------------------------------------------------------------------------------------------------- */

typedef struct {
	sd_event *event;
	JsonObject *status;
	GError *error;
} Asked;

static void on_answer(JsonObject *status, const GError *error, gpointer data)
{
	Asked *asked = data;

	asked->status = status ? json_object_ref(status) : NULL;
	asked->error = error ? g_error_copy(error) : NULL;
	sd_event_exit(asked->event, 0);
}

static void ask(const ProaPaths *paths, Asked *asked)
{
	if (!must_be_root(&asked->error))
		return;
	asked->event = new_event(&asked->error);
	if (!asked->event)
		return;
	g_autoptr(ProaQuery) query = proa_query_start(asked->event, paths, on_answer, asked, &asked->error);
	int r = query ? sd_event_loop(asked->event) : 0;
	if (r < 0)
		proa_fail_errno(&asked->error, PROA_REASON_INTERNAL, -r, "waiting for proa-bootd");
}

JsonObject *proa_direct_status(const ProaPaths *paths)
{
	g_autoptr(ProaSettings) settings = proa_settings_load(paths->root);
	Asked asked = { 0 };

	ask(paths, &asked);
	ProaStatusFacts facts = {
		.paths = paths, .settings = settings, .bootd = asked.status, .bootd_error = asked.error
	};
	JsonObject *document = proa_status_build(&facts);
	g_clear_pointer(&asked.status, json_object_unref);
	g_clear_error(&asked.error);
	sd_event_unref(asked.event);
	return document;
}

/* --- operations
 * --------------------------------------------------------------------------------------------------- */

typedef struct {
	sd_event *event;
	ProaProgress *progress;
	ProaTransaction *transaction;
} Run;

static void on_changed(ProaTransaction *transaction, ProaChange change, gpointer data)
{
	Run *run = data;
	const ProaOutcome *outcome = proa_transaction_outcome(transaction);

	if (change == PROA_CHANGE_PHASE || change == PROA_CHANGE_PROGRESS)
		proa_progress_update(run->progress, outcome->phase ? outcome->phase : "", outcome->done,
			outcome->total, g_get_monotonic_time());
}

static void on_ended(ProaTransaction *transaction, gpointer data)
{
	Run *run = data;

	sd_event_exit(run->event, 0);
}

static const ProaTransactionWatcher watcher = { on_changed, on_ended };

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	Run *run = data;

	proa_progress_say(run->progress, "cancelling");
	proa_transaction_cancel(run->transaction);
	return 0;
}

static void record(const ProaPaths *paths, const ProaTransaction *transaction, ProaProgress *progress)
{
	ProaOperation operation = proa_transaction_operation(transaction);
	const ProaOutcome *outcome = proa_transaction_outcome(transaction);
	g_autoptr(GError) error = NULL;

	/* What was done stands, whether or not it can be written down. */
	if (!proa_operation_asks_feed(operation) ||
		(proa_record_check(paths, outcome, proa_transaction_started(transaction), &error) &&
			proa_record_interrupted(paths, NULL, &error)))
		return;
	g_autofree char *text = g_strdup_printf("proa: the check cannot be recorded: %s", error->message);
	proa_progress_say(progress, text);
}

static JsonObject *run_loop(const ProaPaths *paths, Run *run, ProaOperation operation, GError **error)
{
	int r = sd_event_add_signal(run->event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, on_interrupt, run);

	if (r >= 0)
		r = sd_event_add_signal(
			run->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, on_interrupt, run);
	if (r >= 0)
		r = sd_event_loop(run->event);
	if (r < 0) {
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "waiting for a child");
		return NULL;
	}
	const ProaOutcome *outcome = proa_transaction_outcome(run->transaction);
	record(paths, run->transaction, run->progress);
	return proa_outcome_to_json(outcome, proa_operation_to_string(operation));
}

JsonObject *proa_direct_operate(const ProaPaths *paths, ProaOperation operation, const char *version,
	ProaProgress *progress, GError **error)
{
	Run run = { .progress = progress };
	JsonObject *detail = NULL;

	if (!must_be_root(error))
		return NULL;
	run.event = new_event(error);
	if (run.event)
		run.transaction = proa_transaction_start(
			run.event, paths, operation, version, FALSE, &watcher, &run, error);
	if (run.transaction)
		detail = run_loop(paths, &run, operation, error);
	g_clear_pointer(&run.transaction, proa_transaction_free);
	sd_event_unref(run.event);
	return detail;
}

gboolean proa_direct_reboot(const ProaPaths *paths, GError **error)
{
	g_auto(GStrv) argv = g_strsplit("systemctl reboot", " ", -1);
	g_autoptr(GError) inner = NULL;
	ProaStateRelease nothing = { 0 };
	int status;

	if (!must_be_root(error))
		return FALSE;
	/* A full or dead /var is no reason to stay up. */
	if (!proa_history_append(
		    paths->state_dir, "reboot", &nothing, NULL, "asked for without proad", &inner))
		fprintf(stderr, "proa: the reboot cannot be recorded: %s\n", inner->message);
	g_clear_error(&inner);
	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL,
		    NULL, NULL, &status, &inner) ||
		!g_spawn_check_wait_status(status, &inner))
		return proa_fail(error, PROA_REASON_INTERNAL, "systemctl reboot: %s", inner->message);
	return TRUE;
}

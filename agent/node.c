/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/node.h"

#include "agent/journal.h"
#include "agent/query.h"
#include "agent/record.h"
#include "agent/text.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>
#include <time.h>

/* After a reboot that could not be asked for, it is asked for again. Seconds. */
#define REBOOT_RETRY 300

typedef struct {
	ProaNodeStatus answer;
	gpointer data;
} Waiter;

struct ProaNode {
	sd_event *event;
	const ProaPaths *paths;
	const ProaNodeWatcher *watcher;
	gpointer data;

	ProaSettings *settings;
	char *told_problems;	  /* of the configuration, as last logged */
	ProaState *state;	  /* as last read */
	JsonObject *bootd;	  /* the last answer of proa-bootd status; NULL: none */
	GError *bootd_error;	  /* why there is none */
	ProaTransaction *running; /* NULL: none */
	ProaReason told_reason;	  /* of the last failure logged; PROA_REASON_MAX: the last one went well */
	ProaQuery *query;	  /* NULL: none under way */
	GArray *waiters;	  /* Waiter */

	sd_event_source *check_timer, *reboot_timer, *state_watch;
	gint64 next_check, next_reboot; /* seconds since 1970; 0: none */
	gint64 last_try;		/* when a transaction ended last, even one that counts as no check */
};

static void plan(ProaNode *node);

static gint64 now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

static void load_settings(ProaNode *node)
{
	g_clear_pointer(&node->settings, proa_settings_free);
	node->settings = proa_settings_load(node->paths->root);

	g_autofree char *problems = proa_settings_problems(node->settings);
	if (g_strcmp0(problems, node->told_problems) == 0)
		return;
	for (guint i = 0; i < node->settings->problems->len; i++) {
		ProaMessage message = { .id = PROA_MESSAGE_CONFIG,
			.priority = LOG_WARNING,
			.reason = proa_reason_to_string(PROA_REASON_BAD_CONFIG) };
		proa_journal(&message, "%s", (char *)g_ptr_array_index(node->settings->problems, i));
	}
	g_free(node->told_problems);
	node->told_problems = g_steal_pointer(&problems);
}

static gboolean same_release(const ProaStateRelease *a, const ProaStateRelease *b)
{
	return g_strcmp0(a->root_hash, b->root_hash) == 0 && g_strcmp0(a->slot, b->slot) == 0;
}

static gboolean same_state(const ProaState *a, const ProaState *b)
{
	return a->kind == b->kind && same_release(&a->booted, &b->booted) && same_release(&a->staged, &b->staged) &&
	       same_release(&a->good, &b->good) && a->last_check == b->last_check;
}

/* Heals, then reads the state anew. Returns whether it differs from what was known. */
static gboolean load_state(ProaNode *node)
{
	g_autoptr(GError) error = NULL;

	if (!node->running && !proa_record_interrupted(node->paths, NULL, &error)) {
		ProaMessage message = { .priority = LOG_WARNING, .reason = "bad-state" };
		proa_journal(&message, "a transaction that was interrupted cannot be recorded: %s", error->message);
		g_clear_error(&error);
	}
	g_autoptr(ProaState) state = proa_state_load(node->paths->state_dir, &error);
	if (!state) {
		ProaMessage message = { .priority = LOG_WARNING, .reason = "bad-state" };
		proa_journal(&message, "%s; going on as if it were empty", error->message);
		state = proa_state_new();
	}
	gboolean differs = !node->state || !same_state(node->state, state);
	g_clear_pointer(&node->state, proa_state_free);
	node->state = g_steal_pointer(&state);
	return differs;
}

static gboolean staging(const ProaNode *node)
{
	return (node->running && proa_transaction_operation(node->running) == PROA_OPERATION_UPDATE) ||
	       proa_paths_install_running(node->paths);
}

static gint64 boot_time(void)
{
	struct timespec up = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &up);
	return now_seconds() - up.tv_sec;
}

static ProaFacts facts_of(const ProaNode *node)
{
	/*
	 * Only what was staged since this boot is rebooted into by itself: if a reboot did not lead to the staged release, another
	 * one will not either, and would go on for ever.
	 */
	return (ProaFacts){
		.state = proa_machine_view(node->state, staging(node)),
		.busy = node->running != NULL,
		.automatic = node->settings->automatic,
		.reboot_automatic = node->settings->reboot_automatic && node->state->since >= boot_time(),
	};
}

/* --- status ---------------------------------------------------------------------------------------------------- */

static void on_bootd_answer(JsonObject *status, const GError *error, gpointer data)
{
	ProaNode *node = data;
	g_autoptr(GArray) waiters = g_steal_pointer(&node->waiters);

	node->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
	g_clear_pointer(&node->bootd, json_object_unref);
	g_clear_error(&node->bootd_error);
	node->bootd = status ? json_object_ref(status) : NULL;
	node->bootd_error = error ? g_error_copy(error) : NULL;
	g_clear_pointer(&node->query, proa_query_free);

	ProaStatusFacts facts = { node->paths, node->settings, node->bootd, node->bootd_error, TRUE, node->running,
		node->next_check, node->next_reboot };
	g_autoptr(JsonObject) document = waiters->len > 0 ? proa_status_build(&facts) : NULL;
	for (guint i = 0; i < waiters->len; i++) {
		const Waiter *waiter = &g_array_index(waiters, Waiter, i);
		waiter->answer(document, waiter->data);
	}
	node->watcher->changed(node->data);
}

/* Asks proa-bootd; one that cannot be started is an answer too. */
static void ask_bootd(ProaNode *node)
{
	g_autoptr(GError) error = NULL;

	if (node->query)
		return;
	node->query = proa_query_start(node->event, node->paths, on_bootd_answer, node, &error);
	if (!node->query)
		on_bootd_answer(NULL, error, node);
}

gboolean proa_node_status(ProaNode *node, ProaNodeStatus answer, gpointer data, GError **error)
{
	Waiter waiter = { answer, data };

	if (node->waiters->len >= PROA_NODE_MAX_WAITERS)
		return proa_fail(error, PROA_REASON_BUSY, "%u callers wait for the status already", node->waiters->len);
	g_array_append_val(node->waiters, waiter);
	ask_bootd(node);
	return TRUE;
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

static void tell_failure(ProaNode *node, const char *operation, const ProaOutcome *outcome)
{
	/* The same failure every hour is one warning, not a thousand. */
	gboolean again = node->told_reason == outcome->reason;
	ProaMessage message = { .id = PROA_MESSAGE_FAILED,
		.priority = outcome->reason == PROA_REASON_NO_UPDATE || again ? LOG_INFO : LOG_WARNING,
		.operation = operation,
		.reason = proa_reason_to_string(outcome->reason),
		.version = outcome->version };

	proa_journal(&message, "%s: %s (%s)", operation, outcome->message, message.reason);
	node->told_reason = outcome->reason;
}

static void tell(ProaNode *node, ProaOperation operation, const ProaOutcome *outcome)
{
	const char *version = outcome->version ? outcome->version : "?";
	const char *slot = outcome->slot ? outcome->slot : "the other slot";
	ProaMessage message = { .priority = LOG_NOTICE,
		.operation = proa_operation_to_string(operation),
		.version = outcome->version };

	if (!outcome->ok) {
		tell_failure(node, message.operation, outcome);
		return;
	}
	node->told_reason = PROA_REASON_MAX;
	switch (operation) {
	case PROA_OPERATION_CHECK:
		message.id = PROA_MESSAGE_CHECKED;
		proa_journal(&message, "the feed offers release %s", version);
		break;
	case PROA_OPERATION_UPDATE:
		message.id = PROA_MESSAGE_STAGED;
		proa_journal(&message, "release %s is staged in %s; the next boot tries it", version, slot);
		break;
	case PROA_OPERATION_ROLLBACK:
		message.id = PROA_MESSAGE_ROLLED_BACK;
		proa_journal(&message, "rolled back: the next boot starts release %s from %s", version, slot);
		break;
	default:
		break;
	}
}

static void on_changed(ProaTransaction *transaction, ProaChange change, gpointer data)
{
	ProaNode *node = data;
	const ProaOutcome *outcome = proa_transaction_outcome(transaction);

	if (change == PROA_CHANGE_PHASE || change == PROA_CHANGE_PROGRESS)
		node->watcher->progress(outcome->phase ? outcome->phase : "", outcome->done, outcome->total, node->data);
}

static void on_ended(ProaTransaction *transaction, gpointer data)
{
	ProaNode *node = data;
	g_autoptr(ProaTransaction) ended = g_steal_pointer(&node->running);
	ProaOperation operation = proa_transaction_operation(ended);
	const ProaOutcome *outcome = proa_transaction_outcome(ended);
	g_autoptr(JsonObject) detail = proa_outcome_to_json(outcome, proa_operation_to_string(operation));
	g_autoptr(GError) error = NULL;

	if (operation != PROA_OPERATION_ROLLBACK)
		node->last_try = now_seconds();
	if (operation != PROA_OPERATION_ROLLBACK && !proa_record_check(node->paths, outcome, &error)) {
		ProaMessage message = { .priority = LOG_WARNING,
			.reason = proa_reason_to_string(proa_reason_of(error)) };
		proa_journal(&message, "the check cannot be recorded: %s", error->message);
	}
	tell(node, operation, outcome);
	load_state(node);
	plan(node);
	node->watcher->finished(operation, outcome, detail, node->data);
	node->watcher->changed(node->data);
	ask_bootd(node);
}

static const ProaTransactionWatcher transaction_watcher = { on_changed, on_ended };

static gboolean start(ProaNode *node, ProaOperation operation, const char *version, GError **error)
{
	node->running = proa_transaction_start(
		node->event, node->paths, operation, version, &transaction_watcher, node, error);
	if (node->running)
		node->watcher->changed(node->data);
	return node->running != NULL;
}

static gboolean refuse(const ProaNode *node, ProaReason reason, GError **error)
{
	if (reason == PROA_REASON_BUSY && node->running) {
		const ProaOutcome *outcome = proa_transaction_outcome(node->running);
		const char *word = proa_operation_to_string(proa_transaction_operation(node->running));
		return proa_fail(error, reason, "%s is under way%s%s", word, outcome->phase ? ", in phase " : "",
			outcome->phase ? outcome->phase : "");
	}
	if (reason == PROA_REASON_BUSY)
		return proa_fail(error, reason, "a proa-install that proad did not start is at work");
	if (reason == PROA_REASON_TRIAL_BOOT)
		return proa_fail(error, reason, "release %s is on trial: the other slot holds the way back",
			proa_node_version(node));
	return proa_fail(error, reason, "not in state %s", proa_node_state(node));
}

/* Does what the state machine says; the one way in for every event. */
static gboolean act(ProaNode *node, ProaEvent event, const char *argument, GError **error)
{
	ProaFacts facts = facts_of(node);
	ProaReason reason = PROA_REASON_INTERNAL;

	switch (proa_machine_decide(&facts, event, &reason)) {
	case PROA_ACT_NOTHING:
		return TRUE;
	case PROA_ACT_REFUSE:
		return refuse(node, reason, error);
	case PROA_ACT_CHECK:
		return start(node, PROA_OPERATION_CHECK, NULL, error);
	case PROA_ACT_INSTALL:
		return start(node, PROA_OPERATION_UPDATE, argument, error);
	case PROA_ACT_ROLLBACK:
		return start(node, PROA_OPERATION_ROLLBACK, argument, error);
	case PROA_ACT_CANCEL:
		proa_transaction_cancel(node->running);
		return TRUE;
	case PROA_ACT_REBOOT: {
		const ProaStateRelease *next = node->state->staged.root_hash ? &node->state->staged : &node->state->booted;
		ProaMessage message = { .id = PROA_MESSAGE_REBOOT, .priority = LOG_NOTICE, .version = next->version };
		g_autoptr(GError) unwritten = NULL;

		proa_journal(&message, "rebooting: %s", argument);
		/* A full or dead /var is no reason to stay up. */
		if (!proa_history_append(node->paths->state_dir, "reboot", next, NULL, argument, &unwritten))
			proa_journal(&message, "the reboot cannot be recorded: %s", unwritten->message);
		return node->watcher->reboot(node->data, error);
	}
	}
	g_assert_not_reached();
}

gboolean proa_node_check(ProaNode *node, GError **error)
{
	return act(node, PROA_EVENT_CHECK, NULL, error);
}

gboolean proa_node_update(ProaNode *node, const char *version, GError **error)
{
	return act(node, PROA_EVENT_UPDATE, version, error);
}

gboolean proa_node_rollback(ProaNode *node, const char *version, GError **error)
{
	return act(node, PROA_EVENT_ROLLBACK, version, error);
}

gboolean proa_node_reboot(ProaNode *node, const char *who, GError **error)
{
	return act(node, PROA_EVENT_REBOOT, who, error);
}

gboolean proa_node_cancel(ProaNode *node, GError **error)
{
	return act(node, PROA_EVENT_CANCEL, NULL, error);
}

gboolean proa_node_busy(const ProaNode *node)
{
	return node->running != NULL;
}

/* --- timers ---------------------------------------------------------------------------------------------------- */

static int on_check_timer(sd_event_source *source, uint64_t usec, void *data)
{
	ProaNode *node = data;
	g_autoptr(GError) error = NULL;

	load_settings(node);
	if (load_state(node))
		node->watcher->changed(node->data);
	if (!act(node, PROA_EVENT_TIMER, NULL, &error)) {
		ProaMessage message = { .id = PROA_MESSAGE_FAILED,
			.priority = LOG_WARNING,
			.reason = proa_reason_to_string(proa_reason_of(error)) };
		proa_journal(&message, "the check due now cannot be started: %s", error->message);
		node->last_try = now_seconds();
	}
	plan(node);
	return 0;
}

static gint64 window_wait(const ProaSettings *settings)
{
	time_t now = time(NULL);
	struct tm local;

	if (!settings->has_window || !localtime_r(&now, &local))
		return 0;
	return proa_window_wait(&settings->window, (local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec);
}

static void set_timer(ProaNode *node, sd_event_source **source, gint64 wait, sd_event_time_handler_t handler)
{
	*source = sd_event_source_disable_unref(*source);
	/* Boot time, so that a clock that is set does not move it and a suspended machine does not stop it. */
	int r = sd_event_add_time_relative(
		node->event, source, CLOCK_BOOTTIME, (uint64_t)wait * G_USEC_PER_SEC, 0, handler, node);
	if (r < 0) {
		ProaMessage message = { .priority = LOG_ERR, .reason = "internal" };
		proa_journal(&message, "setting a timer: %s", g_strerror(-r));
	}
}

static int on_reboot_timer(sd_event_source *source, uint64_t usec, void *data)
{
	ProaNode *node = data;
	g_autoptr(GError) error = NULL;
	gint64 wait = window_wait(node->settings);

	/* The clock may have been set since the timer was. */
	if (wait > 0) {
		node->next_reboot = now_seconds() + wait;
		set_timer(node, &node->reboot_timer, wait, on_reboot_timer);
		return 0;
	}
	if (act(node, PROA_EVENT_REBOOT_DUE, "[update] reboot=automatic", &error)) {
		node->next_reboot = 0;
		return 0;
	}
	ProaMessage message = { .id = PROA_MESSAGE_REBOOT,
		.priority = LOG_ERR,
		.reason = proa_reason_to_string(proa_reason_of(error)) };
	proa_journal(&message, "the automatic reboot failed, trying again in %d s: %s", REBOOT_RETRY, error->message);
	node->next_reboot = now_seconds() + REBOOT_RETRY;
	set_timer(node, &node->reboot_timer, REBOOT_RETRY, on_reboot_timer);
	return 0;
}

static void plan_reboot(ProaNode *node)
{
	ProaFacts facts = facts_of(node);
	gboolean wanted = facts.state == PROA_STATE_STAGED && facts.reboot_automatic && !facts.busy;

	if (!wanted) {
		node->reboot_timer = sd_event_source_disable_unref(node->reboot_timer);
		node->next_reboot = 0;
		return;
	}
	if (node->next_reboot > 0)
		return;
	gint64 wait = MAX(window_wait(node->settings), node->settings->reboot_delay);
	node->next_reboot = now_seconds() + wait;
	set_timer(node, &node->reboot_timer, wait, on_reboot_timer);
}

/* Sets the timers anew from what is known now. */
static void plan(ProaNode *node)
{
	plan_reboot(node);
	if (node->settings->automatic == PROA_AUTOMATIC_NO) {
		node->check_timer = sd_event_source_disable_unref(node->check_timer);
		node->next_check = 0;
		return;
	}
	gint64 now = now_seconds();
	gint64 wait = proa_schedule_check(now, MAX(node->state->last_check, node->last_try),
		node->settings->check_interval, node->settings->jitter, g_random_int());
	node->next_check = now + wait;
	set_timer(node, &node->check_timer, wait, on_check_timer);
}

void proa_node_reload(ProaNode *node)
{
	load_settings(node);
	node->next_reboot = 0;
	plan(node);
	node->watcher->changed(node->data);
}

/* Somebody replaced a file in the state directory: proa-bootd blessed, proa-install staged, or we ourselves. */
static int on_state_replaced(sd_event_source *source, const struct inotify_event *event, void *data)
{
	ProaNode *node = data;

	if (event->len == 0 || strcmp(event->name, "state.json") != 0 || !load_state(node))
		return 0;
	plan(node);
	node->watcher->changed(node->data);
	ask_bootd(node);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

ProaNode *proa_node_new(sd_event *event, const ProaPaths *paths, const ProaNodeWatcher *watcher, gpointer data)
{
	ProaNode *node = g_new0(ProaNode, 1);

	node->event = sd_event_ref(event);
	node->paths = paths;
	node->watcher = watcher;
	node->data = data;
	node->told_reason = PROA_REASON_MAX;
	node->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
	load_settings(node);
	load_state(node);
	return node;
}

void proa_node_start(ProaNode *node)
{
	g_autoptr(GError) inner = NULL;
	int r = 0;

	if (proa_file_make_dirs(node->paths->state_dir, &inner))
		r = sd_event_add_inotify(node->event, &node->state_watch, node->paths->state_dir,
			IN_MOVED_TO | IN_ONLYDIR, on_state_replaced, node);
	if (inner || r < 0) {
		/* What changes is then seen at the next timer or call. */
		ProaMessage message = { .priority = LOG_WARNING, .reason = "io-error" };
		proa_journal(&message, "%s cannot be watched: %s", node->paths->state_dir,
			inner ? inner->message : g_strerror(-r));
	}
	plan(node);
	ask_bootd(node);
}

void proa_node_free(ProaNode *node)
{
	g_clear_pointer(&node->running, proa_transaction_free);
	g_clear_pointer(&node->query, proa_query_free);
	sd_event_source_disable_unref(node->check_timer);
	sd_event_source_disable_unref(node->reboot_timer);
	sd_event_source_disable_unref(node->state_watch);
	g_clear_pointer(&node->settings, proa_settings_free);
	g_clear_pointer(&node->state, proa_state_free);
	g_clear_pointer(&node->bootd, json_object_unref);
	g_clear_error(&node->bootd_error);
	g_array_unref(node->waiters);
	g_free(node->told_problems);
	sd_event_unref(node->event);
	g_free(node);
}

/* --- properties ------------------------------------------------------------------------------------------------ */

const char *proa_node_state(const ProaNode *node)
{
	return proa_state_kind_to_string(proa_machine_view(node->state, staging(node)));
}

/* A string of the booted slot: what proa-bootd saw, or else what the state file remembers. */
static const char *booted(const ProaNode *node, const char *member, const char *remembered)
{
	JsonObject *seen = node->bootd ? proa_json_object_or_null(node->bootd, "booted") : NULL;

	const char *value = seen ? proa_json_string_or(seen, member, NULL) : remembered;

	return value ? value : "";
}

const char *proa_node_version(const ProaNode *node)
{
	return booted(node, "version", node->state->booted.version);
}

const char *proa_node_root_hash(const ProaNode *node)
{
	return booted(node, "root_hash", node->state->booted.root_hash);
}

const char *proa_node_slot(const ProaNode *node)
{
	return booted(node, "slot", node->state->booted.slot);
}

const char *proa_node_staged_version(const ProaNode *node)
{
	return node->state->staged.version ? node->state->staged.version : "";
}

gint64 proa_node_last_check(const ProaNode *node)
{
	return node->state->last_check;
}

const char *proa_node_last_check_result(const ProaNode *node)
{
	return node->state->last_check_result ? node->state->last_check_result : "";
}

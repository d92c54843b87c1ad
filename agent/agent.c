/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "agent/journal.h"
#include "agent/query.h"
#include "agent/record.h"
#include "agent/text.h"
#include "base/file.h"
#include "base/json.h"
#include "base/pin.h"

#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>
#include <time.h>

/* After a reboot that could not be asked for, it is asked for again. Seconds. */
#define REBOOT_RETRY 300

typedef struct {
	ProaAgentStatus answer;
	gpointer data;
} Waiter;

/* What an operator said while a child that only looks was at work. */
typedef struct {
	gboolean waits;
	ProaOperation operation;
	char *argument;
} Word;

struct ProaAgent {
	sd_event *event;
	const ProaPaths *paths;
	const ProaAgentWatcher *watcher;
	gpointer data;

	ProaSettings *settings;
	char *told_problems;      /* of the configuration, as last logged */
	ProaState *state;         /* as last read */
	gboolean told_bad_state;  /* that it could not be read */
	char *staged_at_boot;     /* a root hash, or "" */
	JsonObject *bootd;        /* the last answer of proa-bootd status; NULL: none */
	GError *bootd_error;      /* why there is none */
	ProaTransaction *running; /* NULL: none */
	Word word;                /* to be carried out when that has ended */
	ProaReason told_reason;   /* of the last failure logged; PROA_REASON_MAX: the last one went well */
	ProaQuery *query;         /* NULL: none under way */
	GArray *waiters;          /* Waiter */

	sd_event_source *check_timer, *reboot_timer, *state_watch;
	gint64 next_check, next_reboot; /* seconds since 1970; 0: none */
	gint64 last_try;                /* when a transaction ended last, even one that counts as no check */
	gint64 waits_until;             /* the release offered may be installed then; 0: none waits */
};

static void plan(ProaAgent *agent, gint64 least);
static void carry_out(ProaAgent *agent);

static gint64 now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

static void load_settings(ProaAgent *agent)
{
	g_clear_pointer(&agent->settings, proa_settings_free);
	agent->settings = proa_settings_load(agent->paths->root);

	g_autofree char *problems = proa_settings_problems(agent->settings);
	if (g_strcmp0(problems, agent->told_problems) == 0)
		return;
	for (guint i = 0; i < agent->settings->problems->len; i++) {
		ProaMessage message = { .id = PROA_MESSAGE_CONFIG,
			.priority = LOG_WARNING,
			.reason = proa_reason_to_string(PROA_REASON_BAD_CONFIG) };
		proa_journal(&message, "%s", (char *)g_ptr_array_index(agent->settings->problems, i));
	}
	g_free(agent->told_problems);
	agent->told_problems = g_steal_pointer(&problems);
}

static gboolean same_release(const ProaStateRelease *a, const ProaStateRelease *b)
{
	return g_strcmp0(a->root_hash, b->root_hash) == 0 && g_strcmp0(a->slot, b->slot) == 0;
}

static gboolean same_state(const ProaState *a, const ProaState *b)
{
	return a->kind == b->kind && same_release(&a->booted, &b->booted) &&
	       same_release(&a->staged, &b->staged) && same_release(&a->good, &b->good) &&
	       a->last_check == b->last_check;
}

/* Heals, then reads the state anew. Returns whether it differs from what was known. */
static gboolean load_state(ProaAgent *agent)
{
	g_autoptr(GError) error = NULL;

	if (!agent->running && !proa_record_interrupted(agent->paths, NULL, &error)) {
		ProaMessage message = { .priority = LOG_WARNING, .reason = "bad-state" };
		proa_journal(&message, "a transaction that was interrupted cannot be recorded: %s",
			error->message);
		g_clear_error(&error);
	}
	g_autoptr(ProaState) state = proa_state_load(agent->paths->state_dir, &error);
	if (!state && !agent->told_bad_state) {
		ProaMessage message = { .priority = LOG_WARNING, .reason = "bad-state" };
		proa_journal(&message, "%s; going on as if it were empty", error->message);
	}
	agent->told_bad_state = state == NULL;
	if (!state)
		state = proa_state_new();
	gboolean differs = !agent->state || !same_state(agent->state, state);
	g_clear_pointer(&agent->state, proa_state_free);
	agent->state = g_steal_pointer(&state);
	return differs;
}

static gboolean staging(const ProaAgent *agent)
{
	return (agent->running && proa_transaction_operation(agent->running) == PROA_OPERATION_UPDATE) ||
	       proa_record_staging(agent->paths, agent->state);
}

/* Whether an operator holds the node to another release than the one that is staged. */
static gboolean pinned_to_another(const ProaAgent *agent)
{
	g_autofree char *pinned = proa_pin_load(agent->paths->state_dir);

	return pinned && g_strcmp0(pinned, agent->state->staged.version) != 0;
}

static ProaFacts facts_of(const ProaAgent *agent)
{
	/*
	 * Only what was staged since this boot is rebooted into by itself: if a reboot did not lead to the
	 * staged release, another one will not either, and would go on for ever.
	 */
	return (ProaFacts){
		.state = proa_machine_view(agent->state, staging(agent)),
		.busy = agent->running != NULL,
		.automatic = agent->settings->automatic,
		.reboot_automatic = agent->settings->reboot_automatic && !pinned_to_another(agent) &&
				    g_strcmp0(agent->state->staged.root_hash, agent->staged_at_boot) != 0,
	};
}

/* --- status
 * ---------------------------------------------------------------------------------------------------- */

static void on_bootd_answer(JsonObject *status, const GError *error, gpointer data)
{
	ProaAgent *agent = data;
	g_autoptr(GArray) waiters = g_steal_pointer(&agent->waiters);

	/* A transaction of someone else's may have died since: whoever looks sees it mended. */
	if (load_state(agent))
		plan(agent, PROA_SCHEDULE_LEAST);
	agent->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
	g_clear_pointer(&agent->bootd, json_object_unref);
	g_clear_error(&agent->bootd_error);
	agent->bootd = status ? json_object_ref(status) : NULL;
	agent->bootd_error = error ? g_error_copy(error) : NULL;
	g_clear_pointer(&agent->query, proa_query_free);

	ProaStatusFacts facts = { agent->paths, agent->settings, agent->bootd, agent->bootd_error, TRUE,
		agent->running, agent->next_check, agent->next_reboot,
		agent->waits_until > now_seconds() ? agent->waits_until : 0 };
	g_autoptr(JsonObject) document = waiters->len > 0 ? proa_status_build(&facts) : NULL;
	for (guint i = 0; i < waiters->len; i++) {
		const Waiter *waiter = &g_array_index(waiters, Waiter, i);
		waiter->answer(document, waiter->data);
	}
	agent->watcher->changed(agent->data);
}

/* Asks proa-bootd; one that cannot be started is an answer too. */
static void ask_bootd(ProaAgent *agent)
{
	g_autoptr(GError) error = NULL;

	if (agent->query)
		return;
	agent->query = proa_query_start(agent->event, agent->paths, on_bootd_answer, agent, &error);
	if (!agent->query)
		on_bootd_answer(NULL, error, agent);
}

gboolean proa_agent_status(ProaAgent *agent, ProaAgentStatus answer, gpointer data, GError **error)
{
	Waiter waiter = { answer, data };

	if (agent->waiters->len >= PROA_AGENT_MAX_WAITERS)
		return proa_fail(error, PROA_REASON_BUSY, "%u callers wait for the status already",
			agent->waiters->len);
	g_array_append_val(agent->waiters, waiter);
	ask_bootd(agent);
	return TRUE;
}

/* --- transactions
 * ---------------------------------------------------------------------------------------------- */

static void tell_failure(ProaAgent *agent, const char *operation, const ProaOutcome *outcome)
{
	/* The same failure every hour is one warning, not a thousand. */
	gboolean again = agent->told_reason == outcome->reason;
	ProaMessage message = { .id = PROA_MESSAGE_FAILED,
		.priority = outcome->reason == PROA_REASON_NO_UPDATE || again ? LOG_INFO : LOG_WARNING,
		.operation = operation,
		.reason = proa_reason_to_string(outcome->reason),
		.version = outcome->version };

	proa_journal(&message, "%s: %s (%s)", operation, outcome->message, message.reason);
	agent->told_reason = outcome->reason;
}

static void tell(ProaAgent *agent, ProaOperation operation, const ProaOutcome *outcome)
{
	const char *version = outcome->version ? outcome->version : "?";
	const char *slot = outcome->slot ? outcome->slot : "the other slot";
	ProaMessage message = { .priority = LOG_NOTICE,
		.operation = proa_operation_to_string(operation),
		.version = outcome->version };

	if (!outcome->ok) {
		tell_failure(agent, message.operation, outcome);
		return;
	}
	agent->told_reason = PROA_REASON_MAX;
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
		message.id = PROA_MESSAGE_DECIDED;
		proa_journal(&message, "%s: %s%s%s", message.operation,
			outcome->result ? outcome->result : "done", outcome->version ? ", release " : "",
			outcome->version ? outcome->version : "");
		break;
	}
}

static void on_changed(ProaTransaction *transaction, ProaChange change, gpointer data)
{
	ProaAgent *agent = data;
	const ProaOutcome *outcome = proa_transaction_outcome(transaction);

	if (change == PROA_CHANGE_PHASE || change == PROA_CHANGE_PROGRESS)
		agent->watcher->progress(
			outcome->phase ? outcome->phase : "", outcome->done, outcome->total, agent->data);
}

static void on_ended(ProaTransaction *transaction, gpointer data)
{
	ProaAgent *agent = data;
	g_autoptr(ProaTransaction) ended = g_steal_pointer(&agent->running);
	ProaOperation operation = proa_transaction_operation(ended);
	const ProaOutcome *outcome = proa_transaction_outcome(ended);
	g_autoptr(JsonObject) detail = proa_outcome_to_json(outcome, proa_operation_to_string(operation));
	g_autoptr(GError) error = NULL;

	if (proa_operation_asks_feed(operation))
		agent->last_try = now_seconds();
	if (proa_operation_asks_feed(operation) &&
		!proa_record_check(agent->paths, outcome, proa_transaction_started(ended), &error)) {
		ProaMessage message = { .priority = LOG_WARNING,
			.reason = proa_reason_to_string(proa_reason_of(error)) };
		proa_journal(&message, "the check cannot be recorded: %s", error->message);
	}
	if (operation == PROA_OPERATION_UPDATE)
		agent->waits_until = outcome->ok ? 0 : outcome->until;
	tell(agent, operation, outcome);
	load_state(agent);
	plan(agent, PROA_SCHEDULE_LEAST);
	agent->watcher->finished(operation, outcome, detail, agent->data);
	agent->watcher->changed(agent->data);
	carry_out(agent);
	ask_bootd(agent);
}

static const ProaTransactionWatcher transaction_watcher = { on_changed, on_ended };

static gboolean start(
	ProaAgent *agent, ProaOperation operation, const char *version, gboolean unattended, GError **error)
{
	agent->running = proa_transaction_start(agent->event, agent->paths, operation, version, unattended,
		&transaction_watcher, agent, error);
	if (agent->running)
		agent->watcher->changed(agent->data);
	return agent->running != NULL;
}

/* An update that the feed has not answered yet has changed nothing either. */
static gboolean only_looks(const ProaTransaction *running)
{
	ProaOperation operation = proa_transaction_operation(running);
	const ProaOutcome *outcome = proa_transaction_outcome(running);
	gboolean asks = !outcome->phase || strcmp(outcome->phase, "trust") == 0 ||
			strcmp(outcome->phase, "choose") == 0;

	return operation == PROA_OPERATION_CHECK || operation == PROA_OPERATION_CHECK_ROLLBACK ||
	       (operation == PROA_OPERATION_UPDATE && asks && !outcome->has_offer);
}

static gboolean refuse(const ProaAgent *agent, ProaReason reason, GError **error)
{
	if (reason == PROA_REASON_BUSY && agent->running) {
		const ProaOutcome *outcome = proa_transaction_outcome(agent->running);
		ProaOperation operation = proa_transaction_operation(agent->running);
		return proa_fail(error, reason, "%s is under way%s%s%s", proa_operation_to_string(operation),
			outcome->phase ? ", in phase " : "", outcome->phase ? outcome->phase : "",
			operation == PROA_OPERATION_UPDATE && !only_looks(agent->running)
				? ", and writes the other slot: wait for its end; `systemctl stop proad` ends it "
				  "with nothing armed"
				: "");
	}
	if (reason == PROA_REASON_BUSY)
		return proa_fail(error, reason, "a proa-install that proad did not start is at work");
	if (reason == PROA_REASON_TRIAL_BOOT)
		return proa_fail(error, reason, "release %s is on trial: the other slot holds the way back",
			proa_agent_version(agent));
	return proa_fail(error, reason, "not in state %s", proa_agent_state(agent));
}

/* Does what the state machine says; the one way in for every event. @operation counts with DECIDE alone. */
static gboolean act(
	ProaAgent *agent, ProaEvent event, ProaOperation operation, const char *argument, GError **error)
{
	ProaFacts facts = facts_of(agent);
	ProaReason reason = PROA_REASON_INTERNAL;

	facts.yields = agent->running && !agent->word.waits && !proa_operation_is_long(operation) &&
		       only_looks(agent->running);
	switch (proa_machine_decide(&facts, event, &reason)) {
	case PROA_ACT_NOTHING:
		return TRUE;
	case PROA_ACT_REFUSE:
		return refuse(agent, reason, error);
	case PROA_ACT_CHECK:
		return start(agent, PROA_OPERATION_CHECK, NULL, FALSE, error);
	case PROA_ACT_INSTALL:
		return start(agent, PROA_OPERATION_UPDATE, argument, event == PROA_EVENT_TIMER, error);
	case PROA_ACT_ROLLBACK:
		return start(agent, PROA_OPERATION_ROLLBACK, argument, FALSE, error);
	case PROA_ACT_DECIDE:
		return start(agent, operation, argument, FALSE, error);
	case PROA_ACT_CANCEL:
		proa_transaction_cancel(agent->running);
		return TRUE;
	case PROA_ACT_SUPERSEDE:
		agent->word = (Word){ TRUE, operation, g_strdup(argument) };
		proa_transaction_cancel(agent->running);
		return TRUE;
	case PROA_ACT_REBOOT: {
		const ProaStateRelease *next =
			agent->state->staged.root_hash ? &agent->state->staged : &agent->state->booted;
		ProaMessage message = {
			.id = PROA_MESSAGE_REBOOT, .priority = LOG_NOTICE, .version = next->version
		};
		g_autoptr(GError) unwritten = NULL;

		proa_journal(&message, "rebooting: %s", argument);
		/* A full or dead /var is no reason to stay up. */
		if (!proa_history_append(agent->paths->state_dir, "reboot", next, NULL, argument, &unwritten))
			proa_journal(&message, "the reboot cannot be recorded: %s", unwritten->message);
		return agent->watcher->reboot(agent->data, error);
	}
	}
	g_assert_not_reached();
}

/* What was at work has ended for it. Whoever said it is answered by finished(), also if it cannot be started.
 */
static void carry_out(ProaAgent *agent)
{
	g_autofree char *argument = g_steal_pointer(&agent->word.argument);
	ProaOperation operation = agent->word.operation;
	gboolean waited = agent->word.waits;
	g_autoptr(GError) error = NULL;
	int code;

	agent->word.waits = FALSE;
	/* A proad that is about to end begins nothing. */
	if (!waited || sd_event_get_exit_code(agent->event, &code) >= 0 ||
		act(agent, operation == PROA_OPERATION_ROLLBACK ? PROA_EVENT_ROLLBACK : PROA_EVENT_DECIDE,
			operation, argument, &error))
		return;
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();
	proa_outcome_fail(outcome, error);
	tell(agent, operation, outcome);
	g_autoptr(JsonObject) detail = proa_outcome_to_json(outcome, proa_operation_to_string(operation));
	agent->watcher->finished(operation, outcome, detail, agent->data);
}

gboolean proa_agent_check(ProaAgent *agent, GError **error)
{
	return act(agent, PROA_EVENT_CHECK, _PROA_OPERATION_MAX, NULL, error);
}

gboolean proa_agent_update(ProaAgent *agent, const char *version, GError **error)
{
	return act(agent, PROA_EVENT_UPDATE, _PROA_OPERATION_MAX, version, error);
}

gboolean proa_agent_rollback(ProaAgent *agent, const char *version, GError **error)
{
	return act(agent, PROA_EVENT_ROLLBACK, PROA_OPERATION_ROLLBACK, version, error);
}

gboolean proa_agent_decide(ProaAgent *agent, ProaOperation operation, const char *release, GError **error)
{
	return act(agent, PROA_EVENT_DECIDE, operation, release, error);
}

gboolean proa_agent_reboot(ProaAgent *agent, const char *who, GError **error)
{
	return act(agent, PROA_EVENT_REBOOT, _PROA_OPERATION_MAX, who, error);
}

gboolean proa_agent_cancel(ProaAgent *agent, GError **error)
{
	return act(agent, PROA_EVENT_CANCEL, _PROA_OPERATION_MAX, NULL, error);
}

gboolean proa_agent_busy(const ProaAgent *agent)
{
	return agent->running != NULL;
}

/* --- timers
 * ---------------------------------------------------------------------------------------------------- */

static int on_check_timer(sd_event_source *source, uint64_t usec, void *data)
{
	ProaAgent *agent = data;
	g_autoptr(GError) error = NULL;

	load_settings(agent);
	if (load_state(agent))
		agent->watcher->changed(agent->data);
	if (!act(agent, PROA_EVENT_TIMER, _PROA_OPERATION_MAX, NULL, &error)) {
		ProaMessage message = { .id = PROA_MESSAGE_FAILED,
			.priority = LOG_WARNING,
			.reason = proa_reason_to_string(proa_reason_of(error)) };
		proa_journal(&message, "the check due now cannot be started: %s", error->message);
		agent->last_try = now_seconds();
	}
	plan(agent, PROA_SCHEDULE_LEAST);
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

static void set_timer(
	ProaAgent *agent, sd_event_source **source, gint64 wait, sd_event_time_handler_t handler)
{
	*source = sd_event_source_disable_unref(*source);
	/* Boot time, so that a clock that is set does not move it and a suspended machine does not stop it.
	 */
	int r = sd_event_add_time_relative(
		agent->event, source, CLOCK_BOOTTIME, (uint64_t)wait * G_USEC_PER_SEC, 0, handler, agent);
	if (r < 0) {
		ProaMessage message = { .priority = LOG_ERR, .reason = "internal" };
		proa_journal(&message, "setting a timer: %s", g_strerror(-r));
	}
}

static int on_reboot_timer(sd_event_source *source, uint64_t usec, void *data)
{
	ProaAgent *agent = data;
	g_autoptr(GError) error = NULL;
	gint64 wait = window_wait(agent->settings);

	/* The clock may have been set since the timer was. */
	if (wait > 0) {
		agent->next_reboot = now_seconds() + wait;
		set_timer(agent, &agent->reboot_timer, wait, on_reboot_timer);
		return 0;
	}
	if (act(agent, PROA_EVENT_REBOOT_DUE, _PROA_OPERATION_MAX, "[update] reboot=automatic", &error)) {
		agent->next_reboot = 0;
		return 0;
	}
	ProaMessage message = { .id = PROA_MESSAGE_REBOOT,
		.priority = LOG_ERR,
		.reason = proa_reason_to_string(proa_reason_of(error)) };
	proa_journal(&message, "the automatic reboot failed, trying again in %d s: %s", REBOOT_RETRY,
		error->message);
	agent->next_reboot = now_seconds() + REBOOT_RETRY;
	set_timer(agent, &agent->reboot_timer, REBOOT_RETRY, on_reboot_timer);
	return 0;
}

static void plan_reboot(ProaAgent *agent)
{
	ProaFacts facts = facts_of(agent);
	gboolean wanted = facts.state == PROA_STATE_STAGED && facts.reboot_automatic && !facts.busy;

	if (!wanted) {
		agent->reboot_timer = sd_event_source_disable_unref(agent->reboot_timer);
		agent->next_reboot = 0;
		return;
	}
	if (agent->next_reboot > 0)
		return;
	gint64 wait = MAX(window_wait(agent->settings), agent->settings->reboot_delay);
	agent->next_reboot = now_seconds() + wait;
	set_timer(agent, &agent->reboot_timer, wait, on_reboot_timer);
}

/* Sets the timers anew from what is known now; a check that is overdue comes after @least seconds. */
static void plan(ProaAgent *agent, gint64 least)
{
	plan_reboot(agent);
	if (agent->settings->automatic == PROA_AUTOMATIC_NO) {
		agent->check_timer = sd_event_source_disable_unref(agent->check_timer);
		agent->next_check = 0;
		return;
	}
	gint64 now = now_seconds();
	gint64 wait = proa_schedule_check(now, MAX(agent->state->last_check, agent->last_try),
		agent->settings->check_interval, agent->settings->jitter, least, g_random_int());
	/* What waits for its time is not kept waiting for the interval's, too. */
	if (agent->waits_until > now)
		wait = MIN(wait, MAX(agent->waits_until - now, least));
	agent->next_check = now + wait;
	set_timer(agent, &agent->check_timer, wait, on_check_timer);
}

void proa_agent_reload(ProaAgent *agent)
{
	load_settings(agent);
	agent->next_reboot = 0;
	plan(agent, PROA_SCHEDULE_LEAST);
	agent->watcher->changed(agent->data);
}

/* Somebody replaced a file in the state directory: proa-bootd blessed, proa-install staged, or we ourselves.
 */
static int on_state_replaced(sd_event_source *source, const struct inotify_event *event, void *data)
{
	ProaAgent *agent = data;

	if (event->len == 0 || strcmp(event->name, "state.json") != 0 || !load_state(agent))
		return 0;
	plan(agent, PROA_SCHEDULE_LEAST);
	agent->watcher->changed(agent->data);
	ask_bootd(agent);
	return 0;
}

/* --- life
 * ------------------------------------------------------------------------------------------------------ */

ProaAgent *proa_agent_new(
	sd_event *event, const ProaPaths *paths, const ProaAgentWatcher *watcher, gpointer data)
{
	ProaAgent *agent = g_new0(ProaAgent, 1);

	agent->event = sd_event_ref(event);
	agent->paths = paths;
	agent->watcher = watcher;
	agent->data = data;
	agent->told_reason = PROA_REASON_MAX;
	agent->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
	load_settings(agent);
	load_state(agent);
	agent->staged_at_boot = proa_record_staged_at_boot(paths, agent->state);
	return agent;
}

void proa_agent_start(ProaAgent *agent)
{
	g_autoptr(GError) inner = NULL;
	int r = 0;

	if (proa_file_make_dirs(agent->paths->state_dir, &inner))
		r = sd_event_add_inotify(agent->event, &agent->state_watch, agent->paths->state_dir,
			IN_MOVED_TO | IN_ONLYDIR, on_state_replaced, agent);
	if (inner || r < 0) {
		/* What changes is then seen at the next timer or call. */
		ProaMessage message = { .priority = LOG_WARNING, .reason = "io-error" };
		proa_journal(&message, "%s cannot be watched: %s", agent->paths->state_dir,
			inner ? inner->message : g_strerror(-r));
	}
	plan(agent, agent->settings->startup_delay);
	ask_bootd(agent);
}

void proa_agent_free(ProaAgent *agent)
{
	g_clear_pointer(&agent->running, proa_transaction_free);
	g_clear_pointer(&agent->query, proa_query_free);
	sd_event_source_disable_unref(agent->check_timer);
	sd_event_source_disable_unref(agent->reboot_timer);
	sd_event_source_disable_unref(agent->state_watch);
	g_clear_pointer(&agent->settings, proa_settings_free);
	g_clear_pointer(&agent->state, proa_state_free);
	g_clear_pointer(&agent->bootd, json_object_unref);
	g_clear_error(&agent->bootd_error);
	g_array_unref(agent->waiters);
	g_free(agent->word.argument);
	g_free(agent->told_problems);
	g_free(agent->staged_at_boot);
	sd_event_unref(agent->event);
	g_free(agent);
}

/* --- properties
 * ------------------------------------------------------------------------------------------------ */

const char *proa_agent_state(const ProaAgent *agent)
{
	return proa_state_kind_to_string(proa_machine_view(agent->state, staging(agent)));
}

/* A string of the booted slot: what proa-bootd saw, or else what the state file remembers. */
static const char *booted(const ProaAgent *agent, const char *member, const char *remembered)
{
	JsonObject *seen = agent->bootd ? proa_json_object_or_null(agent->bootd, "booted") : NULL;

	const char *value = seen ? proa_json_string_or(seen, member, NULL) : remembered;

	return value ? value : "";
}

const char *proa_agent_version(const ProaAgent *agent)
{
	return booted(agent, "version", agent->state->booted.version);
}

const char *proa_agent_root_hash(const ProaAgent *agent)
{
	return booted(agent, "root_hash", agent->state->booted.root_hash);
}

const char *proa_agent_slot(const ProaAgent *agent)
{
	return booted(agent, "slot", agent->state->booted.slot);
}

const char *proa_agent_staged_version(const ProaAgent *agent)
{
	return agent->state->staged.version ? agent->state->staged.version : "";
}

gint64 proa_agent_last_check(const ProaAgent *agent)
{
	return agent->state->last_check;
}

const char *proa_agent_last_check_result(const ProaAgent *agent)
{
	return agent->state->last_check_result ? agent->state->last_check_result : "";
}

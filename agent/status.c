/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include "agent/record.h"
#include "base/file.h"
#include "base/json.h"
#include "base/pin.h"
#include "base/state.h"

#include <string.h>

/* Of `proa rollback --at`; no bus is asked for it. */
#define TIMER "/run/systemd/transient/proa-rollback.timer"
#define MAX_TIMER 4096
#define ON_CALENDAR "\nOnCalendar="

static void add_problem(JsonArray *problems, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add_problem(JsonArray *problems, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	json_array_add_string_element(problems, text);
}

static void set_release(JsonObject *top, const char *member, const ProaStateRelease *release)
{
	if (!release->root_hash) {
		json_object_set_null_member(top, member);
		return;
	}
	JsonObject *object = json_object_new();
	proa_json_set_string(object, "version", release->version);
	proa_json_set_string(object, "root_hash", release->root_hash);
	proa_json_set_string(object, "slot", release->slot);
	json_object_set_object_member(top, member, object);
}

/* What proa-bootd said of a slot; where it could not be asked, what the state file remembers (NULL: nothing).
 */
static void set_slot(
	JsonObject *top, const char *member, JsonObject *bootd, const ProaStateRelease *remembered)
{
	JsonObject *seen = bootd ? proa_json_object_or_null(bootd, member) : NULL;

	if (seen)
		json_object_set_object_member(top, member, json_object_ref(seen));
	else if (remembered)
		set_release(top, member, remembered);
	else
		json_object_set_null_member(top, member);
}

static void set_state(JsonObject *top, const ProaStatusFacts *facts, const ProaState *state)
{
	gboolean staging =
		facts->running && proa_transaction_operation(facts->running) == PROA_OPERATION_UPDATE;
	ProaStateKind kind = proa_machine_view(state, staging || proa_record_staging(facts->paths, state));

	json_object_set_string_member(top, "state", proa_state_kind_to_string(kind));
	json_object_set_int_member(top, "since", state->since);
	set_slot(top, "booted", facts->bootd, &state->booted);
	set_slot(top, "other", facts->bootd, NULL);
	proa_json_set_string(
		top, "next", facts->bootd ? proa_json_string_or(facts->bootd, "next", NULL) : NULL);
	set_release(top, "staged", &state->staged);
	set_release(top, "good", &state->good);
}

JsonArray *proa_status_rejected(const ProaPaths *paths, GError **error)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(paths->state_dir, error);

	if (!list)
		return NULL;
	JsonArray *array = json_array_new();
	for (guint i = 0; i < list->len; i++) {
		const ProaRejected *entry = g_ptr_array_index(list, i);
		JsonObject *object = json_object_new();
		proa_json_set_string(object, "root_hash", entry->root_hash);
		proa_json_set_string(object, "version", entry->version);
		proa_json_set_string(object, "reason", entry->reason);
		proa_json_set_string(object, "detail", entry->detail);
		json_object_set_int_member(object, "time", entry->time);
		json_array_add_object_element(array, object);
	}
	return array;
}

static void set_rejected(JsonObject *top, const ProaPaths *paths, JsonArray *problems)
{
	g_autoptr(GError) error = NULL;
	JsonArray *rejected = proa_status_rejected(paths, &error);

	if (!rejected)
		add_problem(problems, "%s", error->message);
	json_object_set_array_member(top, "rejected", rejected ? rejected : json_array_new());
}

static void set_operation(JsonObject *top, const ProaTransaction *running)
{
	if (!running) {
		json_object_set_null_member(top, "operation");
		return;
	}
	const ProaOutcome *outcome = proa_transaction_outcome(running);
	JsonObject *object = json_object_new();
	json_object_set_string_member(
		object, "name", proa_operation_to_string(proa_transaction_operation(running)));
	proa_json_set_string(object, "phase", outcome->phase);
	json_object_set_int_member(object, "done", (gint64)outcome->done);
	json_object_set_int_member(object, "total", (gint64)outcome->total);
	proa_json_set_string(object, "version", outcome->version);
	json_object_set_int_member(object, "started", proa_transaction_started(running));
	json_object_set_object_member(top, "operation", object);
}

static void set_time(JsonObject *top, const char *member, gint64 time)
{
	if (time > 0)
		json_object_set_int_member(top, member, time);
	else
		json_object_set_null_member(top, member);
}

static void set_checks(JsonObject *top, const ProaStatusFacts *facts, const ProaState *state)
{
	if (state->last_check > 0) {
		JsonObject *object = json_object_new();
		json_object_set_int_member(object, "time", state->last_check);
		proa_json_set_string(object, "result", state->last_check_result);
		proa_json_set_string(object, "offered", state->last_check_offered);
		json_object_set_object_member(top, "last_check", object);
	} else {
		json_object_set_null_member(top, "last_check");
	}
	set_time(top, "next_check", facts->next_check);
	set_time(top, "next_reboot", facts->next_reboot);
	set_time(top, "waits_until", facts->waits_until);
}

/* When a rollback is planned for (agent/cli/later.c): the timer is a file of systemd's. */
static void set_planned_rollback(JsonObject *top, const ProaPaths *paths)
{
	g_autofree char *path = g_strconcat(paths->root, TIMER, NULL);
	g_autofree char *text = proa_file_read(path, MAX_TIMER, NULL, NULL);
	const char *at = text ? strstr(text, ON_CALENDAR) : NULL;
	g_autofree char *line = at ? g_strdup(at + strlen(ON_CALENDAR)) : NULL;

	if (line)
		line[strcspn(line, "\n")] = '\0';
	proa_json_set_string(top, "planned_rollback", line);
}

static void set_configuration(JsonObject *top, const ProaSettings *settings)
{
	JsonObject *feed = json_object_new();
	JsonObject *update = json_object_new();
	const char *url = proa_config_string(settings->config, "feed", "url");
	const char *window = proa_config_string(settings->config, "update", "reboot_window");

	proa_json_set_string(feed, "url", *url ? url : NULL);
	proa_json_set_string(feed, "channel", proa_config_string(settings->config, "feed", "channel"));
	proa_json_set_string(
		update, "automatic", proa_config_string(settings->config, "update", "automatic"));
	json_object_set_int_member(update, "check_interval", settings->check_interval);
	json_object_set_int_member(update, "jitter", settings->jitter);
	proa_json_set_string(update, "reboot", settings->reboot_automatic ? "automatic" : "manual");
	proa_json_set_string(update, "reboot_window", *window ? window : NULL);
	json_object_set_object_member(top, "feed", feed);
	json_object_set_object_member(top, "update", update);
}

JsonObject *proa_status_build(const ProaStatusFacts *facts)
{
	JsonObject *top = json_object_new();
	JsonArray *problems = json_array_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaState) state = proa_state_load(facts->paths->state_dir, &error);

	if (!state) {
		add_problem(problems, "%s", error->message);
		state = proa_state_new();
	}
	if (facts->bootd_error)
		add_problem(problems, "the boot entries cannot be read: %s", facts->bootd_error->message);
	for (guint i = 0; i < facts->settings->problems->len; i++)
		json_array_add_string_element(problems, g_ptr_array_index(facts->settings->problems, i));

	set_state(top, facts, state);
	set_rejected(top, facts->paths, problems);
	g_autofree char *pinned = proa_pin_load(facts->paths->state_dir);
	proa_json_set_string(top, "pinned", pinned);
	JsonArray *conflicts = facts->bootd ? proa_json_array_or_null(facts->bootd, "conflicts") : NULL;
	json_object_set_array_member(
		top, "conflicts", conflicts ? json_array_ref(conflicts) : json_array_new());
	set_operation(top, facts->running);
	set_checks(top, facts, state);
	set_planned_rollback(top, facts->paths);
	set_configuration(top, facts->settings);
	json_object_set_string_member(top, "agent", facts->agent ? "running" : "not-running");
	json_object_set_array_member(top, "problems", problems);
	return top;
}

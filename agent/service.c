/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service.h"

#include "agent/bus-error.h"
#include "agent/reboot.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

struct ProaService {
	sd_bus *bus;
	sd_event *event;
	sd_bus_slot *object;
	ProaAgent *agent;
	sd_bus_message *waiting_call; /* waits for the end of a short operation; NULL: none */
	gboolean started, stopping;
	ProaServiceReady ready;
	gpointer ready_data;
};

/* --- who may
 * ------------------------------------------------------------------------------------------------------ */

/* The user who calls. The bus's policy lets root alone through; this holds where the policy is missing or was
 * loosened. */
static int check_caller(sd_bus_message *call, uid_t *ret_uid, sd_bus_error *bus_error)
{
	sd_bus_creds *creds = NULL;
	uid_t uid = (uid_t)-1;
	int r = sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &uid);
	sd_bus_creds_unref(creds);
	if (r >= 0 && (uid == 0 || uid == geteuid())) {
		*ret_uid = uid;
		return 0;
	}
	g_autoptr(GError) error = NULL;
	proa_fail(&error, PROA_REASON_PERMISSION, "only root may do this");
	return proa_bus_error_set(bus_error, error);
}

/* --- methods
 * ------------------------------------------------------------------------------------------------------ */

static void answer_status(JsonObject *status, gpointer data)
{
	sd_bus_message *call = data;
	g_autofree char *text = proa_json_to_line(status);

	/* A caller that has gone needs no answer. */
	sd_bus_reply_method_return(call, "s", text);
	sd_bus_message_unref(call);
}

static int method_status(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;

	if (!proa_agent_status(service->agent, answer_status, sd_bus_message_ref(call), &error)) {
		sd_bus_message_unref(call);
		return proa_bus_error_set(bus_error, error);
	}
	return 1;
}

static int method_check(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	if (r < 0)
		return r;
	if (!proa_agent_check(service->agent, &error))
		return proa_bus_error_set(bus_error, error);
	return sd_bus_reply_method_return(call, NULL);
}

static int method_update(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;
	const char *version = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	if (r >= 0)
		r = sd_bus_message_read(call, "s", &version);
	if (r < 0)
		return r;
	if (!proa_agent_update(service->agent, version, &error))
		return proa_bus_error_set(bus_error, error);
	return sd_bus_reply_method_return(call, NULL);
}

/* Answered when the entries are renamed, not before: whoever gets the reply may pull the plug. */
static int method_rollback(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;
	const char *version = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	if (r >= 0)
		r = sd_bus_message_read(call, "s", &version);
	if (r < 0)
		return r;
	if (!proa_agent_rollback(service->agent, version, &error))
		return proa_bus_error_set(bus_error, error);
	service->waiting_call = sd_bus_message_ref(call);
	return 1;
}

/* An operator's word about a release; the methods differ by name, and in whether they take a release. */
static int method_decide(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	static const struct {
		const char *member;
		ProaOperation operation;
	} members[] = {
		{ "CheckRollback", PROA_OPERATION_CHECK_ROLLBACK },
		{ "Bless", PROA_OPERATION_BLESS },
		{ "Reject", PROA_OPERATION_REJECT },
		{ "Unreject", PROA_OPERATION_UNREJECT },
		{ "Pin", PROA_OPERATION_PIN },
		{ "Unpin", PROA_OPERATION_UNPIN },
	};
	ProaService *service = data;
	ProaOperation operation = _PROA_OPERATION_MAX;
	g_autoptr(GError) error = NULL;
	const char *release = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
		if (strcmp(sd_bus_message_get_member(call), members[i].member) == 0)
			operation = members[i].operation;
	if (r >= 0 && operation == _PROA_OPERATION_MAX)
		r = -EINVAL;
	if (r >= 0 && operation != PROA_OPERATION_BLESS && operation != PROA_OPERATION_UNPIN)
		r = sd_bus_message_read(call, "s", &release);
	if (r < 0)
		return r;
	if (!proa_agent_decide(service->agent, operation, release, &error))
		return proa_bus_error_set(bus_error, error);
	if (proa_operation_is_long(operation))
		return sd_bus_reply_method_return(call, NULL);
	service->waiting_call = sd_bus_message_ref(call);
	return 1;
}

static int method_reboot(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	if (r < 0)
		return r;
	g_autofree char *who = g_strdup_printf("asked for by uid %u", uid);
	if (!proa_agent_reboot(service->agent, who, &error))
		return proa_bus_error_set(bus_error, error);
	return sd_bus_reply_method_return(call, NULL);
}

static int method_cancel(sd_bus_message *call, void *data, sd_bus_error *bus_error)
{
	ProaService *service = data;
	g_autoptr(GError) error = NULL;
	uid_t uid;
	int r = check_caller(call, &uid, bus_error);

	if (r < 0)
		return r;
	if (!proa_agent_cancel(service->agent, &error))
		return proa_bus_error_set(bus_error, error);
	return sd_bus_reply_method_return(call, NULL);
}

/* --- properties
 * --------------------------------------------------------------------------------------------------- */

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
	sd_bus_message *answer, void *data, sd_bus_error *bus_error)
{
	static const struct {
		const char *name;
		const char *(*get)(const ProaAgent *agent);
	} strings[] = {
		{ "State", proa_agent_state },
		{ "Version", proa_agent_version },
		{ "RootHash", proa_agent_root_hash },
		{ "Slot", proa_agent_slot },
		{ "StagedVersion", proa_agent_staged_version },
		{ "LastCheckResult", proa_agent_last_check_result },
	};
	const ProaService *service = data;

	for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
		if (strcmp(strings[i].name, property) == 0)
			return sd_bus_message_append(answer, "s", strings[i].get(service->agent));
	return -EINVAL;
}

static int get_last_check(sd_bus *bus, const char *path, const char *interface, const char *property,
	sd_bus_message *answer, void *data, sd_bus_error *bus_error)
{
	const ProaService *service = data;

	return sd_bus_message_append(answer, "t", (uint64_t)MAX(proa_agent_last_check(service->agent), 0));
}

#define STRING_PROPERTY(name) SD_BUS_PROPERTY(name, "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

#define DECISION(name, signature)                                                                            \
	SD_BUS_METHOD(name, signature, "", method_decide, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", status), method_status,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS(
		"Check", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_check, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("s", version), SD_BUS_NO_RESULT, method_update,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_ARGS("s", version), SD_BUS_NO_RESULT, method_rollback,
		SD_BUS_VTABLE_UNPRIVILEGED),
	DECISION("CheckRollback", "s"),
	DECISION("Bless", ""),
	DECISION("Reject", "s"),
	DECISION("Unreject", "s"),
	DECISION("Pin", "s"),
	DECISION("Unpin", ""),
	SD_BUS_METHOD_WITH_ARGS(
		"Reboot", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reboot, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS(
		"Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	STRING_PROPERTY("State"),
	STRING_PROPERTY("Version"),
	STRING_PROPERTY("RootHash"),
	STRING_PROPERTY("Slot"),
	STRING_PROPERTY("StagedVersion"),
	SD_BUS_PROPERTY("LastCheck", "t", get_last_check, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	STRING_PROPERTY("LastCheckResult"),
	SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("s", phase, "t", done, "t", total), 0),
	SD_BUS_SIGNAL_WITH_ARGS(
		"Finished", SD_BUS_ARGS("s", operation, "b", ok, "s", reason, "s", message, "s", detail), 0),
	SD_BUS_VTABLE_END,
};

/* --- what the agent tells
 * ------------------------------------------------------------------------------------------ */

static void on_progress(const char *phase, guint64 done, guint64 total, gpointer data)
{
	ProaService *service = data;

	sd_bus_emit_signal(service->bus, PROA_BUS_PATH, PROA_BUS_INTERFACE, "Progress", "stt", phase,
		(uint64_t)done, (uint64_t)total);
}

static void answer_waiting(ProaService *service, const ProaOutcome *outcome)
{
	sd_bus_message *call = g_steal_pointer(&service->waiting_call);

	if (outcome->ok) {
		sd_bus_reply_method_return(call, NULL);
	} else {
		g_autofree char *name = proa_bus_error_name(outcome->reason);
		sd_bus_reply_method_errorf(call, name, "%s", outcome->message);
	}
	sd_bus_message_unref(call);
}

static void on_finished(
	ProaOperation operation, const ProaOutcome *outcome, JsonObject *detail, gpointer data)
{
	ProaService *service = data;
	g_autofree char *text = proa_json_to_line(detail);

	sd_bus_emit_signal(service->bus, PROA_BUS_PATH, PROA_BUS_INTERFACE, "Finished", "sbsss",
		proa_operation_to_string(operation), (int)outcome->ok,
		outcome->ok ? "" : proa_reason_to_string(outcome->reason),
		outcome->ok ? "" : outcome->message, text);
	if (!proa_operation_is_long(operation) && service->waiting_call)
		answer_waiting(service, outcome);
	if (service->stopping)
		sd_event_exit(service->event, 0);
}

static void on_changed(gpointer data)
{
	ProaService *service = data;

	/* Until the name is ours nobody listens. The first change after the start is proa-bootd's first
	 * answer. */
	if (!service->started)
		return;
	sd_bus_emit_properties_changed(service->bus, PROA_BUS_PATH, PROA_BUS_INTERFACE, "State", "Version",
		"RootHash", "Slot", "StagedVersion", "LastCheck", "LastCheckResult", NULL);
	if (service->ready) {
		ProaServiceReady ready = service->ready;
		service->ready = NULL;
		ready(service, service->ready_data);
	}
}

static gboolean on_reboot(gpointer data, GError **error)
{
	ProaService *service = data;

	return proa_reboot(service->bus, error);
}

static const ProaAgentWatcher node_watcher = { on_progress, on_finished, on_changed, on_reboot };

/* --- life
 * ---------------------------------------------------------------------------------------------------------
 */

ProaService *proa_service_new(sd_bus *bus, sd_event *event, const ProaPaths *paths, ProaServiceReady ready,
	gpointer data, GError **error)
{
	g_autoptr(ProaService) service = g_new0(ProaService, 1);

	service->bus = sd_bus_ref(bus);
	service->event = sd_event_ref(event);
	service->ready = ready;
	service->ready_data = data;
	service->agent = proa_agent_new(event, paths, &node_watcher, service);
	int r = sd_bus_add_object_vtable(
		bus, &service->object, PROA_BUS_PATH, PROA_BUS_INTERFACE, vtable, service);
	if (r >= 0)
		r = sd_bus_request_name(bus, PROA_BUS_NAME, 0);
	if (r < 0) {
		proa_fail_errno(error, PROA_REASON_NO_AGENT, -r, "taking the name " PROA_BUS_NAME);
		return NULL;
	}
	service->started = TRUE;
	proa_agent_start(service->agent);
	return g_steal_pointer(&service);
}

void proa_service_free(ProaService *service)
{
	g_clear_pointer(&service->agent, proa_agent_free);
	sd_bus_message_unref(service->waiting_call);
	sd_bus_slot_unref(service->object);
	sd_bus_unref(service->bus);
	sd_event_unref(service->event);
	g_free(service);
}

ProaAgent *proa_service_agent(ProaService *service)
{
	return service->agent;
}

void proa_service_stop(ProaService *service)
{
	g_autoptr(GError) error = NULL;

	service->stopping = TRUE;
	if (!proa_agent_busy(service->agent) || !proa_agent_cancel(service->agent, &error))
		sd_event_exit(service->event, 0);
}

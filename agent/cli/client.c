/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/client.h"

#include "agent/bus-error.h"
#include "base/json.h"

#include <signal.h>
#include <string.h>
#include <systemd/sd-bus.h>

/* proad answers at once, but it may have to be started, or to wait for proa-bootd (30 s and a grace of 20).
 * Microseconds. */
#define TIME_LIMIT (90 * G_USEC_PER_SEC)
/* A larger detail of a finished operation is not looked at. Bytes. */
#define MAX_DETAIL_SIZE (64 * 1024)

struct ProaClient {
	sd_bus *bus;
	/* Of the operation waited for. */
	sd_event *event;
	const char *operation;
	ProaProgress *progress;
	JsonObject *detail;
	gboolean lost, cancelled, left;
};

ProaClient *proa_client_open(GError **error)
{
	sd_bus *bus = NULL;
	int r = sd_bus_open_system(&bus);

	if (r < 0) {
		proa_fail_errno(error, PROA_REASON_NO_AGENT, -r, "connecting to the system bus");
		return NULL;
	}
	ProaClient *client = g_new0(ProaClient, 1);
	client->bus = bus;
	return client;
}

void proa_client_free(ProaClient *client)
{
	g_clear_pointer(&client->detail, json_object_unref);
	sd_bus_flush_close_unref(client->bus);
	g_free(client);
}

static gboolean call(ProaClient *client, const char *method, const char *version, sd_bus_message **ret_answer,
	GError **error)
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(
		client->bus, &message, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE, method);

	if (r >= 0 && version)
		r = sd_bus_message_append(message, "s", version);
	if (r >= 0)
		r = sd_bus_call(client->bus, message, TIME_LIMIT, &bus_error, ret_answer);
	if (r < 0)
		proa_bus_error_propagate(error, &bus_error, r);
	sd_bus_message_unref(message);
	sd_bus_error_free(&bus_error);
	return r >= 0;
}

gboolean proa_client_call(ProaClient *client, const char *method, const char *version, GError **error)
{
	return call(client, method, version, NULL, error);
}

JsonObject *proa_client_status(ProaClient *client, GError **error)
{
	sd_bus_message *answer = NULL;
	JsonObject *status = NULL;
	const char *text = "";

	if (!call(client, "Status", NULL, &answer, error))
		return NULL;
	int r = sd_bus_message_read(answer, "s", &text);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "reading the answer of proad");
	else
		status = proa_json_parse(
			text, strlen(text), "the answer of proad", PROA_REASON_INTERNAL, error);
	sd_bus_message_unref(answer);
	return status;
}

/* --- waiting for an operation
 * ------------------------------------------------------------------------------------- */

static int on_progress(sd_bus_message *signal_message, void *data, sd_bus_error *bus_error)
{
	ProaClient *client = data;
	const char *phase;
	uint64_t done, total;

	if (sd_bus_message_read(signal_message, "stt", &phase, &done, &total) >= 0)
		proa_progress_update(client->progress, phase, done, total, g_get_monotonic_time());
	return 0;
}

static int on_finished(sd_bus_message *signal_message, void *data, sd_bus_error *bus_error)
{
	ProaClient *client = data;
	const char *operation, *reason, *message, *detail;
	int ok;

	if (sd_bus_message_read(signal_message, "sbsss", &operation, &ok, &reason, &message, &detail) < 0 ||
		strcmp(operation, client->operation) != 0 || strlen(detail) > MAX_DETAIL_SIZE ||
		client->detail)
		return 0;
	client->detail = proa_json_parse(detail, strlen(detail), "the detail", PROA_REASON_INTERNAL, NULL);
	if (client->detail)
		sd_event_exit(client->event, 0);
	return 0;
}

static int on_owner_changed(sd_bus_message *signal_message, void *data, sd_bus_error *bus_error)
{
	ProaClient *client = data;
	const char *name, *before, *after;

	/* Losing its owner means that proad died; getting one, that it was only just started for us. */
	if (sd_bus_message_read(signal_message, "sss", &name, &before, &after) >= 0 && *before) {
		client->lost = TRUE;
		sd_event_exit(client->event, 0);
	}
	return 0;
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	ProaClient *client = data;

	if (client->cancelled) {
		client->left = TRUE;
		sd_event_exit(client->event, 0);
		return 0;
	}
	client->cancelled = TRUE;
	proa_progress_say(client->progress, "cancelling; once more leaves it to proad");
	sd_bus_call_method_async(client->bus, NULL, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE,
		"Cancel", NULL, NULL, NULL);
	return 0;
}

static int subscribe(ProaClient *client)
{
	int r = sd_bus_match_signal(client->bus, NULL, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE,
		"Progress", on_progress, client);

	if (r >= 0)
		r = sd_bus_match_signal(client->bus, NULL, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE,
			"Finished", on_finished, client);
	if (r >= 0)
		r = sd_bus_add_match(client->bus, NULL,
			"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
			"member='NameOwnerChanged',arg0='" PROA_BUS_NAME "'",
			on_owner_changed, client);
	return r;
}

static int wait_for_end(ProaClient *client)
{
	int r = sd_bus_attach_event(client->bus, client->event, SD_EVENT_PRIORITY_NORMAL);

	if (r >= 0)
		r = sd_bus_set_exit_on_disconnect(client->bus, 1);
	if (r >= 0)
		r = sd_event_loop(client->event);
	sd_bus_detach_event(client->bus);
	return r;
}

static gboolean operate(
	ProaClient *client, const char *method, const char *version, gboolean *ret_started, GError **error)
{
	int r = sd_event_add_signal(
		client->event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, on_interrupt, client);

	if (r >= 0)
		r = sd_event_add_signal(
			client->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, on_interrupt, client);
	/* First listen, then call: the end may come before the answer to the call. */
	if (r >= 0)
		r = subscribe(client);
	if (r < 0)
		return proa_fail_errno(error, PROA_REASON_NO_AGENT, -r, "listening to proad");
	if (!proa_client_call(client, method, version, error))
		return FALSE;
	*ret_started = TRUE;

	r = wait_for_end(client);
	if (client->detail)
		return TRUE;
	if (client->left)
		return proa_fail(
			error, PROA_REASON_CANCELLED, "left to proad; `proa status` shows what came of it");
	if (client->lost || r >= 0)
		return proa_fail(error, PROA_REASON_NO_AGENT,
			"proad went away in the middle; `proa status` shows what came of it");
	return proa_fail_errno(error, PROA_REASON_NO_AGENT, -r, "waiting for proad");
}

JsonObject *proa_client_operate(ProaClient *client, ProaOperation operation, const char *version,
	ProaProgress *progress, gboolean *ret_started, GError **error)
{
	static const char *const methods[_PROA_OPERATION_MAX] = { "Check", "Update", "Rollback",
		"CheckRollback", "Bless", "Reject", "Unreject", "Pin", "Unpin" };
	gboolean takes_version = operation != PROA_OPERATION_CHECK && operation != PROA_OPERATION_BLESS &&
				 operation != PROA_OPERATION_UNPIN;

	*ret_started = FALSE;
	client->operation = proa_operation_to_string(operation);
	client->progress = progress;
	if (!methods[operation]) {
		proa_fail(error, PROA_REASON_INTERNAL, "%s is not asked of proad", client->operation);
		return NULL;
	}
	int r = sd_event_new(&client->event);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "making an event loop");
	else
		operate(client, methods[operation], takes_version ? version ? version : "" : NULL,
			ret_started, error);
	client->event = sd_event_unref(client->event);
	return g_steal_pointer(&client->detail);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/systemd.h"

#include <string.h>
#include <systemd/sd-bus.h>

#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"
#define SERVICE "org.freedesktop.systemd1"
#define MANAGER "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
/* More names than this tell an operator no more. */
#define MAX_NAMES 5

struct ProaSystemd {
	char *address;
	guint seconds;
	sd_bus *bus;
};

ProaSystemd *proa_systemd_new(const char *address, guint seconds)
{
	ProaSystemd *systemd = g_new0(ProaSystemd, 1);

	systemd->address = g_strdup(address ? address : PRIVATE_ADDRESS);
	systemd->seconds = seconds;
	return systemd;
}

static void disconnect(ProaSystemd *systemd)
{
	systemd->bus = sd_bus_close_unref(systemd->bus);
}

void proa_systemd_free(ProaSystemd *systemd)
{
	disconnect(systemd);
	g_free(systemd->address);
	g_free(systemd);
}

/* The private socket is no message bus: there is no Hello to say. */
static int connect_private(const ProaSystemd *systemd, sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, systemd->address);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, (uint64_t)systemd->seconds * G_USEC_PER_SEC);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		bus = sd_bus_close_unref(bus);
	*ret_bus = bus;
	return r;
}

static gboolean connect_bus(ProaSystemd *systemd, GError **error)
{
	if (systemd->bus)
		return TRUE;
	int r = connect_private(systemd, &systemd->bus);
	return r >= 0 || proa_fail_errno(error, PROA_REASON_IO, -r, "connecting to the system manager");
}

/* After an error the connection is made anew: the system manager may have been re-executed. */
static gboolean fail_call(
	ProaSystemd *systemd, sd_bus_error *bus_error, int r, const char *what, GError **error)
{
	if (bus_error->message)
		proa_fail(error, PROA_REASON_IO, "%s: %s", what, bus_error->message);
	else
		proa_fail_errno(error, PROA_REASON_IO, -r, "%s", what);
	sd_bus_error_free(bus_error);
	disconnect(systemd);
	return FALSE;
}

static char *string_property(
	ProaSystemd *systemd, const char *path, const char *interface, const char *property, GError **error)
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	char *text = NULL;

	if (!connect_bus(systemd, error))
		return NULL;
	int r = sd_bus_get_property_string(
		systemd->bus, SERVICE, path, interface, property, &bus_error, &text);
	if (r < 0) {
		fail_call(systemd, &bus_error, r, property, error);
		return NULL;
	}
	char *copy = g_strdup(text);
	free(text);
	return copy;
}

char *proa_systemd_state(ProaSystemd *systemd, GError **error)
{
	return string_property(systemd, MANAGER, MANAGER_INTERFACE, "SystemState", error);
}

static sd_bus_message *call_manager(
	ProaSystemd *systemd, const char *method, sd_bus_message *call, GError **error)
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int r = sd_bus_call(systemd->bus, call, 0, &bus_error, &reply);

	if (r < 0) {
		fail_call(systemd, &bus_error, r, method, error);
		return NULL;
	}
	return reply;
}

static sd_bus_message *new_call(ProaSystemd *systemd, const char *method, GError **error)
{
	sd_bus_message *call = NULL;

	if (!connect_bus(systemd, error))
		return NULL;
	int r = sd_bus_message_new_method_call(
		systemd->bus, &call, SERVICE, MANAGER, MANAGER_INTERFACE, method);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_IO, -r, "%s", method);
	return call;
}

static void add_name(GString *names, guint *count, const char *name)
{
	if (*count < MAX_NAMES)
		g_string_append_printf(names, "%s%s", *count > 0 ? ", " : "", name);
	else if (*count == MAX_NAMES)
		g_string_append(names, ", ...");
	(*count)++;
}

/* Reads one structure of a reply up to the string that is wanted of it; FALSE: not this one. */
typedef gboolean (*ReadName)(sd_bus_message *reply, const char **ret_name);

static gboolean read_unit(sd_bus_message *reply, const char **ret_name)
{
	return sd_bus_message_read(reply, "s", ret_name) >= 0 && sd_bus_message_skip(reply, "sssssouso") >= 0;
}

static gboolean read_job(sd_bus_message *reply, const char **ret_name)
{
	return sd_bus_message_skip(reply, "u") >= 0 && sd_bus_message_read(reply, "s", ret_name) >= 0 &&
	       sd_bus_message_skip(reply, "ssoo") >= 0;
}

/* A job that waits does so for one that was begun. */
static gboolean read_begun_job(sd_bus_message *reply, const char **ret_name)
{
	const char *name = NULL, *type = NULL, *state = NULL;

	if (sd_bus_message_skip(reply, "u") < 0 ||
		sd_bus_message_read(reply, "sss", &name, &type, &state) < 0 ||
		sd_bus_message_skip(reply, "oo") < 0)
		return FALSE;
	*ret_name = strcmp(state, "running") == 0 ? name : NULL;
	return TRUE;
}

/* The names of the array in @reply, but those in @but (may be NULL). */
static char *collect(sd_bus_message *reply, const char *contents, ReadName read_name, const char *const *but)
{
	GString *names = g_string_new(NULL);
	guint count = 0;

	if (sd_bus_message_enter_container(reply, 'a', contents) < 0)
		return g_string_free(names, FALSE);
	while (sd_bus_message_enter_container(reply, 'r', NULL) > 0) {
		const char *name = NULL;
		if (!read_name(reply, &name))
			break;
		if (name && !(but && g_strv_contains(but, name)))
			add_name(names, &count, name);
		if (sd_bus_message_exit_container(reply) < 0)
			break;
	}
	return g_string_free(names, FALSE);
}

char *proa_systemd_failed_units(ProaSystemd *systemd, const char *const *but, GError **error)
{
	static const char *const states[] = { "failed", NULL };
	sd_bus_message *call = new_call(systemd, "ListUnitsFiltered", error), *reply = NULL;
	char *names = NULL;

	if (!call)
		return NULL;
	/* The call takes a pointer to a writable array, which it does not write to. */
	int r = sd_bus_message_open_container(call, 'a', "s");
	for (gsize i = 0; r >= 0 && states[i]; i++)
		r = sd_bus_message_append(call, "s", states[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_IO, -r, "ListUnitsFiltered");
	else
		reply = call_manager(systemd, "ListUnitsFiltered", call, error);
	if (reply)
		names = collect(reply, "(ssssssouso)", read_unit, but);
	sd_bus_message_unref(reply);
	sd_bus_message_unref(call);
	return names;
}

static char *list_jobs(ProaSystemd *systemd, ReadName read_name, const char *const *but, GError **error)
{
	sd_bus_message *call = new_call(systemd, "ListJobs", error);
	sd_bus_message *reply = call ? call_manager(systemd, "ListJobs", call, error) : NULL;
	char *names = reply ? collect(reply, "(usssoo)", read_name, but) : NULL;

	sd_bus_message_unref(reply);
	sd_bus_message_unref(call);
	return names;
}

char *proa_systemd_jobs(ProaSystemd *systemd, GError **error)
{
	return list_jobs(systemd, read_job, NULL, error);
}

char *proa_systemd_begun_jobs(ProaSystemd *systemd, const char *const *but, GError **error)
{
	return list_jobs(systemd, read_begun_job, but, error);
}

/* The object of a unit, loaded if it was not; free with g_free(). */
static char *unit_path(ProaSystemd *systemd, const char *unit, GError **error)
{
	sd_bus_message *call = new_call(systemd, "LoadUnit", error), *reply = NULL;
	const char *path = NULL;
	char *copy = NULL;

	if (call && sd_bus_message_append(call, "s", unit) >= 0)
		reply = call_manager(systemd, "LoadUnit", call, error);
	if (reply && sd_bus_message_read(reply, "o", &path) >= 0)
		copy = g_strdup(path);
	sd_bus_message_unref(reply);
	sd_bus_message_unref(call);
	return copy;
}

char *proa_systemd_unit_state(ProaSystemd *systemd, const char *unit, GError **error)
{
	g_autofree char *path = unit_path(systemd, unit, error);

	return path ? string_property(systemd, path, UNIT_INTERFACE, "ActiveState", error) : NULL;
}

void proa_unit_clear(ProaUnit *unit)
{
	g_clear_pointer(&unit->load, g_free);
	g_clear_pointer(&unit->active, g_free);
}

static gboolean since_property(ProaSystemd *systemd, const char *path, guint64 *ret_since, GError **error)
{
	static const char property[] = "ActiveEnterTimestampMonotonic";
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	uint64_t since = 0;

	if (!connect_bus(systemd, error))
		return FALSE;
	int r = sd_bus_get_property_trivial(
		systemd->bus, SERVICE, path, UNIT_INTERFACE, property, &bus_error, 't', &since);
	if (r < 0)
		return fail_call(systemd, &bus_error, r, property, error);
	*ret_since = since;
	return TRUE;
}

gboolean proa_systemd_unit(ProaSystemd *systemd, const char *unit, ProaUnit *ret_unit, GError **error)
{
	g_autofree char *path = unit_path(systemd, unit, error);
	ProaUnit facts = { 0 };

	if (path)
		facts.load = string_property(systemd, path, UNIT_INTERFACE, "LoadState", error);
	if (facts.load)
		facts.active = string_property(systemd, path, UNIT_INTERFACE, "ActiveState", error);
	if (!facts.active || !since_property(systemd, path, &facts.active_since, error)) {
		proa_unit_clear(&facts);
		return FALSE;
	}
	*ret_unit = facts;
	return TRUE;
}

gboolean proa_systemd_start(ProaSystemd *systemd, const char *unit, const char *mode, GError **error)
{
	sd_bus_message *call = new_call(systemd, "StartUnit", error), *reply = NULL;

	if (call && sd_bus_message_append(call, "ss", unit, mode) >= 0)
		reply = call_manager(systemd, "StartUnit", call, error);
	gboolean ok = reply != NULL;
	sd_bus_message_unref(reply);
	sd_bus_message_unref(call);
	return ok;
}

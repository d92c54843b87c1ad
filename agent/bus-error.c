/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus-error.h"

#include "agent/text.h"

#include <string.h>

char *proa_bus_error_name(ProaReason reason)
{
	g_autoptr(GString) name = g_string_new(PROA_BUS_ERROR_PREFIX);
	gboolean upper = TRUE;

	/* A hyphen may not stand in an error name (D-Bus Specification, "Error names"). */
	for (const char *p = proa_reason_to_string(reason); *p; p++) {
		if (*p != '-')
			g_string_append_c(name, upper ? g_ascii_toupper(*p) : *p);
		upper = *p == '-';
	}
	return g_string_free(g_steal_pointer(&name), FALSE);
}

ProaReason proa_bus_error_reason(const char *name)
{
	for (int i = 0; name && i < PROA_REASON_MAX; i++) {
		g_autofree char *known = proa_bus_error_name((ProaReason)i);
		if (strcmp(known, name) == 0)
			return (ProaReason)i;
	}
	return PROA_REASON_MAX;
}

int proa_bus_error_set(sd_bus_error *bus_error, const GError *error)
{
	g_autofree char *name = proa_bus_error_name(proa_reason_of(error));
	g_autofree char *message = proa_text_safe(error->message);

	return sd_bus_error_set(bus_error, name, message);
}

gboolean proa_bus_error_is_absence(const sd_bus_error *bus_error)
{
	static const char *const absent[] = { SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
		SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT, SD_BUS_ERROR_DISCONNECTED,
		SD_BUS_ERROR_NO_SERVER, "org.freedesktop.DBus.Error.TimedOut", NULL };

	if (!bus_error->name)
		return FALSE;
	return g_strv_contains(absent, bus_error->name) ||
	       g_str_has_prefix(bus_error->name, "org.freedesktop.DBus.Error.Spawn.") ||
	       g_str_has_prefix(bus_error->name, "org.freedesktop.systemd1.");
}

gboolean proa_bus_error_propagate(GError **error, const sd_bus_error *bus_error, int r)
{
	ProaReason reason = proa_bus_error_reason(bus_error->name);
	g_autofree char *message = proa_text_safe(bus_error->message ? bus_error->message : g_strerror(-r));

	if (reason < PROA_REASON_MAX)
		return proa_fail(error, reason, "%s", message);
	if (sd_bus_error_has_name(bus_error, SD_BUS_ERROR_ACCESS_DENIED))
		return proa_fail(error, PROA_REASON_PERMISSION, "the system bus lets only root do this");
	if (proa_bus_error_is_absence(bus_error) || !bus_error->name)
		return proa_fail(error, PROA_REASON_NO_AGENT, "proad does not answer: %s", message);
	return proa_fail(error, PROA_REASON_INTERNAL, "proad: %s (%s)", message, bus_error->name);
}

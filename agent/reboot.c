/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reboot.h"

/* Both answer at once; well under the watchdog of proad.service. Microseconds. */
#define TIME_LIMIT (10 * G_USEC_PER_SEC)

static int call(sd_bus *bus, sd_bus_message *message, sd_bus_error *bus_error)
{
	int r = sd_bus_call(bus, message, TIME_LIMIT, bus_error, NULL);

	sd_bus_message_unref(message);
	return r;
}

static int ask_logind(sd_bus *bus, sd_bus_error *bus_error)
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(bus, &message, "org.freedesktop.login1",
		"/org/freedesktop/login1", "org.freedesktop.login1.Manager", "Reboot");

	if (r >= 0)
		r = sd_bus_message_append(message, "b", 0);
	return r < 0 ? r : call(bus, message, bus_error);
}

static int ask_systemd(sd_bus *bus, sd_bus_error *bus_error)
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(bus, &message, "org.freedesktop.systemd1",
		"/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StartUnit");

	if (r >= 0)
		r = sd_bus_message_append(message, "ss", "reboot.target", "replace-irreversibly");
	return r < 0 ? r : call(bus, message, bus_error);
}

gboolean proa_reboot(sd_bus *bus, GError **error)
{
	sd_bus_error logind = SD_BUS_ERROR_NULL, systemd = SD_BUS_ERROR_NULL;
	int r = ask_logind(bus, &logind);

	if (r < 0)
		r = ask_systemd(bus, &systemd);
	if (r < 0)
		proa_fail(error, PROA_REASON_INTERNAL, "nobody takes the reboot: logind: %s; systemd: %s",
			logind.message ? logind.message : "no answer",
			systemd.message ? systemd.message : "no answer");
	sd_bus_error_free(&logind);
	sd_bus_error_free(&systemd);
	return r >= 0;
}

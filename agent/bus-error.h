/* SPDX-License-Identifier: Apache-2.0 */
/* bus-error: reason codes as D-Bus error names: esp-full is org.proa.Node1.Error.EspFull. */
#pragma once

#include "base/reason.h"

#include <systemd/sd-bus.h>

#define PROA_BUS_NAME "org.proa.Node1"
#define PROA_BUS_PATH "/org/proa/Node1"
#define PROA_BUS_INTERFACE "org.proa.Node1"
#define PROA_BUS_ERROR_PREFIX "org.proa.Node1.Error."

/* The D-Bus error name of a reason; free with g_free(). */
char *proa_bus_error_name(ProaReason reason);

/* The reason of a D-Bus error name, or PROA_REASON_MAX if it is none of ours. */
ProaReason proa_bus_error_reason(const char *name);

/* Fills @bus_error from @error; returns the negative errno that an sd-bus handler returns. */
int proa_bus_error_set(sd_bus_error *bus_error, const GError *error);

/*
 * Whether a D-Bus error means that there is no agent at all (no such name, it did not start, it went away),
 * rather than an answer of the agent or of the bus's policy.
 */
gboolean proa_bus_error_is_absence(const sd_bus_error *bus_error);

/* Turns the error of a call to the agent into a GError: its reason, PERMISSION, NO_AGENT or INTERNAL. Returns
 * FALSE. */
gboolean proa_bus_error_propagate(GError **error, const sd_bus_error *bus_error, int r);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd: the system manager, asked over its private socket, which is there from its first moment on and
 * needs no D-Bus daemon. Every call ends within the time limit given at the beginning.
 */
#pragma once

#include "base/reason.h"

typedef struct ProaSystemd ProaSystemd;

/* @address: a D-Bus address, or NULL for PID 1's own. Connects at the first call, and again after an error.
 */
ProaSystemd *proa_systemd_new(const char *address, guint seconds);
void proa_systemd_free(ProaSystemd *systemd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSystemd, proa_systemd_free)

/* SystemState: "starting", "running", "degraded", "maintenance", "stopping" ...; free with g_free(). NULL
 * with IO. */
char *proa_systemd_state(ProaSystemd *systemd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Names of failed units but those in @but (NULL: all), of units with a job that waits or runs, or of those
 * whose job was begun; at most a few, separated by ", "; "" for none. */
char *proa_systemd_failed_units(ProaSystemd *systemd, const char *const *but, GError **error);
char *proa_systemd_jobs(ProaSystemd *systemd, GError **error);
char *proa_systemd_begun_jobs(ProaSystemd *systemd, const char *const *but, GError **error);

/* ActiveState of a unit; free with g_free(). */
char *proa_systemd_unit_state(
	ProaSystemd *systemd, const char *unit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a unit is and since when. */
typedef struct {
	char *load;           /* LoadState: "loaded", "not-found", "masked" ... */
	char *active;         /* ActiveState: "active", "activating", "failed" ... */
	guint64 active_since; /* monotonic microseconds of the last time it became active; 0: never */
} ProaUnit;

void proa_unit_clear(ProaUnit *unit);

/* Asks about @unit. Clear *@ret_unit with proa_unit_clear(). IO. */
gboolean proa_systemd_unit(
	ProaSystemd *systemd, const char *unit, ProaUnit *ret_unit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Queues the start of a unit; @mode as in org.freedesktop.systemd1 ("replace", "replace-irreversibly"). */
gboolean proa_systemd_start(
	ProaSystemd *systemd, const char *unit, const char *mode, GError **error) G_GNUC_WARN_UNUSED_RESULT;

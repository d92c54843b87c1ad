/* SPDX-License-Identifier: Apache-2.0 */
/* units: the system manager has reached "running": every unit that was to start has, and none has failed. */
#include "boot/health/check.h"

#include <string.h>

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *state = proa_systemd_state(context->systemd, &error);

	if (!state) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NOT_RUNNING, g_strdup(error->message));
		return;
	}
	if (strcmp(state, "running") == 0)
		return;
	g_autofree char *failed = proa_systemd_failed_units(context->systemd, NULL);
	if (failed && *failed) {
		/* While the system still starts, a unit may be started again; after that nobody will. */
		gboolean starting = strcmp(state, "starting") == 0 || strcmp(state, "initializing") == 0;
		proa_health_set(result, starting ? PROA_HEALTH_WAIT : PROA_HEALTH_FAIL,
			PROA_REASON_UNIT_FAILED, g_strdup_printf("failed units: %s", failed));
		return;
	}
	g_autofree char *jobs = proa_systemd_jobs(context->systemd, NULL);
	proa_health_set(result, strcmp(state, "maintenance") == 0 ? PROA_HEALTH_FAIL : PROA_HEALTH_WAIT,
		PROA_REASON_NOT_RUNNING,
		g_strdup_printf("the system is %s%s%s", state, jobs && *jobs ? "; waiting for " : "",
			jobs ? jobs : ""));
}

const ProaHealthCheck proa_health_units = { "units", run };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time: the kernel says that the clock is in step with a source (chrony and systemd-timesyncd both tell it
 * so). With a time service at work the sources are to blame, without one the node.
 */
#include "boot/health/check.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

/* The first of the services that is active, or NULL; free with g_free(). */
static char *active_service(const ProaHealthContext *context)
{
	g_auto(GStrv) names =
		g_strsplit_set(proa_config_string(context->config, "time", "services"), " \t,", -1);

	for (char **name = names; *name; name++) {
		g_autofree char *state =
			**name ? proa_systemd_unit_state(context->systemd, *name, NULL) : NULL;
		if (g_strcmp0(state, "active") == 0)
			return g_strdup(*name);
	}
	return NULL;
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	struct timex clock = { 0 };

	if (!proa_config_boolean(context->config, "time", "enabled")) {
		proa_health_skip(result, "[time] enabled=no");
		return;
	}
	int state = adjtimex(&clock);
	if (state < 0)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_TIME,
			g_strdup_printf("the kernel does not tell about its clock: %s", g_strerror(errno)));
	if (state < 0 || !(clock.status & STA_UNSYNC))
		return;
	g_autofree char *service = active_service(context);
	if (service)
		proa_health_blame_elsewhere(result, PROA_REASON_TIME,
			g_strdup_printf("%s runs, but has not put the clock in step yet", service));
	else
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_TIME,
			g_strdup("the clock is not in step, and no time service runs"));
}

const ProaHealthCheck proa_health_time = { .name = "time", .run = run };

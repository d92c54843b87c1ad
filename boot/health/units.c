/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units: the system manager has reached "running": every unit that was to start has, and none has failed. The
 * units named in [units] active= are active, and have been since they were first seen so: one that ends and
 * is started again and again looks well at most moments, but never settles.
 */
#include "boot/health/check.h"

#include <string.h>

static void check_system(const ProaHealthContext *context, ProaHealthResult *result)
{
	static const char *const unfinished[] = { "initializing", "starting", "maintenance", NULL };
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
		/* While the system still starts, a unit may be started again; after that nobody will. In the
		 * rescue shell somebody is at work, and gets until the deadline. */
		gboolean wait = g_strv_contains(unfinished, state);
		proa_health_set(result, wait ? PROA_HEALTH_WAIT : PROA_HEALTH_FAIL, PROA_REASON_UNIT_FAILED,
			g_strdup_printf("failed units: %s", failed));
		return;
	}
	g_autofree char *jobs = proa_systemd_jobs(context->systemd, NULL);
	proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NOT_RUNNING,
		g_strdup_printf("the system is %s%s%s", state, jobs && *jobs ? "; waiting for " : "",
			jobs ? jobs : ""));
}

/* Since when it has been active, compared with what was seen in the rounds before. */
static void check_since(
	const ProaHealthContext *context, const char *unit, guint64 since, ProaHealthResult *result)
{
	char *key = g_strdup_printf("units:%s", unit), *now = g_strdup_printf("%" G_GUINT64_FORMAT, since);
	const char *before = g_hash_table_lookup(context->memory, key);

	if (before && strcmp(before, now) != 0)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_UNIT_RESTARTED,
			g_strdup_printf("%s ended and was started again", unit));
	g_hash_table_replace(context->memory, key, now);
}

static void check_unit(const ProaHealthContext *context, const char *unit, ProaHealthResult *result)
{
	ProaUnit facts = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_systemd_unit(context->systemd, unit, &facts, &error))
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NOT_RUNNING,
			g_strdup_printf("%s: %s", unit, error->message));
	else if (strcmp(facts.active, "active") == 0)
		check_since(context, unit, facts.active_since, result);
	else if (strcmp(facts.load, "loaded") != 0)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_UNIT_FAILED,
			g_strdup_printf("%s is named in [units] active, but is %s", unit, facts.load));
	else
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_UNIT_FAILED,
			g_strdup_printf("%s is %s, not active", unit, facts.active));
	proa_unit_clear(&facts);
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_auto(GStrv) names =
		g_strsplit_set(proa_config_string(context->config, "units", "active"), " \t,", -1);

	check_system(context, result);
	for (char **name = names; *name && proa_health_good(result->verdict); name++)
		if (**name)
			check_unit(context, *name, result);
}

const ProaHealthCheck proa_health_units = { .name = "units", .run = run };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units: the system manager has reached "running": every unit that was to start has, and none has failed. The
 * units named in [units] active= are active, and have been since they were first seen so: one that ends and
 * is started again and again looks well at most moments, but never settles. Those named in [units] elsewhere=
 * need something that is not on this node, and are no fault of its.
 */
#include "boot/health/check.h"

#include <string.h>

/* Whether all that keeps the system from running waits for elsewhere: what has failed, and what has begun to
 * start. */
static gboolean waits_for_elsewhere(
	const ProaHealthContext *context, const char *const *elsewhere, char **ret_names)
{
	g_autofree char *failed = proa_systemd_failed_units(context->systemd, NULL, NULL);
	g_autofree char *begun = proa_systemd_begun_jobs(context->systemd, NULL, NULL);
	g_autofree char *own = proa_systemd_begun_jobs(context->systemd, elsewhere, NULL);

	if (!failed || !begun || !own || *own || !(*failed || *begun))
		return FALSE;
	*ret_names = g_strconcat(failed, *failed && *begun ? ", " : "", begun, NULL);
	return TRUE;
}

static void check_system(
	const ProaHealthContext *context, const char *const *elsewhere, ProaHealthResult *result)
{
	static const char *const unfinished[] = { "initializing", "starting", "maintenance", NULL };
	g_autofree char *names = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *state = proa_systemd_state(context->systemd, &error);

	if (!state) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NOT_RUNNING, g_strdup(error->message));
		return;
	}
	if (strcmp(state, "running") == 0)
		return;
	g_autofree char *failed = proa_systemd_failed_units(context->systemd, elsewhere, NULL);
	if (failed && *failed) {
		/* While the system still starts, a unit may be started again; after that nobody will. In the
		 * rescue shell somebody is at work, and gets until the deadline. */
		gboolean wait = g_strv_contains(unfinished, state);
		proa_health_set(result, wait ? PROA_HEALTH_WAIT : PROA_HEALTH_FAIL, PROA_REASON_UNIT_FAILED,
			g_strdup_printf("failed units: %s", failed));
		return;
	}
	if (failed && *elsewhere && waits_for_elsewhere(context, elsewhere, &names)) {
		proa_health_blame_elsewhere(result, PROA_REASON_UNIT_FAILED,
			g_strdup_printf("the system is %s, and only for what needs something elsewhere: %s",
				state, names));
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

/* The words of a key; free with g_strfreev(). */
static char **words_of(const ProaConfig *config, const char *key)
{
	g_auto(GStrv) parts = g_strsplit_set(proa_config_string(config, "units", key), " \t,", -1);
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();

	for (char **part = parts; *part; part++)
		if (**part)
			g_strv_builder_add(words, *part);
	return g_strv_builder_end(words);
}

char **proa_health_units_elsewhere(const ProaConfig *config)
{
	return words_of(config, "elsewhere");
}

/* The node's own fault has the last word. */
static void add(ProaHealthResult *result, ProaHealthResult *one)
{
	gboolean worse = !proa_health_good(one->verdict) &&
			 (proa_health_good(result->verdict) || one->fault == PROA_FAULT_OF_NODE);

	if (worse) {
		proa_health_result_clear(result);
		*result = *one;
	} else {
		proa_health_result_clear(one);
	}
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_auto(GStrv) names = words_of(context->config, "active");
	g_auto(GStrv) elsewhere = proa_health_units_elsewhere(context->config);

	check_system(context, (const char *const *)elsewhere, result);
	for (char **name = names; *name; name++) {
		ProaHealthResult one = { 0 };
		if (!proa_health_good(result->verdict) && result->fault == PROA_FAULT_OF_NODE)
			return;
		check_unit(context, *name, &one);
		if (!proa_health_good(one.verdict) && g_strv_contains((const char *const *)elsewhere, *name))
			one.fault = PROA_FAULT_OF_ELSEWHERE;
		add(result, &one);
	}
}

const ProaHealthCheck proa_health_units = { .name = "units", .run = run };

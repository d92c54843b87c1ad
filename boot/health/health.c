/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/health.h"

#include "base/json.h"

#include <string.h>

/* Between a try and the next within one round. */
#define RETRY_SECONDS 1

/* In the order in which they run: what costs least and tells most first. Of two that fail the first is the
 * reason: where /var cannot be written units fail, and are not to blame. */
static const ProaHealthCheck *const checks[] = {
	&proa_health_disk,
	&proa_health_units,
	&proa_health_containerd,
	&proa_health_kubelet,
	&proa_health_network,
	&proa_health_time,
	&proa_health_canary,
	&proa_health_node_ready,
	&proa_health_programs,
};

gboolean proa_health_good(ProaHealthVerdict verdict)
{
	return verdict <= PROA_HEALTH_SKIPPED;
}

void proa_health_set(ProaHealthResult *result, ProaHealthVerdict verdict, ProaReason reason, char *detail)
{
	g_free(result->detail);
	*result = (ProaHealthResult){ .verdict = verdict, .reason = reason, .detail = detail };
}

void proa_health_blame_elsewhere(ProaHealthResult *result, ProaReason reason, char *detail)
{
	proa_health_set(result, PROA_HEALTH_WAIT, reason, detail);
	result->fault = PROA_FAULT_OF_ELSEWHERE;
}

void proa_health_skip(ProaHealthResult *result, const char *why)
{
	proa_health_set(result, PROA_HEALTH_SKIPPED, PROA_REASON_INTERNAL, g_strdup(why));
}

void proa_health_result_clear(ProaHealthResult *result)
{
	g_clear_pointer(&result->detail, g_free);
	*result = (ProaHealthResult){ 0 };
}

/* Whether @a stands more in the way than @b. */
static gboolean is_worse(const ProaHealthResult *a, const ProaHealthResult *b)
{
	gboolean good_a = proa_health_good(a->verdict), good_b = proa_health_good(b->verdict);

	if (good_a || good_b)
		return !good_a;
	if (a->fault != b->fault)
		return a->fault == PROA_FAULT_OF_NODE;
	return a->verdict > b->verdict;
}

/* Seconds; 0 for a check whose questions have limits of their own. */
static gint64 time_limit(const ProaConfig *config, const char *name)
{
	for (const ProaConfigKey *key = proa_health_config_keys; key->group; key++)
		if (strcmp(key->group, name) == 0 && strcmp(key->key, "timeout") == 0)
			return proa_config_integer(config, name, key->key);
	return 0;
}

void proa_health_begins(const ProaHealthContext *context, const char *name)
{
	if (context->begins)
		context->begins(time_limit(context->config, name), context->begins_data);
}

static void run_check(
	const ProaHealthContext *context, const ProaHealthCheck *check, ProaHealthResult *result)
{
	gint64 retries = proa_config_integer(context->config, check->name, "retries");

	proa_health_begins(context, check->name);
	check->run(context, result);
	for (gint64 i = 0; i < retries && !proa_health_good(result->verdict); i++) {
		g_usleep((gulong)RETRY_SECONDS * G_USEC_PER_SEC);
		proa_health_result_clear(result);
		proa_health_begins(context, check->name);
		check->run(context, result);
	}
}

static JsonObject *describe(const ProaHealthCheck *check, const ProaHealthResult *result, gint64 milliseconds)
{
	static const char *const verdicts[] = { "ok", "skipped", "waiting", "failing" };
	JsonObject *object = json_object_new();
	gboolean good = proa_health_good(result->verdict);
	g_autofree char *detail = result->detail ? g_utf8_make_valid(result->detail, -1) : NULL;

	proa_json_set_string(object, "check", check->name);
	proa_json_set_string(object, "verdict", verdicts[result->verdict]);
	proa_json_set_string(object, "fault",
		good                                  ? NULL
		: result->fault == PROA_FAULT_OF_NODE ? "node"
						      : "elsewhere");
	proa_json_set_string(object, "reason", good ? NULL : proa_reason_to_string(result->reason));
	proa_json_set_string(object, "detail", detail);
	json_object_set_int_member(object, "milliseconds", milliseconds);
	return object;
}

void proa_health_run(const ProaHealthContext *context, ProaHealthResult *ret, const char **ret_name,
	JsonArray **ret_report)
{
	g_autoptr(JsonArray) report = json_array_new();
	ProaHealthResult worst = { 0 };
	const char *name = NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
		ProaHealthResult result = { 0 };
		gint64 began = g_get_monotonic_time();
		if (checks[i]->late && !proa_health_good(worst.verdict) && worst.fault == PROA_FAULT_OF_NODE)
			proa_health_skip(&result, "waits until the checks before it are right");
		else
			run_check(context, checks[i], &result);
		json_array_add_object_element(
			report, describe(checks[i], &result, (g_get_monotonic_time() - began) / 1000));
		if (!is_worse(&result, &worst)) {
			proa_health_result_clear(&result);
			continue;
		}
		proa_health_result_clear(&worst);
		worst = result;
		name = checks[i]->name;
	}
	*ret = worst;
	*ret_name = name;
	if (ret_report)
		*ret_report = g_steal_pointer(&report);
}

char *proa_health_report_to_text(JsonArray *report)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(report); i++) {
		JsonObject *object = json_array_get_object_element(report, i);
		const char *reason = proa_json_string_or(object, "reason", NULL);
		const char *detail = proa_json_string_or(object, "detail", NULL);
		g_string_append_printf(text, "%-11s %s", proa_json_string_or(object, "check", "?"),
			proa_json_string_or(object, "verdict", "?"));
		if (reason)
			g_string_append_printf(text, " (%s, fault of %s)", reason,
				proa_json_string_or(object, "fault", "?"));
		g_string_append_printf(text, "%s%s\n", detail ? ": " : "", detail ? detail : "");
	}
	return g_string_free(text, FALSE);
}

void proa_health_trial_begin(ProaHealthTrial *trial, const ProaConfig *config, gint64 now)
{
	*trial = (ProaHealthTrial){ .deadline = proa_config_integer(config, "health", "deadline"),
		.settle = proa_config_integer(config, "health", "settle"),
		.failing = proa_config_integer(config, "health", "failing"),
		.limit = proa_config_integer(config, "health", "elsewhere-limit"),
		.keep = g_strcmp0(proa_config_string(config, "health", "elsewhere"), "keep") == 0,
		.began = now,
		.ok_since = -1,
		.fail_since = -1,
		.node_since = -1 };
}

/* When something began to hold: @since, or now; -1 if it does not. */
static gint64 holds_since(gint64 since, gboolean holds, gint64 now)
{
	return !holds ? -1 : since < 0 ? now : since;
}

ProaHealthDecision proa_health_trial_add(
	ProaHealthTrial *trial, ProaHealthVerdict verdict, ProaHealthFault fault, gint64 began, gint64 now)
{
	gboolean good = proa_health_good(verdict), elsewhere = !good && fault == PROA_FAULT_OF_ELSEWHERE;

	trial->ok_since = holds_since(trial->ok_since, good, began);
	trial->node_since = holds_since(trial->node_since, !good && !elsewhere, now);
	trial->fail_since = holds_since(trial->fail_since, verdict == PROA_HEALTH_FAIL && !elsewhere, now);

	if (trial->ok_since >= 0 && began - trial->ok_since >= trial->settle)
		return PROA_HEALTHY;
	if (trial->fail_since >= 0 && now - trial->fail_since >= trial->failing)
		return PROA_UNHEALTHY;
	/* Being right at the deadline is enough: the settling time may end after it. */
	if (now - trial->began < trial->deadline || good)
		return PROA_HEALTH_UNDECIDED;
	if (elsewhere && now - trial->began >= MAX(trial->limit, trial->deadline))
		return trial->keep ? PROA_HEALTHY : PROA_UNHEALTHY;
	trial->prolonged |= elsewhere;
	if (elsewhere || (trial->prolonged && now - trial->node_since < trial->failing))
		return PROA_HEALTH_UNDECIDED;
	return PROA_UNHEALTHY;
}

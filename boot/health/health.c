/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/health.h"

#define HOUR 3600

const ProaConfigKey proa_health_config_keys[] = {
	{ "health", "deadline", PROA_CONFIG_DURATION, "5min", 10, HOUR / 2, NULL },
	{ "health", "interval", PROA_CONFIG_DURATION, "2s", 1, 60, NULL },
	{ "health", "settle", PROA_CONFIG_DURATION, "10s", 0, HOUR, NULL },
	{ "health", "failing", PROA_CONFIG_DURATION, "30s", 1, HOUR, NULL },
	{ "health", "unit-timeout", PROA_CONFIG_DURATION, "5s", 1, 60, NULL },
	{ "containerd", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "containerd", "socket", PROA_CONFIG_STRING, "/run/containerd/containerd.sock", 0, 0, NULL },
	{ "containerd", "timeout", PROA_CONFIG_DURATION, "5s", 1, 60, NULL },
	{ "containerd", "cri", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "containerd", "network", PROA_CONFIG_BOOLEAN, "no", 0, 0, NULL },
	{ NULL, NULL, PROA_CONFIG_STRING, NULL, 0, 0, NULL },
};

static const ProaHealthCheck *const checks[] = {
	&proa_health_units,
	&proa_health_containerd,
};

void proa_health_set(ProaHealthResult *result, ProaHealthVerdict verdict, ProaReason reason, char *detail)
{
	g_free(result->detail);
	result->verdict = verdict;
	result->reason = reason;
	result->detail = detail;
}

void proa_health_result_clear(ProaHealthResult *result)
{
	g_clear_pointer(&result->detail, g_free);
	*result = (ProaHealthResult){ 0 };
}

void proa_health_run(const ProaHealthContext *context, ProaHealthResult *ret, const char **ret_name)
{
	ProaHealthResult worst = { 0 };
	const char *name = NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
		ProaHealthResult result = { 0 };
		checks[i]->run(context, &result);
		if (result.verdict <= worst.verdict) {
			proa_health_result_clear(&result);
			continue;
		}
		proa_health_result_clear(&worst);
		worst = result;
		name = checks[i]->name;
	}
	*ret = worst;
	*ret_name = name;
}

void proa_health_trial_begin(ProaHealthTrial *trial, const ProaConfig *config, gint64 now)
{
	*trial = (ProaHealthTrial){ .deadline = proa_config_integer(config, "health", "deadline"),
		.settle = proa_config_integer(config, "health", "settle"),
		.failing = proa_config_integer(config, "health", "failing"),
		.began = now,
		.ok_since = -1,
		.fail_since = -1 };
}

ProaHealthDecision proa_health_trial_add(ProaHealthTrial *trial, ProaHealthVerdict verdict, gint64 now)
{
	if (verdict != PROA_HEALTH_OK)
		trial->ok_since = -1;
	else if (trial->ok_since < 0)
		trial->ok_since = now;
	if (verdict != PROA_HEALTH_FAIL)
		trial->fail_since = -1;
	else if (trial->fail_since < 0)
		trial->fail_since = now;

	if (trial->ok_since >= 0 && now - trial->ok_since >= trial->settle)
		return PROA_HEALTHY;
	if (trial->fail_since >= 0 && now - trial->fail_since >= trial->failing)
		return PROA_UNHEALTHY;
	/* Being right at the deadline is enough: the settling time may end after it. */
	if (now - trial->began >= trial->deadline && verdict != PROA_HEALTH_OK)
		return PROA_UNHEALTHY;
	return PROA_HEALTH_UNDECIDED;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* health: runs all checks until the node is healthy, or the deadline has passed. Configured in
 * health.conf(5). */
#pragma once

#include "boot/health/check.h"

#include <json-glib/json-glib.h>

#define PROA_HEALTH_CONFIG_NAME "health"
/* Below the run directory: what the checks said last (docs/formats.md, "Health"). */
#define PROA_HEALTH_REPORT_NAME "health.json"

/* The keys of health.conf; ends with a key whose group is NULL. (config.c) */
extern const ProaConfigKey proa_health_config_keys[];

/*
 * Runs every check once, each with its retries. *@ret is the worst: the node's own fault before one of
 * elsewhere, then FAIL before WAIT, then the first; or OK. *@ret_name names that check, or is NULL.
 * @ret_report (may be NULL): one object a check, in order, with "check", "verdict", "fault", "reason",
 * "detail" and "milliseconds"; free with json_array_unref().
 */
void proa_health_run(const ProaHealthContext *context, ProaHealthResult *ret, const char **ret_name,
	JsonArray **ret_report);

/* What the checks said, a line each, for a human; free with g_free(). */
char *proa_health_report_to_text(JsonArray *report);

/*
 * What becomes of a row of results over time. A node is healthy once all was OK for [health] settle;
 * unhealthy once a check said FAIL for [health] failing without a break, or when the deadline passes.
 *
 * What is not the node's fault does not end its trial: the trial goes on up to [health] elsewhere-limit, and
 * then ends as [health] elsewhere says. A fault of the node that shows after the deadline must last for
 * [health] failing. Times are seconds, from any start, never going back.
 */
typedef struct {
	gint64 deadline, settle, failing, limit; /* lengths */
	gboolean keep;                           /* what a trial that reaches the limit comes to */
	gint64 began;                            /* when the first check ran */
	gint64 ok_since, fail_since, node_since; /* -1: not now; node_since: not OK, and the node's fault */
	gboolean prolonged; /* the deadline passed while all that was wrong was elsewhere */
} ProaHealthTrial;

typedef enum {
	PROA_HEALTH_UNDECIDED,
	PROA_HEALTHY,
	PROA_UNHEALTHY,
} ProaHealthDecision;

void proa_health_trial_begin(ProaHealthTrial *trial, const ProaConfig *config, gint64 now);
/*
 * Adds what a round of checks came to. It began at @began and ended at @now (seconds): what was right then
 * has been right since the round began, but only another round shows that it stayed so, however long this one
 * took.
 */
ProaHealthDecision proa_health_trial_add(
	ProaHealthTrial *trial, ProaHealthVerdict verdict, ProaHealthFault fault, gint64 began, gint64 now);

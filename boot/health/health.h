/* SPDX-License-Identifier: Apache-2.0 */
/* health: runs all checks until the node is healthy, or the deadline has passed. Configured in
 * health.conf(5). */
#pragma once

#include "boot/health/check.h"

#define PROA_HEALTH_CONFIG_NAME "health"

/* The keys of health.conf; ends with a key whose group is NULL. */
extern const ProaConfigKey proa_health_config_keys[];

/* Runs every check once; *@ret is the first that is not OK (FAIL before WAIT), or OK. *@ret_name names that
 * check. */
void proa_health_run(const ProaHealthContext *context, ProaHealthResult *ret, const char **ret_name);

/*
 * What becomes of a row of results over time. A node is healthy once all was OK for [health] settle;
 * unhealthy once a check said FAIL for [health] failing without a break, or when the deadline passes. Times
 * are seconds, from any start, never going back.
 */
typedef struct {
	gint64 deadline, settle, failing; /* lengths */
	gint64 began;                     /* when the first check ran */
	gint64 ok_since, fail_since;      /* -1: not now */
} ProaHealthTrial;

typedef enum {
	PROA_HEALTH_UNDECIDED,
	PROA_HEALTHY,
	PROA_UNHEALTHY,
} ProaHealthDecision;

void proa_health_trial_begin(ProaHealthTrial *trial, const ProaConfig *config, gint64 now);
ProaHealthDecision proa_health_trial_add(ProaHealthTrial *trial, ProaHealthVerdict verdict, gint64 now);

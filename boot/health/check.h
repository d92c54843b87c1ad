/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: what a health check is. One file a check; the table of all is in health.c.
 *
 * A check says whether what it looks at is as it should be, may still become so, or will not by itself; and
 * whose fault that is: an API server or a network that is down for everyone is not a node's failure, and must
 * not cost a release its trial.
 */
#pragma once

#include "base/config.h"
#include "boot/systemd.h"

typedef enum {
	PROA_HEALTH_OK,
	PROA_HEALTH_WAIT, /* not yet; it may still become right */
	PROA_HEALTH_FAIL, /* it will not become right by itself */
} ProaHealthVerdict;

typedef enum {
	PROA_FAULT_OF_NODE,
	PROA_FAULT_OF_ELSEWHERE,
} ProaHealthFault;

/* detail is owned by the result; NULL for OK. */
typedef struct {
	ProaHealthVerdict verdict;
	ProaHealthFault fault;
	ProaReason reason;
	char *detail;
} ProaHealthResult;

typedef struct {
	const ProaConfig *config;
	ProaSystemd *systemd;
} ProaHealthContext;

typedef struct {
	const char *name;
	/* Fills in *@result, which comes in as OK; takes no longer than the check's own time limit in the
	 * configuration. */
	void (*run)(const ProaHealthContext *context, ProaHealthResult *result);
} ProaHealthCheck;

/* Sets a result that is not OK; takes @detail over. */
void proa_health_set(ProaHealthResult *result, ProaHealthVerdict verdict, ProaReason reason, char *detail);
void proa_health_result_clear(ProaHealthResult *result);

extern const ProaHealthCheck proa_health_units;
extern const ProaHealthCheck proa_health_containerd;

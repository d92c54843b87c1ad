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
	PROA_HEALTH_SKIPPED, /* switched off, or what it looks at is not on this node; as good as OK */
	PROA_HEALTH_WAIT,    /* not yet; it may still become right */
	PROA_HEALTH_FAIL,    /* it will not become right by itself */
} ProaHealthVerdict;

typedef enum {
	PROA_FAULT_OF_NODE,
	PROA_FAULT_OF_ELSEWHERE,
} ProaHealthFault;

/*
 * detail is owned by the result: one sentence; with OK a remark or NULL. reason and fault count only with
 * WAIT and FAIL.
 */
typedef struct {
	ProaHealthVerdict verdict;
	ProaHealthFault fault;
	ProaReason reason;
	char *detail;
} ProaHealthResult;

typedef struct {
	const ProaConfig *config;
	ProaSystemd *systemd;
	const char *root;   /* "" on a node; a test's root directory otherwise */
	GHashTable *memory; /* char * to char *: what checks remember from one round to the next; keys begin
			       with the name of the check */
	/* Called before whatever may take up to @seconds and some more: each try of a check, each program.
	 * NULL: nobody wants to know. */
	void (*begins)(gint64 seconds, gpointer data);
	gpointer begins_data;
} ProaHealthContext;

typedef struct {
	const char
		*name; /* also its group in health.conf, which has the keys timeout (but units) and retries */
	/* Fills in *@result, which comes in as OK; takes no longer than the check's own time limit in the
	 * configuration. */
	void (*run)(const ProaHealthContext *context, ProaHealthResult *result);
	/* Costs much or starts what others bring up: waits until the checks before it are right. */
	gboolean late;
} ProaHealthCheck;

/* Tells who runs the checks that a try of the check @name begins. */
void proa_health_begins(const ProaHealthContext *context, const char *name);

/* Whether a verdict stands in the way of nothing. */
gboolean proa_health_good(ProaHealthVerdict verdict);

/* Sets a result that is not OK and the node's fault; takes @detail over. */
void proa_health_set(ProaHealthResult *result, ProaHealthVerdict verdict, ProaReason reason, char *detail);

/* The same with WAIT, and not the node's fault. */
void proa_health_blame_elsewhere(ProaHealthResult *result, ProaReason reason, char *detail);

/* Sets SKIPPED; @why is copied. */
void proa_health_skip(ProaHealthResult *result, const char *why);

void proa_health_result_clear(ProaHealthResult *result);

/* The units that wait for elsewhere, by [units] elsewhere=; free with g_strfreev(). Never NULL. */
char **proa_health_units_elsewhere(const ProaConfig *config);

/* Whether what [disk] writable= names can be written to now, wherever this boot's /etc lies. */
void proa_health_disk_paths(const ProaHealthContext *context, ProaHealthResult *result);

extern const ProaHealthCheck proa_health_units;
extern const ProaHealthCheck proa_health_disk;
extern const ProaHealthCheck proa_health_containerd;
extern const ProaHealthCheck proa_health_kubelet;
extern const ProaHealthCheck proa_health_network;
extern const ProaHealthCheck proa_health_time;
extern const ProaHealthCheck proa_health_canary;
extern const ProaHealthCheck proa_health_node_ready;
extern const ProaHealthCheck proa_health_programs;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: the agent itself, without the bus: timers, calls and children in, decisions of machine.h out.
 *
 * One transaction at a time. Everything runs on one sd-event loop and nothing blocks but small file reads.
 */
#pragma once

#include "agent/status.h"

typedef struct ProaNode ProaNode;

typedef struct {
	/* A transaction goes on; done and total are 0 when a phase begins. */
	void (*progress)(const char *phase, guint64 done, guint64 total, gpointer data);
	/* A transaction is over; @detail is proa_outcome_to_json(). */
	void (*finished)(ProaOperation operation, const ProaOutcome *outcome, JsonObject *detail, gpointer data);
	/* Something that a property shows has changed. */
	void (*changed)(gpointer data);
	/* Asks the system manager to reboot. */
	gboolean (*reboot)(gpointer data, GError **error);
} ProaNodeWatcher;

/*
 * Makes the agent and heals what an interrupted transaction left; proa_node_start() sets it going. @paths, @watcher and
 * @event must outlive it.
 */
ProaNode *proa_node_new(sd_event *event, const ProaPaths *paths, const ProaNodeWatcher *watcher, gpointer data);
void proa_node_free(ProaNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaNode, proa_node_free)

/* Plans the next check, watches the state files and asks proa-bootd. */
void proa_node_start(ProaNode *node);

/*
 * Operators' calls. They return at once; finished() tells the end. Refusals (BUSY, TRIAL_BOOT, USAGE) and a child that
 * cannot be started are errors here. @version NULL or "" is the newest, or the other slot's.
 */
gboolean proa_node_check(ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_node_update(ProaNode *node, const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_node_rollback(ProaNode *node, const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reboots; @who is told to the history ("asked for by uid 0"). */
gboolean proa_node_reboot(ProaNode *node, const char *who, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Stops what is under way; no error if nothing is. */
gboolean proa_node_cancel(ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether a child is at work. */
gboolean proa_node_busy(const ProaNode *node);

/* Called with the status document (owned by the caller of the callback) once proa-bootd has answered, or could not. */
typedef void (*ProaNodeStatus)(JsonObject *status, gpointer data);

/* How many may wait for the status at once. */
#define PROA_NODE_MAX_WAITERS 64

/* Asks for the status; proa-bootd is asked by one child at a time, whoever asks meanwhile gets that answer. BUSY when too many wait. */
gboolean proa_node_status(ProaNode *node, ProaNodeStatus answer, gpointer data, GError **error)
	G_GNUC_WARN_UNUSED_RESULT;

/* Reads the configuration again and plans anew. */
void proa_node_reload(ProaNode *node);

/* For properties: what was seen last. "" where nothing is known. Valid until the next turn of the loop. */
const char *proa_node_state(const ProaNode *node);
const char *proa_node_version(const ProaNode *node);
const char *proa_node_root_hash(const ProaNode *node);
const char *proa_node_slot(const ProaNode *node);
const char *proa_node_staged_version(const ProaNode *node);
gint64 proa_node_last_check(const ProaNode *node); /* seconds since 1970; 0: never */
const char *proa_node_last_check_result(const ProaNode *node);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: the agent itself, without the bus: timers, calls and children in, decisions of machine.h out.
 *
 * One transaction at a time. Everything runs on one sd-event loop and nothing blocks but small file reads.
 */
#pragma once

#include "agent/status.h"

typedef struct ProaAgent ProaAgent;

typedef struct {
	/* A transaction goes on; done and total are 0 when a phase begins. */
	void (*progress)(const char *phase, guint64 done, guint64 total, gpointer data);
	/* A transaction is over; @detail is proa_outcome_to_json(). */
	void (*finished)(
		ProaOperation operation, const ProaOutcome *outcome, JsonObject *detail, gpointer data);
	/* Something that a property shows has changed. */
	void (*changed)(gpointer data);
	/* Asks the system manager to reboot. */
	gboolean (*reboot)(gpointer data, GError **error);
} ProaAgentWatcher;

/*
 * Makes the agent and heals what an interrupted transaction left; proa_agent_start() sets it going. @paths,
 * @watcher and
 * @event must outlive it.
 */
ProaAgent *proa_agent_new(
	sd_event *event, const ProaPaths *paths, const ProaAgentWatcher *watcher, gpointer data);
void proa_agent_free(ProaAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaAgent, proa_agent_free)

/* Plans the next check, watches the state files and asks proa-bootd. */
void proa_agent_start(ProaAgent *agent);

/*
 * Operators' calls. They return at once; finished() tells the end. Refusals (BUSY, TRIAL_BOOT, USAGE) and a
 * child that cannot be started are errors here. @version NULL or "" is the newest, or the other slot's.
 * What only looks (a check, an update that has no offer yet) is cancelled for a rollback or a decision, which
 * then follows.
 */
gboolean proa_agent_check(ProaAgent *agent, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_agent_update(ProaAgent *agent, const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_agent_rollback(ProaAgent *agent, const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * An operator's word about @release (NULL or "": the one that the operation means by itself): @operation is
 * one of CHECK_ROLLBACK, BLESS, REJECT, UNREJECT, PIN, UNPIN.
 */
gboolean proa_agent_decide(ProaAgent *agent, ProaOperation operation, const char *release,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reboots; @who is told to the history ("asked for by uid 0"). */
gboolean proa_agent_reboot(ProaAgent *agent, const char *who, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Stops what is under way; no error if nothing is. */
gboolean proa_agent_cancel(ProaAgent *agent, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether a child is at work. */
gboolean proa_agent_busy(const ProaAgent *agent);

/* Called with the status document (owned by the caller of the callback) once proa-bootd has answered, or
 * could not. */
typedef void (*ProaAgentStatus)(JsonObject *status, gpointer data);

/* How many may wait for the status at once. */
#define PROA_AGENT_MAX_WAITERS 64

/* Asks for the status; proa-bootd is asked by one child at a time, whoever asks meanwhile gets that answer.
 * BUSY when too many wait. */
gboolean proa_agent_status(
	ProaAgent *agent, ProaAgentStatus answer, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the configuration again and plans anew. */
void proa_agent_reload(ProaAgent *agent);

/* For properties: what was seen last. "" where nothing is known. Valid until the next turn of the loop. */
const char *proa_agent_state(const ProaAgent *agent);
const char *proa_agent_version(const ProaAgent *agent);
const char *proa_agent_root_hash(const ProaAgent *agent);
const char *proa_agent_slot(const ProaAgent *agent);
const char *proa_agent_staged_version(const ProaAgent *agent);
gint64 proa_agent_last_check(const ProaAgent *agent); /* seconds since 1970; 0: never */
const char *proa_agent_last_check_result(const ProaAgent *agent);

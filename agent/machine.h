/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: the state machine of the agent (docs/architecture.md): in a state, on an event, what is done.
 *
 * The states are those of base/state.h. proa-install moves the node to staging and staged, proa-bootd to
 * trial, good and fallen-back: they see it happen. The agent reads the state and decides what to start; it
 * changes the state only where a transaction died without cleaning up after itself.
 *
 *            timer, check, update            done                 reboot            healthy
 *   idle ----------------------> staging ----------> staged ------------> trial -----------> good
 *   good         ^                  |                  |                    |
 *   fallen-back  +------------------+                  | rollback           | gave up
 *                    failed, cancelled                 v                    v
 *                                                 idle, good           fallen-back
 */
#pragma once

#include "base/reason.h"
#include "base/state.h"

/* What moves the agent. */
typedef enum {
	PROA_EVENT_TIMER,      /* the time of the next check has come */
	PROA_EVENT_CHECK,      /* an operator asks what the feed offers */
	PROA_EVENT_UPDATE,     /* an operator asks for an update */
	PROA_EVENT_ROLLBACK,   /* an operator asks for the other slot */
	PROA_EVENT_REBOOT,     /* an operator asks for a reboot */
	PROA_EVENT_REBOOT_DUE, /* the time of an automatic reboot has come */
	PROA_EVENT_DECIDE,     /* an operator says something of a release: bless, reject, pin ... */
	PROA_EVENT_CANCEL,     /* an operator stops what is under way */
	_PROA_EVENT_MAX,
} ProaEvent;

/* What the agent does about it. */
typedef enum {
	PROA_ACT_NOTHING,
	PROA_ACT_REFUSE,
	PROA_ACT_CHECK,    /* start proa-install --check */
	PROA_ACT_INSTALL,  /* start proa-install */
	PROA_ACT_ROLLBACK, /* start proa-bootd rollback */
	PROA_ACT_DECIDE,   /* start proa-bootd with the operator's verb */
	PROA_ACT_REBOOT,
	PROA_ACT_CANCEL,    /* tell the child to stop */
	PROA_ACT_SUPERSEDE, /* tell it to stop, and do what was asked for when it has */
} ProaAct;

/* [update] automatic= */
typedef enum {
	PROA_AUTOMATIC_NO,
	PROA_AUTOMATIC_CHECK_ONLY,
	PROA_AUTOMATIC_YES,
	_PROA_AUTOMATIC_INVALID = -EINVAL,
} ProaAutomatic;

ProaAutomatic proa_automatic_from_string(const char *word);

typedef struct {
	ProaStateKind state;
	gboolean busy; /* a child is at work, whichever */
	ProaAutomatic automatic;
	gboolean reboot_automatic; /* [update] reboot=automatic, and the release was staged since this boot */
	gboolean yields; /* the child only looks, and an operator's word is not kept waiting for it */
} ProaFacts;

/* What to do on @event. With PROA_ACT_REFUSE, *@ret_reason says why; otherwise it is untouched. */
ProaAct proa_machine_decide(const ProaFacts *facts, ProaEvent event, ProaReason *ret_reason);

/* The state of a node on which no transaction is under way any more and nothing is staged: good if the booted
 * release is blessed. */
ProaStateKind proa_machine_rest(const ProaState *state);

/*
 * The state that the node is in, given what state.json says and whether a transaction is under way: the file
 * says staging only as long as someone stages.
 */
ProaStateKind proa_machine_view(const ProaState *state, gboolean staging);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle: what the last boot came to. state.json says what was to be tried, the running root what came of it;
 * the entries' counters and the evidence on the ESP say why.
 *
 * A release has failed if evidence on the ESP names it; or if it was staged or on trial, another runs, and
 * its entry has no tries left; or if its entry is set aside and nothing remembers why (state.json was lost).
 * A staged release whose entry still has tries simply waits on.
 */
#pragma once

#include "boot/node.h"

typedef struct {
	ProaStateKind kind;      /* the state that the node is in now */
	gboolean fell_back;      /* a release failed and was left */
	ProaStateRelease failed; /* which; members are NULL if none */
	char *reason, *detail;   /* why; detail may be NULL */
	gboolean unrecorded;     /* /var did not take it: settle again when it does */
} ProaSettled;

/* The kernel's identifier of this boot; free with g_free(). */
char *proa_boot_id(void);

/* The boot entries and their counters, a line each, for the black box; free with g_free(). */
char *proa_boot_entries_text(const ProaNode *node);

void proa_settled_free(ProaSettled *settled);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSettled, proa_settled_free)

/*
 * Settles the last boot, once a boot (a file in the run directory says that it was done): updates state.json,
 * rejected.json, history.jsonl and blackbox/, and removes the evidence from the ESP last of all, so that a
 * power cut between repeats rather than loses it. NULL with IO. A call after the first returns what
 * state.json says.
 */
ProaSettled *proa_settle(ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

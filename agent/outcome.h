/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome: what a child said, line by line, folded into one answer.
 *
 * The lines are those of docs/architecture.md, "Programs: how they speak with each other". Whatever a child
 * does (says nothing, lies about numbers, dies), proa_outcome_close() leaves an answer: ok, or a reason with
 * a message.
 */
#pragma once

#include "base/reason.h"

#include <json-glib/json-glib.h>

/* What ends the work of a child well. */
typedef enum {
	PROA_EXPECT_OFFER, /* proa-install --check */
	PROA_EXPECT_DONE,  /* proa-install, proa-bootd rollback */
} ProaExpect;

/* What a line changed. */
typedef enum {
	PROA_CHANGE_NOTHING, /* an event that is unknown or malformed */
	PROA_CHANGE_PHASE,
	PROA_CHANGE_PROGRESS,
	PROA_CHANGE_OFFER,
	PROA_CHANGE_DONE,
	PROA_CHANGE_ERROR,
} ProaChange;

typedef struct {
	char *phase;         /* a word such as "fetch"; NULL: none yet */
	guint64 done, total; /* bytes of this phase; done is never over total; 0 and 0: not known */

	gboolean has_offer, has_done, has_error;
	char *version, *root_hash;             /* of the offer, then of what was done; NULL: not said */
	char *slot, *result;                   /* of what was done; NULL: not said */
	char *note;                            /* a sentence that belongs to it; NULL: none */
	guint64 bytes;                         /* to download, as offered */
	gint64 root_size, tree_size, uki_size; /* what it takes on the disk, as offered; 0: not said */
	gint64 until; /* it is to be tried again then, seconds since 1970; 0: not said */

	/* Settled by proa_outcome_close(). */
	gboolean ok;
	ProaReason reason;    /* if not ok */
	char *message, *hint; /* if not ok; never NULL then */
} ProaOutcome;

ProaOutcome *proa_outcome_new(void);
void proa_outcome_free(ProaOutcome *outcome);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaOutcome, proa_outcome_free)

/* Takes one line of the child. */
ProaChange proa_outcome_take(ProaOutcome *outcome, JsonObject *line);

/*
 * The child named @program ended: @code and @status are si_code and si_status of waitid(2). @cancelled: we
 * told it to stop.
 * @last_words is the last line of its standard error, or NULL. A child that said how it ended is believed;
 * one that ended without a word gets CANCELLED or INTERNAL and a message that tells what is known.
 */
void proa_outcome_close(ProaOutcome *outcome, ProaExpect expect, const char *program, int code, int status,
	gboolean cancelled, const char *last_words);

/* Settles an outcome that no child had a part in: it failed with @error. */
void proa_outcome_fail(ProaOutcome *outcome, const GError *error);

/*
 * The answer as JSON: {"ok":true,"operation":..., "result", "version", "root_hash", "slot", "bytes" as far as
 * said, "exit":0} or {"ok":false,"operation":...,"reason":...,"message":...,"hint":..., "until" if said,
 * "exit":N}.
 */
JsonObject *proa_outcome_to_json(const ProaOutcome *outcome, const char *operation);

/* The exit status that goes with the answer. */
ProaExit proa_outcome_exit(const ProaOutcome *outcome);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction: a run of proa-install or `proa-bootd rollback`, from the command line to the outcome.
 *
 * The process holds the lock, touches the disk and decides what is refused; this only starts it, listens and
 * can tell it to stop.
 */
#pragma once

#include "agent/outcome.h"
#include "agent/paths.h"

#include <systemd/sd-event.h>

typedef enum {
	PROA_OPERATION_CHECK,          /* proa-install --check */
	PROA_OPERATION_UPDATE,         /* proa-install */
	PROA_OPERATION_ROLLBACK,       /* proa-bootd rollback */
	PROA_OPERATION_CHECK_ROLLBACK, /* proa-bootd check-rollback */
	/* An operator's word about a release: the verbs of proa-bootd that are called the same. */
	PROA_OPERATION_BLESS,
	PROA_OPERATION_REJECT,
	PROA_OPERATION_UNREJECT,
	PROA_OPERATION_PIN,
	PROA_OPERATION_UNPIN,
	PROA_OPERATION_PLAN_ROLLBACK, /* proa-bootd plan-rollback: proa's alone, not on the bus */
	_PROA_OPERATION_MAX,
} ProaOperation;

/* "check", "update", "rollback", "check-rollback", "bless" ...: on the command line, in signals and in JSON.
 */
const char *proa_operation_to_string(ProaOperation operation);

/* The operation of that word; _PROA_OPERATION_MAX if there is none. */
ProaOperation proa_operation_from_string(const char *word);

/* Whether it asks the feed, and so counts as a check. */
gboolean proa_operation_asks_feed(ProaOperation operation);

/* Whether it may take a while: who asked is told that it began, and later how it ended. The others rename
 * some files. */
gboolean proa_operation_is_long(ProaOperation operation);

typedef struct ProaTransaction ProaTransaction;

typedef struct {
	/* A line changed the outcome; may be NULL. */
	void (*changed)(ProaTransaction *transaction, ProaChange change, gpointer data);
	/* It is over, the outcome is settled. The transaction may be freed in here. */
	void (*ended)(ProaTransaction *transaction, gpointer data);
} ProaTransactionWatcher;

/*
 * Starts it. @version as in `--to`: NULL or "" for the newest (update, check) or for the other slot's
 * (rollback). @unattended: nobody asked for it, and an update is held back where it may wait.
 * @watcher must outlive the transaction. USAGE if @version is no version; otherwise as proa_child_start().
 */
ProaTransaction *proa_transaction_start(sd_event *event, const ProaPaths *paths, ProaOperation operation,
	const char *version, gboolean unattended, const ProaTransactionWatcher *watcher, gpointer data,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Frees it; one that still runs is killed. */
void proa_transaction_free(ProaTransaction *transaction);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaTransaction, proa_transaction_free)

/* Tells it to stop; ended() follows, with CANCELLED unless it was done before it heard. */
void proa_transaction_cancel(ProaTransaction *transaction);

ProaOperation proa_transaction_operation(const ProaTransaction *transaction);
const ProaOutcome *proa_transaction_outcome(const ProaTransaction *transaction);

/* Seconds since 1970. */
gint64 proa_transaction_started(const ProaTransaction *transaction);

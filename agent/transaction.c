/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transaction.h"

#include "agent/child.h"
#include "agent/jsonl.h"
#include "agent/text.h"
#include "base/version.h"

#include <string.h>

/* A rollback renames two files; a check loads a few small ones and may wait for a slow server. Seconds. */
#define ROLLBACK_TIME_LIMIT 60
#define CHECK_TIME_LIMIT 600
/* The whole slot is read. */
#define SCRUB_TIME_LIMIT 3600

typedef struct {
	const char *word;
	const char *program;
	const char *verb;
	ProaExpect expect;
	guint time_limit; /* an update has none: a slow network is proa-fetch's to judge */
} Kind;

static const Kind kinds[_PROA_OPERATION_MAX] = {
	[PROA_OPERATION_CHECK] = { "check", "proa-install", "--check", PROA_EXPECT_OFFER, CHECK_TIME_LIMIT },
	[PROA_OPERATION_UPDATE] = { "update", "proa-install", NULL, PROA_EXPECT_DONE, 0 },
	[PROA_OPERATION_ROLLBACK] = { "rollback", "proa-bootd", "rollback", PROA_EXPECT_DONE,
		ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_CHECK_ROLLBACK] = { "check-rollback", "proa-bootd", "check-rollback",
		PROA_EXPECT_DONE, SCRUB_TIME_LIMIT },
	[PROA_OPERATION_BLESS] = { "bless", "proa-bootd", "bless", PROA_EXPECT_DONE, ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_REJECT] = { "reject", "proa-bootd", "reject", PROA_EXPECT_DONE, ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_UNREJECT] = { "unreject", "proa-bootd", "unreject", PROA_EXPECT_DONE,
		ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_PIN] = { "pin", "proa-bootd", "pin", PROA_EXPECT_DONE, ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_PLAN_ROLLBACK] = { "plan-rollback", "proa-bootd", "plan-rollback", PROA_EXPECT_DONE,
		ROLLBACK_TIME_LIMIT },
	[PROA_OPERATION_UNPIN] = { "unpin", "proa-bootd", "unpin", PROA_EXPECT_DONE, ROLLBACK_TIME_LIMIT },
};

struct ProaTransaction {
	ProaOperation operation;
	ProaOutcome *outcome;
	ProaJsonl *lines;
	ProaChild *child;
	gint64 started;
	gboolean cancelled;
	const ProaTransactionWatcher *watcher;
	gpointer data;
};

const char *proa_operation_to_string(ProaOperation operation)
{
	return kinds[operation].word;
}

ProaOperation proa_operation_from_string(const char *word)
{
	int i = 0;

	while (i < _PROA_OPERATION_MAX && strcmp(kinds[i].word, word) != 0)
		i++;
	return (ProaOperation)i;
}

gboolean proa_operation_asks_feed(ProaOperation operation)
{
	return operation == PROA_OPERATION_CHECK || operation == PROA_OPERATION_UPDATE;
}

gboolean proa_operation_is_long(ProaOperation operation)
{
	return proa_operation_asks_feed(operation) || operation == PROA_OPERATION_CHECK_ROLLBACK;
}

static void on_line(JsonObject *object, gpointer data)
{
	ProaTransaction *transaction = data;
	ProaChange change = proa_outcome_take(transaction->outcome, object);

	if (change != PROA_CHANGE_NOTHING && transaction->watcher->changed)
		transaction->watcher->changed(transaction, change, transaction->data);
}

static void on_output(const char *bytes, gsize size, gpointer data)
{
	ProaTransaction *transaction = data;

	proa_jsonl_feed(transaction->lines, bytes, size);
}

static void on_ended(int code, int status, const char *last_words, gpointer data)
{
	ProaTransaction *transaction = data;
	const Kind *kind = &kinds[transaction->operation];

	proa_jsonl_end(transaction->lines);
	proa_outcome_close(transaction->outcome, kind->expect, kind->program, code, status,
		transaction->cancelled, last_words);
	transaction->watcher->ended(transaction, transaction->data);
}

static const ProaChildWatcher child_watcher = { on_output, on_ended };

ProaTransaction *proa_transaction_start(sd_event *event, const ProaPaths *paths, ProaOperation operation,
	const char *version, gboolean unattended, const ProaTransactionWatcher *watcher, gpointer data,
	GError **error)
{
	const Kind *kind = &kinds[operation];
	const char *verb = unattended && operation == PROA_OPERATION_UPDATE ? "--unattended" : kind->verb;

	/* It becomes an argument of a program: nothing that could be taken for an option passes. */
	if (version && *version && !proa_version_valid(version)) {
		g_autofree char *safe = proa_text_safe(version);
		proa_fail(error, PROA_REASON_USAGE, "\"%s\" is not a version", safe);
		return NULL;
	}
	g_auto(GStrv) argv = proa_paths_command(paths, kind->program, verb, version);
	g_autoptr(ProaTransaction) transaction = g_new0(ProaTransaction, 1);

	transaction->operation = operation;
	transaction->outcome = proa_outcome_new();
	transaction->lines = proa_jsonl_new(on_line, transaction);
	transaction->started = g_get_real_time() / G_USEC_PER_SEC;
	transaction->watcher = watcher;
	transaction->data = data;
	transaction->child = proa_child_start(
		event, (const char *const *)argv, kind->time_limit, &child_watcher, transaction, error);
	return transaction->child ? g_steal_pointer(&transaction) : NULL;
}

void proa_transaction_free(ProaTransaction *transaction)
{
	g_clear_pointer(&transaction->child, proa_child_free);
	g_clear_pointer(&transaction->lines, proa_jsonl_free);
	g_clear_pointer(&transaction->outcome, proa_outcome_free);
	g_free(transaction);
}

void proa_transaction_cancel(ProaTransaction *transaction)
{
	transaction->cancelled = TRUE;
	proa_child_stop(transaction->child);
}

ProaOperation proa_transaction_operation(const ProaTransaction *transaction)
{
	return transaction->operation;
}

const ProaOutcome *proa_transaction_outcome(const ProaTransaction *transaction)
{
	return transaction->outcome;
}

gint64 proa_transaction_started(const ProaTransaction *transaction)
{
	return transaction->started;
}

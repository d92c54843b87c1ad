/* SPDX-License-Identifier: Apache-2.0 */
/* client: proa's side of org.proa.Node1: calls to proad over the system bus. */
#pragma once

#include "agent/cli/progress.h"
#include "agent/transaction.h"

typedef struct ProaClient ProaClient;

/* Connects to the system bus. NO_AGENT if there is none. */
ProaClient *proa_client_open(GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_client_free(ProaClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaClient, proa_client_free)

/* The status document. Errors: NO_AGENT if proad does not answer, or what it answered. */
JsonObject *proa_client_status(ProaClient *client, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Calls a method without result: "Reboot", or "Update" with @version (NULL: a method without arguments). */
gboolean proa_client_call(ProaClient *client, const char *method, const char *version,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Starts @operation and waits for its end, drawing @progress. SIGINT and SIGTERM cancel it; a second one
 * leaves it to proad. Returns what proa_outcome_to_json() said of it. On NULL, *@ret_started tells whether
 * proad had taken it: only if it had not may the caller do it another way.
 */
JsonObject *proa_client_operate(ProaClient *client, ProaOperation operation, const char *version,
	ProaProgress *progress, gboolean *ret_started, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: the one document that tells how the node is: what proa-bootd sees (slots and boot entries), what
 * the state files remember, what the configuration asks for and what is under way. Its members are described
 * in org.proa.Node1(5).
 */
#pragma once

#include "agent/settings.h"
#include "agent/transaction.h"

typedef struct {
	const ProaPaths *paths;
	const ProaSettings *settings;
	JsonObject *bootd;              /* the answer of `proa-bootd status`; NULL: none */
	const GError *bootd_error;      /* why there is none; may be NULL */
	gboolean agent;                 /* the document is written by proad */
	const ProaTransaction *running; /* may be NULL */
	gint64 next_check, next_reboot; /* seconds since 1970; 0: none planned */
	gint64 waits_until;             /* the release offered waits for that time; 0: none does */
} ProaStatusFacts;

/* Reads the state files and builds the document. Never fails: what cannot be read is told in its "problems".
 */
JsonObject *proa_status_build(const ProaStatusFacts *facts);

/* The member "rejected" alone: what rejected.json remembers, newest last. Errors as proa_rejected_load(). */
JsonArray *proa_status_rejected(const ProaPaths *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;

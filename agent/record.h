/* SPDX-License-Identifier: Apache-2.0 */
/* record: what the agent itself writes into the state: checks, and transactions that died without a word. */
#pragma once

#include "agent/outcome.h"
#include "agent/transaction.h"
#include "base/state.h"

/*
 * Records in state.json when and how a check ended (an update checks too), unless proa-install has done so
 * itself since
 * @started. A check that ended well is "ok", with the version offered. CANCELLED and BUSY are no checks and
 * are not recorded.
 */
gboolean proa_record_check(const ProaPaths *paths, const ProaOutcome *outcome, gint64 started,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether a transaction is writing the other slot: state.json says so, and a proa-install holds the lock. */
gboolean proa_record_staging(const ProaPaths *paths, const ProaState *state);

/*
 * If state.json says staging though no proa-install holds the lock, the one that wrote so died: puts the
 * state back to what runs, and tells the history. Nothing is armed then: arming is the transaction's last
 * step. Sets *@ret_healed (may be NULL).
 */
gboolean proa_record_interrupted(
	const ProaPaths *paths, gboolean *ret_healed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The root hash that was staged when the agent first looked in this boot; "" if none was. Kept in the run
 * directory, which does not outlive the boot: clocks, which may be wrong at boot, have no part in it. Free
 * with g_free().
 */
char *proa_record_staged_at_boot(const ProaPaths *paths, const ProaState *state);

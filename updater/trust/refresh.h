/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refresh: the client workflow of TUF 5.1 to 5.6, in the specification's order and with its step numbers
 * (those of version 1.0.34). trust.c is its only caller; this header is the inside of a client.
 */
#pragma once

#include "updater/trust/root.h"
#include "updater/trust/snapshot.h"
#include "updater/trust/store.h"
#include "updater/trust/targets.h"
#include "updater/trust/timestamp.h"

/* Roots fetched in one refresh (Y of TUF 5.3.3); the next refresh goes on where this one ended. */
#define PROA_REFRESH_MAX_ROOTS 256
/* How far the system clock may be behind a time that is proven before it counts as unusable. Seconds. */
#define PROA_REFRESH_CLOCK_SLACK (24 * 60 * 60)

struct ProaTrust {
	ProaStore *store;
	gint64 build_time;
	ProaTrustFetch fetch; /* NULL before the first refresh */
	gpointer fetch_data;

	ProaRoot *root;           /* never NULL once open */
	ProaTimestamp *timestamp; /* trusted, perhaps expired; NULL: none */
	ProaSnapshot *snapshot;   /* the same */
	GHashTable *targets;      /* role name to ProaTargets, all verified in the current refresh */
	GPtrArray *retired; /* ProaTargets replaced in it: who asked earlier may still hold their parts */
	gboolean fresh;     /* the last refresh succeeded */

	gint64 clock; /* the fixed update start time (TUF 5.1) by the system clock, seconds since 1970 */
	gint64 accept_stale; /* until then an operator accepts expired metadata; 0: never */
	gboolean was_stale;  /* and that was made use of */
	gint64 now;          /* what expiry is judged against: the latest time that is known to have been */
};

/* TUF 5.2: the shipped root, then what the store's history adds to it. Sets root. */
gboolean proa_refresh_load_root(
	ProaTrust *trust, const char *shipped_root_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* TUF 5.1 and 5.3 to 5.6.6. */
gboolean proa_refresh_run(ProaTrust *trust, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The short way of an idle poll: *@ret_news FALSE if the timestamp is the trusted one and all that is stored
 * holds. */
gboolean proa_refresh_poll(ProaTrust *trust, gboolean *ret_news, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The targets metadata of @role, which @keys must have signed: from memory, from the store, or fetched
 * (TUF 5.6.1 to 5.6.6). Memory is verified against @keys too: another role may delegate to the same name with
 * other keys.
 */
ProaTargets *proa_refresh_targets(ProaTrust *trust, const char *role, const ProaRoleKeys *keys,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Frees all targets metadata in memory. */
void proa_refresh_forget_targets(ProaTrust *trust);

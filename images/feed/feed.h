/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: the directory that a static HTTP server serves (docs/formats.md, "Feed"), seen from the publisher.
 * What the publisher alone needs lies in .proa-feed/: the lock, pending.json with the targets added but not
 * yet published, drafts that wait for signatures (change.h), and the journal of what is being brought out
 * (commit.h).
 */
#pragma once

#include "updater/trust/root.h"
#include "updater/trust/snapshot.h"
#include "updater/trust/targets.h"
#include "updater/trust/timestamp.h"

#define PROA_FEED_OURS ".proa-feed"
/* The name of the change (change.h) that a feed begins with. */
#define PROA_FEED_FIRST_CHANGE "init"

/* How long what is signed now stays valid. Seconds. */
typedef struct {
	gint64 of[_PROA_ROLE_MAX];
} ProaLifetimes;

/* timestamp 1 day, snapshot 7 days, targets 90 days, root 365 days. */
void proa_lifetimes_defaults(ProaLifetimes *lifetimes);

/* "90", "90s", "5min", "6h", "2d" or "1w", 1 second to 20 years; FALSE if it is none of these. */
gboolean proa_lifetime_parse(const char *text, gint64 *ret_seconds);

typedef struct {
	char *dir;
	int lock_fd; /* -1: opened for reading */
	/* The newest metadata, each verified as a client would, but not for expiry. */
	ProaRoot *root;
	ProaTimestamp *timestamp;
	ProaSnapshot *snapshot;
	ProaTargets *targets;
	GHashTable *channels; /* name to ProaTargets: the delegated roles; owns both */
	JsonObject *pending;  /* target path to target object: added, not yet published */
} ProaFeed;

/*
 * Opens the feed @dir. With @write it holds the feed's lock until freed; BUSY if another holds it. NOT_FOUND
 * if there is no feed, BAD_METADATA and the like if its metadata does not hold together.
 */
ProaFeed *proa_feed_open(const char *dir, gboolean write, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for writing, and also for a feed whose first metadata still waits for signatures: that one has
 * drafts, and neither root nor anything else.
 */
ProaFeed *proa_feed_open_drafts(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_feed_free(ProaFeed *feed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaFeed, proa_feed_free)

/*
 * Opens the directory @dir, made if need be, for a feed that is to be made in it: no metadata yet, and the
 * lock is held. BAD_STATE if @dir already holds a feed.
 */
ProaFeed *proa_feed_create(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A path below the feed; free with g_free(). */
char *proa_feed_path(const ProaFeed *feed, const char *name);

/* Replaces @name below the feed durably, readable by all. */
gboolean proa_feed_write(
	const char *dir, const char *name, GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Saves pending; an empty one is removed. */
gboolean proa_feed_save_pending(const ProaFeed *feed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

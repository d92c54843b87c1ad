/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit: brings a change out, whole or not at all. A reader never sees half a feed: files with a version in
 * their name come first, and timestamp.json, which makes them the newest, after them. All of it is written to
 * a journal
 * (.proa-feed/commit) first; the rename of the journal is the commit point, and whoever opens the feed next
 * finishes what a crash after it left undone. A crash before it leaves the old feed.
 */
#pragma once

#include "images/feed/change.h"

/*
 * Makes a timestamp, and a snapshot if one is due, and brings them out with the drafts of @change, which
 * every holder has signed (proa_change_needs() is empty). What of the pending targets is out then is
 * forgotten. NOT_FOUND if the keys of timestamp, or of a snapshot that must be made, are not among @signers.
 */
gboolean proa_commit(ProaChange *change, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Finishes what a crash left undone in the feed @dir. To be called under its lock, before it is read. */
gboolean proa_commit_recover(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether what expires then and lived so long is to be signed anew. */
gboolean proa_commit_nears_expiry(const ProaRoleHead *head, gint64 lifetime);

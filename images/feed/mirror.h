/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: a copy of a feed, or of what one channel needs, that serves nodes as the original does. */
#pragma once

#include "images/feed/walk.h"

typedef struct {
	gboolean trees; /* OSTree trees too */
	gboolean prune; /* remove what the feed no longer names */
} ProaMirrorOptions;

typedef struct {
	guint files;   /* that the mirror holds for releases */
	guint fetched; /* of them fetched now */
	guint damaged; /* of these, those that were there, but not what is signed for */
	gint64 bytes;  /* fetched */
	guint trees;   /* that it holds; a feed need not have those of its releases */
	guint removed; /* files */
	gint64 freed;  /* bytes of them */
} ProaMirrored;

/*
 * Makes @dir a mirror of the walk's feed, or brings it up to date: content and trees first, each file
 * verified before it gets its name and read again whenever it is there already, then all metadata at once
 * (exchange.h). Only then is anything removed. Killed at any place, it leaves the old mirror or the new one,
 * and the next run goes on. Every root from the first on stays. The walk must have no problems
 * (METADATA_MISMATCH otherwise). BAD_STATE if @dir is a feed that is published from or a mirror of another
 * feed, METADATA_ROLLBACK if it is newer, BUSY if another mirrors into it.
 */
gboolean proa_mirror_run(ProaWalk *walk, const char *dir, const ProaMirrorOptions *options,
	ProaMirrored *ret_mirrored, GError **error) G_GNUC_WARN_UNUSED_RESULT;

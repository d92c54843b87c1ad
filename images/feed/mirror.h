/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: a copy of a feed, or of what one channel needs, that serves nodes as the original does. */
#pragma once

#include "images/feed/walk.h"

typedef struct {
	guint files;   /* that the mirror holds for releases */
	guint fetched; /* of them fetched now */
	gint64 bytes;  /* fetched */
} ProaMirrored;

/*
 * Makes @dir a mirror of the walk's feed, or brings it up to date: content first, then metadata with a
 * version in its name, then timestamp.json; each file verified before it gets its name. The walk must have no
 * problems (METADATA_MISMATCH otherwise). Files of releases that are gone are left; OSTree trees are not
 * copied.
 */
gboolean proa_mirror_run(ProaWalk *walk, const char *dir, ProaMirrored *ret_mirrored,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

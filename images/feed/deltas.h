/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deltas: makes the delta payloads of a release, from those added before it, beside its other files; they are
 * then taken into the feed as the rest is. The feed remembers where the image of each release lies on this
 * machine
 * (.proa-feed/images.json), since it holds none itself.
 */
#pragma once

#include "images/feed/feed.h"

/* How many releases back deltas are made from, unless the publisher says otherwise, and at most. */
#define PROA_DELTAS_DEFAULT 5
#define PROA_DELTAS_MAX 100

/*
 * Makes RELEASE_DIR/root.<first 16 digits of the old root hash>.delta from each of the last @count releases
 * of
 * @channel that are older and whose image is still there; those that are missing are told on standard error.
 * The same of the UKI: RELEASE_DIR/uki.full, and from each
 * of those releases uki.<16 digits>.delta or, where the kernel changed, uki.<16 digits>.kernel.
 * One from an older release that can't be made is told, too, and the others are made; only IO fails.
 * What is there already is left alone. Remembers this release's image as well. @feed is open for
 * writing. Fails with BAD_MANIFEST, BAD_STATE (images.json), IO, or as proa_uki_make() does of uki.full.
 */
gboolean proa_deltas_make(const ProaFeed *feed, const char *release_dir, const char *channel, guint count,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

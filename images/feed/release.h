/* SPDX-License-Identifier: Apache-2.0 */
/* release: takes a release directory into a feed: content, manifest, and the target that is to be published.
 */
#pragma once

#include "images/feed/feed.h"

#define PROA_RELEASE_MAX_MANIFEST ((gsize)1024 * 1024)

typedef struct {
	char *version;
	char *channel;
	char *architecture;
	char *tree; /* OSTree commit; NULL: none */
	char *path; /* of the TUF target: "stable/1.0.1/manifest.json" */
	gint64 payload_size;
	gboolean news; /* FALSE: the feed already had exactly this release */
} ProaReleaseAdded;

void proa_release_added_free(ProaReleaseAdded *added);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaReleaseAdded, proa_release_added_free)

/* Whether @channel is a channel's name: 1 to 32 characters out of a-z 0-9 and '-', the first a letter;
 * not that of a role. */
gboolean proa_release_channel_valid(const char *channel);

/* RELEASE_DIR/release.json, whose members are what a manifest is made of. NOT_FOUND, or BAD_MANIFEST if it is
 * not one. */
JsonObject *proa_release_read(const char *release_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Adds the release in @release_dir to the pending targets of @feed (opened for writing);
 * proa_feed_save_pending() makes that last. Every file is compared with what release.json says of it first.
 * BAD_MANIFEST if release.json is not one, METADATA_MISMATCH if a file is not the one that it names,
 * BAD_PAYLOAD if the payload is of another root, BAD_STATE if the channel already has this version with other
 * content.
 */
ProaReleaseAdded *proa_release_add(ProaFeed *feed, const char *release_dir, const char *channel,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: signs and writes metadata so that a reader never sees half a feed: content is there before
 * (release.c), files with a version in their name come next, and timestamp.json, which makes them the newest,
 * comes last.
 */
#pragma once

#include "images/feed/feed.h"

typedef enum {
	PROA_PUBLISH_ALL,     /* new targets, snapshot and timestamp */
	PROA_PUBLISH_REFRESH, /* a new timestamp; targets and snapshot only if they near their expiry */
} ProaPublishKind;

/* The first members of all metadata, expiring @lifetime seconds from now. */
JsonObject *proa_publish_head(const char *type, gint64 version, gint64 lifetime);

/*
 * Publishes. Adds what is pending to targets with PROA_PUBLISH_ALL, and forgets it when the timestamp is out.
 * A new feed has no timestamp, snapshot or targets yet and gets versions 1. NOT_FOUND if a key that is needed
 * is not among @signers; a refresh goes on without the keys of snapshot and targets as long as these have not
 * expired.
 */
gboolean proa_publish(ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, GError **error) G_GNUC_WARN_UNUSED_RESULT;

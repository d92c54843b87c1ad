/* SPDX-License-Identifier: Apache-2.0 */
/* publish: brings out what was added, and keeps metadata from expiring. */
#pragma once

#include "images/feed/commit.h"

typedef enum {
	PROA_PUBLISH_ALL,     /* what is pending; whatever the keys at hand can sign is signed anew */
	PROA_PUBLISH_REFRESH, /* a new timestamp; all else only if it nears its expiry */
} ProaPublishKind;

/* The role that signs for a target's path: its channel, or "targets" if the feed has no such channel. */
const char *proa_publish_role(const ProaFeed *feed, const char *path, char **ret_channel);

/*
 * Publishes. What is pending is forgotten when it is out. NOT_FOUND if a key that is needed is not among
 * @signers; with @ret_waiting (may be NULL) the drafts are kept instead until others have signed, and
 * *@ret_waiting is the change that waits. Renewal never needs a key before the expiry: what can't be signed
 * now is left as it is.
 */
gboolean proa_publish(ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	ProaPublishKind kind, ProaChange **ret_waiting, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A role that every node refuses, and with it what it vouches for. */
typedef struct {
	char *role;
	gint64 expires;   /* seconds since 1970 */
	gboolean drafted; /* its next version waits for signatures */
} ProaPublishExpired;

/*
 * Root, targets and channels of the feed, as it was when it was opened, that have expired: an array of
 * ProaPublishExpired that owns them, sorted by role. NULL if a draft can't be read.
 */
GPtrArray *proa_publish_expired(const ProaFeed *feed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: bytes from the feed, through the helper proa-fetch, which alone talks to the network.
 *
 * Each transfer is one process of the helper: without privileges, in a sandbox, URL and range in, bytes out
 * on a pipe. What it does wrong or a server makes it do cannot reach the disk.
 */
#pragma once

#include "updater/fetch/stream.h"

#include <gio/gio.h>

/* The helper on a node, and the user it runs as when the caller is root. */
#define PROA_FETCH_HELPER "/usr/lib/proa/proa-fetch"
#define PROA_FETCH_USER "proa-fetch"

typedef struct {
	const char *helper;       /* path of the helper; NULL: PROA_FETCH_HELPER */
	gint64 connect_timeout;   /* seconds; 0: the helper's default */
	gint64 low_speed_bytes;   /* give up when slower than this many bytes a second ... */
	gint64 low_speed_seconds; /* ... for this long; 0: the helper's default */
	gint64 max_speed;         /* bytes a second; 0: no limit */
	guint retries;            /* tries again after breaks, with less in between than may be slow */
	gint64 retry_delay; /* milliseconds before the first, doubling up to 30 s; 0: the helper's default */
	GCancellable *cancellable; /* stops a transfer with CANCELLED; may be NULL */
} ProaFetch;

/*
 * Starts a transfer of @length bytes of @url from byte @offset on; @length 0: to the end. @url is http, https
 * or file.
 * @max_bytes: a server that has more to give is TOO_LARGE; 0: no limit. @fetch must outlive the stream, which
 * is closed with proa_stream_close(). NULL only if the helper cannot be started (IO); all that goes wrong
 * with the transfer comes out of reading: FEED_UNREACHABLE, FEED_ERROR, NOT_FOUND (404 or 403),
 * TRANSFER_INTERRUPTED, TRANSFER_SLOW, TOO_LARGE, CANCELLED.
 */
ProaStream *proa_fetch_open(const ProaFetch *fetch, const char *url, guint64 offset, guint64 length,
	guint64 max_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for several parts of @url, which come one after the other in one stream and over one connection as
 * far as the server allows; @n is at least 1, no length is 0. More than they have together is TOO_LARGE.
 */
ProaStream *proa_fetch_open_ranges(const ProaFetch *fetch, const char *url, const ProaByteRange *ranges,
	guint n, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Fetches the whole of @url into memory, at most @max_bytes. NULL with one of the errors above. */
GBytes *proa_fetch_bytes(
	const ProaFetch *fetch, const char *url, gsize max_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * As proa_fetch_bytes(), but only if it changed. *@etag is the entity tag of what is known, or NULL. If the
 * server says that it is still that (304), *@ret_bytes stays NULL; otherwise *@ret_bytes is the body and
 * *@etag its entity tag, or NULL if it has none. *@etag is to be freed with g_free().
 */
gboolean proa_fetch_if_changed(const ProaFetch *fetch, const char *url, gsize max_bytes, char **etag,
	GBytes **ret_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @path below the feed's @base URL, percent-encoded where it must be, with exactly one '/' between. Free with
 * g_free(). */
char *proa_fetch_url(const char *base, const char *path);

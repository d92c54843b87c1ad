/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: a feed, or a part of one, that is only read: a directory, or what an HTTP server has below a URL.
 * On the publisher's side alone; a node fetches through proa-fetch.
 */
#pragma once

#include "images/feed/content.h"

typedef struct ProaSource ProaSource;

/* What was asked for over its life; bytes are those of bodies and headers as they came over the wire. */
typedef struct {
	guint requests;
	guint64 bytes;
} ProaSourceStatistics;

/* @place: "http://...", "https://...", "file:///..." or a directory. Never fails: what is not there is found
 * out by reading. */
ProaSource *proa_source_open(const char *place);
void proa_source_free(ProaSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSource, proa_source_free)

/* The place as it was given, without a '/' at its end; "file:///..." has become a directory. Owned by it. */
const char *proa_source_place(const ProaSource *source);

/* A source for the folder @name of it; the statistics are of its own. */
ProaSource *proa_source_folder(const ProaSource *source, const char *name);

/*
 * The whole of @path (relative, percent-encoded as in a URL), at most @max bytes. NOT_FOUND (404 and 403
 * too), TOO_LARGE, FEED_UNREACHABLE, FEED_ERROR, TRANSFER_SLOW, TRANSFER_INTERRUPTED or a file error.
 */
GBytes *proa_source_read(
	ProaSource *source, const char *path, gsize max, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same, written to @fd (-1: nowhere) in bounded memory; tells what it was. More than @max bytes are
 * TOO_LARGE. */
gboolean proa_source_pump(ProaSource *source, const char *path, guint64 max, int fd, ProaContent *ret_content,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A ProaTrustFetch; @data is the source of a feed's metadata folder. */
gboolean proa_source_fetch(const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * A path of a file as it stands in a URL: what may not stand there as itself is percent-encoded, and nothing
 * else (RFC 3986, pchar), so that servers which compare without decoding find it too. Free with g_free().
 */
char *proa_source_quote(const char *path);

const ProaSourceStatistics *proa_source_statistics(const ProaSource *source);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the directory of trusted metadata, each file as it was served: root.json, timestamp.json,
 * snapshot.json, targets.json, delegated roles by their percent-encoded names, and root_history/N.root.json.
 *
 * What lies there was verified when it was written and is verified again whenever it is read: the store is a
 * cache and a memory, never an authority. Losing it costs the memory of what was newest; it never makes
 * anything trusted.
 */
#pragma once

#include <glib.h>

typedef struct ProaStore ProaStore;

/* Opens (and makes) the store @dir. */
ProaStore *proa_store_open(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_store_free(ProaStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaStore, proa_store_free)

/* The stored file of a role, at most @max bytes. NULL with NOT_FOUND, TOO_LARGE or a file error. */
GBytes *proa_store_read(
	const ProaStore *store, const char *role, gsize max, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *proa_store_read_root(
	const ProaStore *store, gint64 version, gsize max, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Replaces the file of a role durably; does nothing if it already holds these bytes. */
gboolean proa_store_write(
	const ProaStore *store, const char *role, GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds a root to the history, then makes it root.json. */
gboolean proa_store_write_root(
	const ProaStore *store, gint64 version, GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The HTTP entity tag that came with the timestamp that has these bytes, or NULL; free with g_free(). It is
 * kept in timestamp.etag, and only saves bytes: a lie in it can do no more than a server that serves an old
 * timestamp.
 */
char *proa_store_read_etag(const ProaStore *store, GBytes *timestamp);
/* Remembers it; NULL forgets it. A failure is no matter: the next poll is longer then. */
void proa_store_write_etag(const ProaStore *store, GBytes *timestamp, const char *etag);

/* A role's name as part of a file name or URL: all but A-Z a-z 0-9 - . _ ~ percent-encoded, '/' too.
 * g_free(). */
char *proa_store_quote(const char *role);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge: which of the operator's files of /etc go along to another release. Three sides: what the release
 * left had shipped (base), what the operator made of it (the upper layer), what the next release ships (the
 * lower layer).
 *
 *   operator changed nothing            the next release's comes through
 *   operator changed, release did not   the operator's stays
 *   both changed, to the same           the next release's comes through
 *   both changed                        the operator's stays, and is reported
 *
 * Where the operator removed a directory, or put a file or a link in its place, all that a release ships
 * below it counts as one.
 *
 * Needs GLib alone: it runs in the initrd.
 */
#pragma once

#include <glib.h>

/* Of a release's /etc; a larger one is refused. */
#define PROA_MERGE_MAX_ENTRIES 50000
/* The file that remembers it. Bytes. */
#define PROA_MERGE_MAX_LIST (16 * 1024 * 1024)

/*
 * What lies below the directory @fd: path to fingerprint (kind, mode, owner, and digest or target), each a
 * char *. Free with g_hash_table_unref(). NULL with IO or TOO_LARGE.
 */
GHashTable *proa_merge_list(int fd, guint max_depth, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes such a list durably to the file @path; reads it: an empty one if there is none. */
gboolean proa_merge_save(const char *path, GHashTable *list, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GHashTable *proa_merge_load(const char *path);

/*
 * Takes out of the upper layer @upper_fd what need not go along, by the table above; @base and @lower are
 * lists of proa_merge_list(). *@ret_conflicts: the paths that both changed, sorted; free with g_strfreev().
 * IO, TOO_LARGE.
 */
gboolean proa_merge_upper(int upper_fd, GHashTable *base, GHashTable *lower, guint max_depth,
	char ***ret_conflicts, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange: a folder of files that changes as a whole. Its successor is made beside it, NAME.new, beginning
 * with what the folder holds; one rename puts it in the folder's place. So a reader sees the old files or the
 * new ones, and a kill leaves either.
 */
#pragma once

#include <glib.h>

/*
 * Makes @folder.new, which holds all that the flat folder @folder holds (nothing, if it is not there), and
 * nothing of an earlier attempt. Returns its path, to be freed with g_free(); NULL with a file error.
 */
char *proa_exchange_begin(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Puts @folder.new in the place of @folder, durably, and removes the old one. *@ret_done is FALSE, and
 * nothing was changed, if the file system has no such rename (exFAT, NFS).
 */
gboolean proa_exchange_end(const char *folder, gboolean *ret_done, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes @folder.new. */
gboolean proa_exchange_drop(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;

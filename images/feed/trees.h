/* SPDX-License-Identifier: Apache-2.0 */
/* trees: the OSTree repository of a feed, from which trees can be compared, browsed and made deltas of. */
#pragma once

#include "base/reason.h"

/*
 * Pulls commit @tree from the repository @from (a directory, or an http URL) into the archive repository @to,
 * making that if needed, and names it with the ref @ref so that it is kept. Every object is compared with its
 * digest. NOT_FOUND if the directory @from is no repository or lacks the commit, IO otherwise.
 */
gboolean proa_trees_pull(const char *to, const char *from, const char *tree, const char *ref,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes from the repository @dir all refs that are not keys of @keep, and the objects that only they
 * needed. A directory that is no repository is no error.
 */
gboolean proa_trees_prune(const char *dir, GHashTable *keep, GError **error) G_GNUC_WARN_UNUSED_RESULT;

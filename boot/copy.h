/* SPDX-License-Identifier: Apache-2.0 */
/* copy: copies and removes trees of files by descriptor, never following a symbolic link. */
#pragma once

#include <glib.h>

/*
 * Copies what the directory @from holds into the directory @to, which must be empty, and gives @to the mode,
 * owner, times and extended attributes of @from. Regular files, directories, symbolic links, device nodes
 * (overlayfs's whiteouts) and FIFOs; sockets are left out; hard links become files of their own. Of extended
 * attributes all but "trusted.overlay.origin" and "trusted.overlay.uuid". Refuses with TOO_LARGE beyond
 * @max_depth; IO otherwise. Does not sync.
 */
gboolean proa_copy_tree(int from, int to, guint max_depth, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes @name below @dir_fd, whatever it is, with all it holds; one that is not there is no error. */
gboolean proa_remove_tree(
	int dir_fd, const char *name, guint max_depth, GError **error) G_GNUC_WARN_UNUSED_RESULT;

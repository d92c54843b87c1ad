/* SPDX-License-Identifier: Apache-2.0 */
/* fingerprint: whether anything below a directory changed, by what the file system says of each file. */
#pragma once

#include <glib.h>

/*
 * The SHA-256, in hexadecimal, of all paths below @path with mode, owner, size and times of each, of files
 * the inode as well; no content is read. Free with g_free(). NULL if it cannot be told: the directory cannot
 * be read as a whole, is nested deeper than @max_depth, or changed at most two seconds ago, so that one more
 * change might go unseen (the time of a change is as coarse as the kernel's tick).
 */
char *proa_fingerprint(const char *path, guint max_depth);

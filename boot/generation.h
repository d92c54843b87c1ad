/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generation: the upper layers of /etc, one a release, below /var/lib/proa/etc:
 *
 *   <first 32 digits of the root hash>/upper, .../work    one generation
 *   .../shipped                                           what that release shipped in /etc (boot/merge.h)
 *   .../conflicts                                         what both the operator and the release had changed,
 * a line each
 *   last                                                  the name of the generation used last, and a newline
 *   restore-<name>                                        a restore of it is under way (boot/repo.h)
 *
 * A release that boots for the first time starts from a copy of the last generation, so that the machine's
 * identity, keys and the operator's changes stay. A generation appears whole or not at all.
 */
#pragma once

#include "base/reason.h"

#define PROA_GENERATION_NAME_LENGTH 32
/* A tree deeper than this is no /etc. */
#define PROA_GENERATION_MAX_DEPTH 64

/* A note of a restore is larger than this never. Bytes. */
#define PROA_GENERATION_MAX_NOTE 256

/*
 * The file that says that the generation @name is in the middle of a restore; free with g_free(). A
 * generation begun as a copy of such a one gets the same note, so that it is completed there, too.
 */
char *proa_generation_restore_note(const char *etc_dir, const char *name);

/* Whether @name is one of a generation: 32 lower-case hexadecimal digits. */
gboolean proa_generation_name_valid(const char *name);

/* The generation of a root hash; free with g_free(). */
char *proa_generation_name(const char *root_hash);

/* The name in "last": of the generation used last; free with g_free(). NULL: nobody knows. */
char *proa_generation_last(const char *etc_dir);

/*
 * Makes sure that the generation @name exists in the directory @etc_dir (made if missing) and says in "last"
 * that it is the one in use. @shipped_fd: the directory that the release ships as /etc; -1: unknown. A new
 * one is a copy of the last one's upper layer, with modes, owners, times, whiteouts and extended attributes
 * (but overlayfs's own origin marks, which point into the release left), without what the operator had not
 * changed (boot/merge.h). If there is no last one, it is empty. A generation that is there, and whole, is
 * used even where nothing can be written beside it: that is only warned of.
 */
gboolean proa_generation_prepare(
	const char *etc_dir, const char *name, int shipped_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Says in "last" that the generation @name is in use, if it is there. For when there is room again. */
gboolean proa_generation_use(const char *etc_dir, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The upper layer of the generation @name, or of the last one, if there is none of that name: what an
 * operator made of /etc, where it can only be read. A path, free with g_free(); NULL if neither can be
 * opened.
 */
char *proa_generation_upper(const char *etc_dir, const char *name);

/* The paths that both had changed when the generation @name was made; free with g_strfreev(). Never NULL. */
char **proa_generation_conflicts(const char *etc_dir, const char *name);

/* Removes every generation that is not in @keep (NULL-terminated names) nor the one in "last", and half-made
 * ones. */
gboolean proa_generation_prune(
	const char *etc_dir, const char *const *keep, GError **error) G_GNUC_WARN_UNUSED_RESULT;

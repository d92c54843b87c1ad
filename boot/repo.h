/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repo: generations of /etc as commits of a local OSTree repository, /var/lib/proa/etc/repo: what /etc held
 * as a whole, with modes and owners, whenever it had changed at a boot, at a shutdown, or before a restore.
 * One branch a generation (a release). Nothing of it is needed to boot.
 */
#pragma once

#include "base/reason.h"

#include <gio/gio.h>

/* Commits of a branch that are kept. */
#define PROA_REPO_KEEP 100

typedef struct ProaRepo ProaRepo;

/* Opens the repository of @state_dir, making it if there is none. IO, PERMISSION. */
ProaRepo *proa_repo_open(const char *state_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_repo_free(ProaRepo *repo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaRepo, proa_repo_free)

/*
 * Commits the directory @etc to the branch @generation (32 hexadecimal digits) with the line @subject.
 * Sockets and devices are left out. *@ret_commit: its checksum, free with g_free(); NULL if nothing had
 * changed since the last one.
 */
gboolean proa_repo_commit(ProaRepo *repo, const char *generation, const char *etc, const char *subject,
	char **ret_commit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	char *commit;     /* 64 hexadecimal digits */
	char *generation; /* its branch */
	char *subject;
	gint64 time; /* seconds since 1970 */
} ProaRepoEntry;

/* All commits, newest first: ProaRepoEntry, owned by the array. */
GPtrArray *proa_repo_log(ProaRepo *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The commit that @word names: its checksum or the beginning of it (4 digits at least), or the name of a
 * generation, for its newest. Free with g_free(). NO_SUCH_RELEASE if none, or more than one. */
char *proa_repo_resolve(ProaRepo *repo, const char *word, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * What changed from the commit @from to the commit @to, or, with @to NULL, to the directory @etc as it is:
 * lines "A path", "M path", "D path", sorted; owned by the array.
 */
GPtrArray *proa_repo_diff(ProaRepo *repo, const char *from, const char *to, const char *etc,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Brings @etc to what @commit holds: all of it (@paths NULL: what is not in it goes), or the paths named,
 * below /etc. Each file is replaced atomically. A restore of all of it is noted first and the note taken away
 * last, so that one that a power cut ended is completed by proa_repo_finish(): the note is one of
 * @generation, the one in use, and names its newest commit, which is what @etc was before. NOT_FOUND if
 * @commit does not hold a path.
 */
gboolean proa_repo_restore(ProaRepo *repo, const char *generation, const char *commit,
	const char *const *paths, const char *etc, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Completes a restore of @generation that was interrupted; *@ret_done says whether there was one. Where the
 * generation was begun as a copy of one in the middle of a restore (boot/generation.c), it gets what that
 * restore would have changed, and keeps what else its release ships. A restore of another generation waits
 * until that one runs again; a note that nobody can follow any more is taken away.
 */
gboolean proa_repo_finish(ProaRepo *repo, const char *generation, const char *etc, gboolean *ret_done,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/exchange.h"

#include "base/file.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Metadata is far smaller. Bytes. */
#define MAX_FILE ((gsize)16 * 1024 * 1024)

static char *successor(const char *folder)
{
	return g_strconcat(folder, ".new", NULL);
}

gboolean proa_exchange_drop(const char *folder, GError **error)
{
	g_autofree char *new = successor(folder);
	g_autoptr(GDir) entries = g_dir_open(new, 0, NULL);
	const char *name;

	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(new, name, NULL);
		if (unlink(path) < 0)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", path);
	}
	return rmdir(new) == 0 || errno == ENOENT ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", new);
}

/* The same file under another name; a copy where the file system has no links (FAT). */
static gboolean link_or_copy(const char *from, const char *to, GError **error)
{
	gsize size;

	if (link(from, to) == 0)
		return TRUE;
	g_autofree char *text = proa_file_read(from, MAX_FILE, &size, error);
	return text && proa_file_replace(to, text, size, 0644, error);
}

char *proa_exchange_begin(const char *folder, GError **error)
{
	g_autofree char *new = successor(folder);

	if (!proa_exchange_drop(folder, error) || !proa_file_make_dirs(new, error))
		return NULL;
	g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
	const char *name;
	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *from = g_build_filename(folder, name, NULL),
				*to = g_build_filename(new, name, NULL);
		if (!link_or_copy(from, to, error))
			return NULL;
	}
	return g_steal_pointer(&new);
}

static gboolean sync_folder(const char *folder, GError **error)
{
	PROA_AUTO_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return (fd >= 0 && fsync(fd) == 0) ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "syncing %s", folder);
}

gboolean proa_exchange_end(const char *folder, gboolean *ret_done, GError **error)
{
	g_autofree char *new = successor(folder), *parent = g_path_get_dirname(folder);
	struct stat st;

	if (!sync_folder(new, error))
		return FALSE;
	/* There is nothing to exchange with at first. */
	unsigned flags = stat(folder, &st) == 0 ? RENAME_EXCHANGE : 0;
	if (renameat2(AT_FDCWD, new, AT_FDCWD, folder, flags) < 0) {
		*ret_done = FALSE;
		return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ||
		       proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", new, folder);
	}
	*ret_done = TRUE;
	return sync_folder(parent, error) && proa_exchange_drop(folder, error);
}

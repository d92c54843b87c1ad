/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/content.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

void proa_content_clear(ProaContent *content)
{
	g_clear_pointer(&content->sha256, g_free);
	content->size = 0;
}

static int open_for_reading(const char *path, GError **error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
	return fd;
}

/* Reads all of @in, at most @max bytes, and writes it to @out unless that is negative. */
static gboolean pump(int in, guint64 max, int out, GChecksum *checksum, const char *path, guint64 *ret_size,
	GError **error)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK);
	guint64 size = 0;

	for (;;) {
		ssize_t n = read(in, chunk, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "reading %s", path);
		if (n == 0)
			break;
		if ((guint64)n > max - size)
			return proa_fail(error, PROA_REASON_TOO_LARGE, "%s: over %" G_GUINT64_FORMAT " bytes",
				path, max);
		size += (guint64)n;
		g_checksum_update(checksum, chunk, n);
		if (out >= 0 && !proa_write_all(out, chunk, (gsize)n, error))
			return FALSE;
	}
	*ret_size = size;
	return TRUE;
}

gboolean proa_content_pump_file(
	const char *path, guint64 max, int out, GChecksum *checksum, guint64 *ret_size, GError **error)
{
	PROA_AUTO_FD int in = open_for_reading(path, error);

	return in >= 0 && pump(in, max, out, checksum, path, ret_size, error);
}

/* The same, and tells what it was. */
static gboolean pump_whole(int in, int out, const char *path, ProaContent *ret_content, GError **error)
{
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
	guint64 size = 0;

	if (!pump(in, G_MAXINT64, out, checksum, path, &size, error))
		return FALSE;
	ret_content->size = (gint64)size;
	ret_content->sha256 = g_strdup(g_checksum_get_string(checksum));
	return TRUE;
}

gboolean proa_content_of_file(const char *path, ProaContent *ret_content, GError **error)
{
	PROA_AUTO_FD int fd = open_for_reading(path, error);

	return fd >= 0 && pump_whole(fd, -1, path, ret_content, error);
}

static gboolean copy(const char *from, const ProaContent *content, const char *to, GError **error)
{
	g_auto(ProaContent) copied = { 0 };
	PROA_AUTO_FD int in = open_for_reading(from, error);
	if (in < 0)
		return FALSE;
	PROA_AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (out < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", to);
	if (!pump_whole(in, out, from, &copied, error))
		return FALSE;
	if (copied.size != content->size || strcmp(copied.sha256, content->sha256) != 0)
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH, "%s changed while it was read", from);
	if (fchmod(out, 0644) < 0 || fsync(out) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "writing %s", to);
	return TRUE;
}

static gboolean sync_directory(const char *dir, GError **error)
{
	PROA_AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "syncing %s", dir);
	return TRUE;
}

gboolean proa_content_put(
	const char *from, const ProaContent *content, const char *dir, const char *suffix, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/%s%s", dir, content->sha256, suffix);
	g_autofree char *temporary = g_strconcat(path, ".tmp", NULL);
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size == content->size)
		return TRUE;
	if (!proa_file_make_dirs(dir, error))
		return FALSE;
	if (!copy(from, content, temporary, error)) {
		unlink(temporary);
		return FALSE;
	}
	if (rename(temporary, path) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, path);
	return sync_directory(dir, error);
}

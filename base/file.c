/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void proa_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int proa_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static ProaReason reason_of_errno(int saved_errno)
{
	switch (saved_errno) {
	case ENOENT:
	case ENOTDIR:
		return PROA_REASON_NOT_FOUND;
	case EACCES:
	case EPERM:
		return PROA_REASON_PERMISSION;
	default:
		return PROA_REASON_IO;
	}
}

char *proa_file_read_at(int dir_fd, const char *name, gsize max, gsize *ret_size, GError **error)
{
	PROA_AUTO_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		proa_fail_errno(error, reason_of_errno(errno), errno, "opening %s", name);
		return NULL;
	}

	g_autoptr(GByteArray) bytes = g_byte_array_new();
	for (;;) {
		guint8 chunk[16384];
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			proa_fail_errno(error, reason_of_errno(errno), errno, "reading %s", name);
			return NULL;
		}
		if (n == 0)
			break;
		if ((gsize)n > max - bytes->len) {
			proa_fail(error, PROA_REASON_TOO_LARGE, "%s is over %" G_GSIZE_FORMAT " bytes", name,
				max);
			return NULL;
		}
		g_byte_array_append(bytes, chunk, (guint)n);
	}
	gsize size = bytes->len;
	g_byte_array_append(bytes, (const guint8 *)"", 1);
	if (ret_size)
		*ret_size = size;
	return (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
}

char *proa_file_read(const char *path, gsize max, gsize *ret_size, GError **error)
{
	return proa_file_read_at(AT_FDCWD, path, max, ret_size, error);
}

static gboolean sync_directory_of(const char *path, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(path);
	PROA_AUTO_FD int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "syncing the directory %s", parent);
	return TRUE;
}

gboolean proa_file_replace(const char *path, const void *data, gsize size, mode_t mode, GError **error)
{
	g_autofree char *temporary = g_strconcat(path, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return proa_fail_errno(error, reason_of_errno(errno), errno, "creating %s", temporary);
	/* An earlier temporary file may have had another mode. */
	if (fchmod(fd, mode) < 0 || !proa_write_all(fd, data, size, error) || fsync(fd) < 0) {
		if (error && !*error)
			proa_fail_errno(error, PROA_REASON_IO, errno, "writing %s", temporary);
		else
			g_prefix_error(error, "writing %s: ", temporary);
		unlink(temporary);
		return FALSE;
	}
	if (rename(temporary, path) < 0) {
		proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, path);
		unlink(temporary);
		return FALSE;
	}
	return sync_directory_of(path, error);
}

/* Keeps the newest lines of @text that fit into half of @max. */
static const char *newer_half(const char *text, gsize size, gsize max)
{
	if (size <= max / 2)
		return text;
	const char *cut = memchr(text + (size - max / 2), '\n', max / 2);
	return cut ? cut + 1 : text + size;
}

gboolean proa_file_append_line(const char *path, const char *line, gsize max, GError **error)
{
	struct stat st;
	gsize length = strlen(line);

	if (stat(path, &st) == 0 && (gsize)st.st_size + length + 1 > max) {
		/* A file far over the cap (never ours) is read no further than twice the cap. */
		g_autofree char *text = proa_file_read(path, max * 2, NULL, NULL);
		const char *kept = text ? newer_half(text, strlen(text), max) : "";
		if (!proa_file_replace(path, kept, strlen(kept), 0644, error))
			return FALSE;
	}

	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return proa_fail_errno(error, reason_of_errno(errno), errno, "opening %s", path);

	/* A power cut may have left half a line: end it, so that the new line stands alone. */
	g_autoptr(GString) text = g_string_new(NULL);
	char last = '\n';
	if (fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
		g_string_append_c(text, '\n');
	g_string_append_printf(text, "%s\n", line);
	if (!proa_write_all(fd, text->str, text->len, error)) {
		g_prefix_error(error, "writing %s: ", path);
		return FALSE;
	}
	if (fsync(fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "syncing %s", path);
	return st.st_size > 0 || sync_directory_of(path, error);
}

gboolean proa_file_remove(const char *path, GError **error)
{
	if (unlink(path) < 0) {
		if (errno == ENOENT)
			return TRUE;
		return proa_fail_errno(error, reason_of_errno(errno), errno, "removing %s", path);
	}
	return sync_directory_of(path, error);
}

gboolean proa_file_has_room(int fd, guint64 size)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0 || fs.f_blocks == 0 || fs.f_frsize == 0)
		return TRUE;
	/* In its blocks: their bytes may be more than the type holds. */
	return fs.f_bavail >= (size + PROA_FILE_RESERVE) / fs.f_frsize + 1;
}

gboolean proa_file_make_dirs(const char *path, GError **error)
{
	if (g_mkdir_with_parents(path, 0755) < 0)
		return proa_fail_errno(error, reason_of_errno(errno), errno, "making the directory %s", path);
	return TRUE;
}

gboolean proa_write_all(int fd, const void *data, gsize size, GError **error)
{
	const guint8 *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "writing");
		p += n;
		size -= (gsize)n;
	}
	return TRUE;
}

gboolean proa_pwrite_all(int fd, const void *data, gsize size, goffset offset, GError **error)
{
	const guint8 *p = data;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return proa_fail_errno(
				error, PROA_REASON_IO, errno, "writing at byte %" G_GOFFSET_FORMAT, offset);
		p += n;
		offset += n;
		size -= (gsize)n;
	}
	return TRUE;
}

gboolean proa_pread_all(int fd, void *data, gsize size, goffset offset, GError **error)
{
	guint8 *p = data;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return proa_fail_errno(
				error, PROA_REASON_IO, errno, "reading at byte %" G_GOFFSET_FORMAT, offset);
		if (n == 0)
			return proa_fail(error, PROA_REASON_IO,
				"reading at byte %" G_GOFFSET_FORMAT ": the end came early", offset);
		p += n;
		offset += n;
		size -= (gsize)n;
	}
	return TRUE;
}

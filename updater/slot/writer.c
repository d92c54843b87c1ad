/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/writer.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct ProaWriter {
	char *path;
	int fd;
	guint64 size; /* announced */
	guint64 done;
	gboolean direct; /* past the page cache; otherwise what was written is pushed out behind us */
	gboolean is_device;
};

void proa_writer_free(ProaWriter *writer)
{
	if (!writer)
		return;
	proa_close_fd(&writer->fd);
	g_free(writer->path);
	g_free(writer);
}

static gboolean open_direct(ProaWriter *writer, GError **error)
{
	/* O_EXCL: a partition that is mounted or under device-mapper, as the running root is, does not open.
	 */
	int flags = O_WRONLY | O_CLOEXEC | (writer->is_device ? O_EXCL : 0);

	writer->fd = open(writer->path, flags | O_DIRECT);
	writer->direct = writer->fd >= 0;
	if (writer->fd < 0 && errno == EINVAL)
		writer->fd = open(writer->path, flags);
	if (writer->fd < 0)
		return proa_fail_errno(error,
			errno == EBUSY                      ? PROA_REASON_BUSY
			: errno == EACCES || errno == EPERM ? PROA_REASON_PERMISSION
							    : PROA_REASON_IO,
			errno, "opening %s to write", writer->path);
	return TRUE;
}

static gboolean check_size(ProaWriter *writer, const struct stat *st, GError **error)
{
	guint64 room = (guint64)st->st_size;

	if (writer->is_device && ioctl(writer->fd, BLKGETSIZE64, &room) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "measuring %s", writer->path);
	if (room < writer->size)
		return proa_fail(error, PROA_REASON_SLOT_TOO_SMALL,
			"%s has %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " are needed", writer->path,
			room, writer->size);
	return TRUE;
}

ProaWriter *proa_writer_open(const char *path, guint64 size, GError **error)
{
	g_autoptr(ProaWriter) writer = g_new0(ProaWriter, 1);
	struct stat st;

	writer->fd = -1;
	writer->path = g_strdup(path);
	writer->size = size;
	if (stat(path, &st) < 0) {
		proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
		return NULL;
	}
	writer->is_device = S_ISBLK(st.st_mode);
	if (!open_direct(writer, error) || !check_size(writer, &st, error))
		return NULL;
	return g_steal_pointer(&writer);
}

/* Buffered: starts writing the newest piece and waits for the one before, so that little is ever dirty. */
static void push_out(const ProaWriter *writer, gsize size)
{
	goffset begin = (goffset)writer->done, before = begin - (goffset)size;

	(void)sync_file_range(writer->fd, begin, (off_t)size, SYNC_FILE_RANGE_WRITE);
	if (before < 0)
		return;
	(void)sync_file_range(writer->fd, before, (off_t)size,
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	(void)posix_fadvise(writer->fd, before, (off_t)size, POSIX_FADV_DONTNEED);
}

gboolean proa_writer_write(ProaWriter *writer, const guint8 *data, gsize size, GError **error)
{
	g_assert((guintptr)data % PROA_WRITER_ALIGNMENT == 0 && size % PROA_WRITER_ALIGNMENT == 0);
	if (size > writer->size - writer->done)
		return proa_fail(error, PROA_REASON_IO,
			"%s: more than the %" G_GUINT64_FORMAT " bytes announced", writer->path,
			writer->size);
	if (!proa_pwrite_all(writer->fd, data, size, (goffset)writer->done, error)) {
		g_prefix_error(error, "%s: ", writer->path);
		return FALSE;
	}
	if (!writer->direct)
		push_out(writer, size);
	writer->done += size;
	return TRUE;
}

void proa_writer_skip(ProaWriter *writer, guint64 size)
{
	g_assert(writer->done == 0 && size <= writer->size && size % PROA_WRITER_ALIGNMENT == 0);
	writer->done = size;
}

gboolean proa_writer_flush(ProaWriter *writer, GError **error)
{
	if (fdatasync(writer->fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", writer->path);
	return TRUE;
}

gboolean proa_writer_finish(ProaWriter *writer, GError **error)
{
	if (writer->done != writer->size)
		return proa_fail(error, PROA_REASON_IO,
			"%s: only %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes came", writer->path,
			writer->done, writer->size);
	if (fsync(writer->fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", writer->path);
	/* Whatever reads it next reads the device. */
	(void)posix_fadvise(writer->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (writer->is_device && ioctl(writer->fd, BLKFLSBUF, 0) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "dropping the cache of %s", writer->path);
	return TRUE;
}

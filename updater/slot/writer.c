/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/writer.h"

#include "base/direct.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What is on its way to the device: a ring, filled here and emptied by the thread, which writes all that
 * waits in one go: the slower the device, the larger the writes. The thread is told of so much at a time.
 * Bytes.
 */
#define RING_SIZE ((gsize)1024 * 1024)
#define GIVE_SIZE ((gsize)512 * 1024)

struct ProaWriter {
	char *path;
	int fd;
	guint64 size;    /* announced */
	guint64 taken;   /* bytes of the image, those skipped too */
	guint64 free;    /* of the ring, up to this byte of the image, as far as is known without the lock */
	gboolean direct; /* past the page cache; otherwise what was written is pushed out behind us */
	gboolean is_device;
	ProaWriterTook took;
	gpointer user_data;

	GThread *thread; /* begins with the first write */
	guint8 *ring;    /* aligned; byte n of the image lies at n % RING_SIZE */

	GMutex lock; /* of what follows */
	GCond changed;
	guint64 given; /* of the bytes taken, those that the thread may write */
	guint64 done;  /* of those, written */
	gboolean ends;
	GError *error; /* once set nothing is written any more */
};

void proa_writer_free(ProaWriter *writer)
{
	if (!writer)
		return;
	if (writer->thread) {
		g_mutex_lock(&writer->lock);
		writer->ends = TRUE;
		g_cond_broadcast(&writer->changed);
		g_mutex_unlock(&writer->lock);
		g_thread_join(writer->thread);
	}
	proa_close_fd(&writer->fd);
	g_clear_error(&writer->error);
	g_mutex_clear(&writer->lock);
	g_cond_clear(&writer->changed);
	proa_direct_give(writer->ring);
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
	g_mutex_init(&writer->lock);
	g_cond_init(&writer->changed);
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

static gboolean write_piece(ProaWriter *writer, const guint8 *data, gsize size, GError **error)
{
	if (!proa_pwrite_all(writer->fd, data, size, (goffset)writer->done, error)) {
		g_prefix_error(error, "%s: ", writer->path);
		return FALSE;
	}
	if (!writer->direct)
		push_out(writer, size);
	if (writer->took)
		writer->took(data, size, writer->user_data);
	return TRUE;
}

/* The thread: what waits, up to the ring's end, without the lock while it is written. */
static gpointer write_ring(gpointer user_data)
{
	ProaWriter *writer = user_data;

	g_mutex_lock(&writer->lock);
	for (;;) {
		while (!writer->ends && (writer->error || writer->done == writer->given))
			g_cond_wait(&writer->changed, &writer->lock);
		if (writer->ends)
			break;
		gsize at = (gsize)(writer->done % RING_SIZE);
		gsize size = (gsize)MIN(writer->given - writer->done, (guint64)(RING_SIZE - at));
		GError *error = NULL;
		g_mutex_unlock(&writer->lock);
		gboolean ok = write_piece(writer, writer->ring + at, size, &error);
		g_mutex_lock(&writer->lock);
		if (ok)
			writer->done += size;
		else
			writer->error = error;
		g_cond_broadcast(&writer->changed);
	}
	g_mutex_unlock(&writer->lock);
	return NULL;
}

static gboolean begin(ProaWriter *writer, GError **error)
{
	writer->ring = proa_direct_take(RING_SIZE);
	if (!writer->ring)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	writer->free = writer->taken + RING_SIZE;
	writer->thread = g_thread_try_new("slot-writer", write_ring, writer, NULL);
	return writer->thread || proa_fail(error, PROA_REASON_INTERNAL, "no thread can be started");
}

/* Waits until the device has the first @end bytes of the image. */
static gboolean wait_until(ProaWriter *writer, guint64 end, GError **error)
{
	g_mutex_lock(&writer->lock);
	while (!writer->error && writer->done < end)
		g_cond_wait(&writer->changed, &writer->lock);
	gboolean ok = !writer->error;
	writer->free = writer->done + RING_SIZE;
	if (!ok && error)
		*error = g_error_copy(writer->error);
	g_mutex_unlock(&writer->lock);
	return ok;
}

/* Tells the thread of all that was taken. */
static void give(ProaWriter *writer)
{
	g_mutex_lock(&writer->lock);
	writer->given = writer->taken;
	g_cond_broadcast(&writer->changed);
	g_mutex_unlock(&writer->lock);
}

void proa_writer_watch(ProaWriter *writer, ProaWriterTook took, gpointer user_data)
{
	g_assert(!writer->thread);
	writer->took = took;
	writer->user_data = user_data;
}

guint8 *proa_writer_room(ProaWriter *writer, gsize most, gsize *ret_size, GError **error)
{
	gsize at = (gsize)(writer->taken % RING_SIZE);
	guint64 wanted = MIN(most, RING_SIZE - at);

	if (!writer->thread && !begin(writer, error))
		return NULL;
	if (writer->taken + wanted > writer->free &&
		!wait_until(writer, writer->taken + wanted - RING_SIZE, error))
		return NULL;
	*ret_size = (gsize)wanted;
	return writer->ring + at;
}

gboolean proa_writer_write(ProaWriter *writer, const guint8 *data, gsize size, GError **error)
{
	g_assert(size % PROA_WRITER_ALIGNMENT == 0);
	if (size > writer->size - writer->taken)
		return proa_fail(error, PROA_REASON_IO,
			"%s: more than the %" G_GUINT64_FORMAT " bytes announced", writer->path,
			writer->size);
	for (gsize n; size > 0; data += n, size -= n) {
		guint8 *room = proa_writer_room(writer, MIN(size, GIVE_SIZE), &n, error);
		if (!room)
			return FALSE;
		if (room != data)
			memmove(room, data, n);
		writer->taken += n;
		if (writer->taken - writer->given >= GIVE_SIZE)
			give(writer);
	}
	return TRUE;
}

void proa_writer_skip(ProaWriter *writer, guint64 size)
{
	g_assert(writer->taken == 0 && size <= writer->size && size % PROA_WRITER_ALIGNMENT == 0);
	writer->taken = writer->given = writer->done = size;
}

guint64 proa_writer_done(ProaWriter *writer)
{
	g_mutex_lock(&writer->lock);
	guint64 done = writer->done;
	g_mutex_unlock(&writer->lock);
	return done;
}

gboolean proa_writer_drain(ProaWriter *writer, GError **error)
{
	give(writer);
	return wait_until(writer, writer->taken, error);
}

gboolean proa_writer_drain_to(ProaWriter *writer, guint64 end, GError **error)
{
	if (end > writer->given)
		give(writer);
	return wait_until(writer, MIN(end, writer->taken), error);
}

gboolean proa_writer_flush(ProaWriter *writer, GError **error)
{
	if (!proa_writer_drain(writer, error))
		return FALSE;
	if (fdatasync(writer->fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", writer->path);
	return TRUE;
}

gboolean proa_writer_finish(ProaWriter *writer, GError **error)
{
	if (!proa_writer_drain(writer, error))
		return FALSE;
	if (writer->taken != writer->size)
		return proa_fail(error, PROA_REASON_IO,
			"%s: only %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes came", writer->path,
			writer->taken, writer->size);
	if (fsync(writer->fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", writer->path);
	/* Whatever reads it next reads the device. */
	(void)posix_fadvise(writer->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (writer->is_device && ioctl(writer->fd, BLKFLSBUF, 0) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "dropping the cache of %s", writer->path);
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: writes a slot from its start to its end, past the page cache, so that the workload's cache stays
 * and what is read back comes from the device.
 *
 * A thread of its own writes, so that the image is made while the device is at work. Bytes are copied:
 * whoever gave them may use their place again at once.
 */
#pragma once

#include "base/reason.h"

/* Data and sizes given to a writer are multiples of this; bytes. */
#define PROA_WRITER_ALIGNMENT 4096

typedef struct ProaWriter ProaWriter;

/*
 * Opens @path (a block device, which must not be in use, or a file) to take @size bytes. SLOT_TOO_SMALL if it
 * is shorter; BUSY if it is mounted or under device-mapper; NOT_FOUND, PERMISSION or IO. Nothing is written
 * yet.
 */
ProaWriter *proa_writer_open(const char *path, guint64 size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Closes without flushing; what was not written yet is not. NULL is allowed. */
void proa_writer_free(ProaWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaWriter, proa_writer_free)

/* Told in the writer's thread what the device has taken (it need not be durable), in order and without gaps.
 */
typedef void (*ProaWriterTook)(const guint8 *data, gsize size, gpointer user_data);

/* Before the first write. After proa_writer_drain() and before the next write @took is not running. */
void proa_writer_watch(ProaWriter *writer, ProaWriterTook took, gpointer user_data);

/*
 * Takes the next @size bytes, a multiple of PROA_WRITER_ALIGNMENT, to write them. IO if there is more than
 * was announced, and if anything taken before could not be written.
 */
gboolean proa_writer_write(
	ProaWriter *writer, const guint8 *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Room for the next bytes, *@ret_size of them, at most @most (both multiples of PROA_WRITER_ALIGNMENT): what
 * is made there need not be copied by proa_writer_write(), which must be given that place next. NULL with IO.
 */
guint8 *proa_writer_room(
	ProaWriter *writer, gsize most, gsize *ret_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Leaves the first @size bytes as they are: the next write goes behind them. Aligned, before the first write.
 */
void proa_writer_skip(ProaWriter *writer, guint64 size);

/* Bytes of the image that the device has taken, those skipped too; whoever watches has been told of them. */
guint64 proa_writer_done(ProaWriter *writer);

/* Waits until the device has taken all bytes given so far; IO. */
gboolean proa_writer_drain(ProaWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Waits until the device has taken the first @end bytes of the image, of those given so far; IO. */
gboolean proa_writer_drain_to(ProaWriter *writer, guint64 end, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Waits for all, as proa_writer_drain(), and makes them durable; IO. */
gboolean proa_writer_flush(ProaWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Makes everything durable and drops what the page cache holds of it. IO if fewer bytes came than were
 * announced, or on failure.
 */
gboolean proa_writer_finish(ProaWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: writes a slot from its start to its end, past the page cache, so that the workload's cache stays
 * and what is read back comes from the device.
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

/* Closes without flushing; NULL is allowed. */
void proa_writer_free(ProaWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaWriter, proa_writer_free)

/* Writes the next @size bytes; address and size are aligned. IO on failure, and if there is more than was
 * announced. */
gboolean proa_writer_write(
	ProaWriter *writer, const guint8 *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Leaves the first @size bytes as they are: the next write goes behind them. Aligned, before the first write.
 */
void proa_writer_skip(ProaWriter *writer, guint64 size);

/* Makes what was written so far durable; IO. */
gboolean proa_writer_flush(ProaWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Makes everything durable and drops what the page cache holds of it. IO if fewer bytes came than were
 * announced, or on failure.
 */
gboolean proa_writer_finish(ProaWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

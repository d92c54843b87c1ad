/* SPDX-License-Identifier: Apache-2.0 */
/* stream: bytes that arrive in order, wherever from. Who reads a payload sees this and nothing of the
 * network. */
#pragma once

#include "base/reason.h"

typedef struct ProaStream ProaStream;

/* A part of a file, bytes. */
typedef struct {
	guint64 offset, length;
} ProaByteRange;

/* What a kind of stream does; the stream itself is the first member of the implementer's structure. */
typedef struct {
	/* Reads 1 to @size bytes into @data and returns how many; 0 at the end, -1 with *@error set. */
	gssize (*read)(ProaStream *stream, void *data, gsize size, GError **error);
	/* Closes and frees it, whether or not it was read to the end. */
	void (*close)(ProaStream *stream);
} ProaStreamKind;

struct ProaStream {
	const ProaStreamKind *kind;
};

/* As the kind's read. After a failure or the end, only close is allowed. */
gssize proa_stream_read(ProaStream *stream, void *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads until @size bytes are there or the stream ends; *@ret_read (which may be less than @size) says how
 * many came.
 */
gboolean proa_stream_read_full(ProaStream *stream, void *data, gsize size, gsize *ret_read,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* NULL is allowed. */
void proa_stream_close(ProaStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaStream, proa_stream_close)

/* A stream over bytes in memory (a reference is kept), for tests and fuzzing. Never NULL. */
ProaStream *proa_stream_of_bytes(GBytes *bytes);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta-streams: unpacks the streams of one frame of a delta, side by side, a little at a time; a thread goes
 * ahead of who takes them.
 */
#pragma once

#include "updater/payload/delta-format.h"

/* Bytes that are unpacked ahead at most: of DIFF; half as many of LITERAL and WORDS, 32 KiB of each other. */
#define PROA_DELTA_AHEAD_SIZE ((gsize)256 * 1024)
#define PROA_DELTA_AHEAD_ALL (2 * PROA_DELTA_AHEAD_SIZE + (_PROA_DELTA_STREAM_MAX - 3) * (gsize)32 * 1024)

typedef struct ProaDeltaStreams ProaDeltaStreams;

/* Opens a frame of @size bytes, which must outlive it. BAD_PAYLOAD if its stream table is malformed. */
ProaDeltaStreams *proa_delta_streams_new(
	const guint8 *frame, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_delta_streams_free(ProaDeltaStreams *streams);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaStreams, proa_delta_streams_free)

/* The next @size bytes of a stream; BAD_PAYLOAD if it ends before or its packing is broken. */
gboolean proa_delta_take(ProaDeltaStreams *streams, ProaDeltaStream stream, guint8 *data, gsize size,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The next number of a stream: 7 bits a byte, lowest first; BAD_PAYLOAD if it does not fit 64 bits. */
gboolean proa_delta_number(ProaDeltaStreams *streams, ProaDeltaStream stream, guint64 *ret,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same, its lowest bit being the sign (0, -1, 1, -2, ...). */
gboolean proa_delta_signed(ProaDeltaStreams *streams, ProaDeltaStream stream, gint64 *ret,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether every stream was read to its end. */
gboolean proa_delta_streams_ended(ProaDeltaStreams *streams);

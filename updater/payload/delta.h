/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta: makes an image out of an old one and the stream of a `delta` payload, frame by frame, in memory that
 * does not grow with the images: one packed frame (at most 2 MiB), its streams' dictionaries (at most 1 MiB
 * each) and one file (at most 6 MiB).
 *
 * Nothing is unpacked before its digest is known to be right. What a frame makes depends on the old image and
 * on the new one before the frame, so it can be taken up again at any frame.
 */
#pragma once

#include "updater/payload/apply.h"
#include "updater/payload/delta-format.h"

/* Reads @size bytes at @offset. */
typedef gboolean (*ProaDeltaRead)(
	guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error);

typedef struct {
	const char *old_hash;   /* what the old image is known to be: 64 hexadecimal digits */
	ProaDeltaRead read_old; /* reads within the old image */
	ProaDeltaRead read_new; /* reads again what @sink took */
	ProaPayloadSink
		sink; /* as of proa_payload_apply(); only the last call's size may be no multiple of 4096 */
	ProaPayloadProgress progress; /* may be NULL */
	/*
	 * To go on: the first @from bytes of the image (a multiple of 4096) are there already, the sink gets
	 * those after them. @reopen, if not NULL, opens the payload anew at @offset, where the frame begins
	 * in which
	 * @from lies; otherwise the frames before it are read and dropped. Only with @expect->header_sha256.
	 */
	guint64 from;
	ProaStream *(*reopen)(guint64 offset, gpointer user_data, GError **error);
	gpointer user_data;
} ProaDeltaTarget;

/*
 * Reads the whole payload from @in and gives the image to @target->sink, in order. @expect->root_hash is the
 * hash of the new image. On failure the sink may have got a part. Fails with BAD_PAYLOAD (a delta of other
 * images too), PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, or what @in and @target fail with.
 */
gboolean proa_delta_apply(ProaStream *in, const ProaPayloadExpect *expect, const ProaDeltaTarget *target,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

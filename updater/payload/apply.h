/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: turns the stream of a payload back into the root image, frame by frame, in memory that does not grow
 * with the image: one compressed and one uncompressed frame, at most 4 MiB each.
 *
 * Nothing is decompressed before its digest is known to be right.
 */
#pragma once

#include "updater/fetch/stream.h"
#include "updater/payload/format.h"

/* What the signed manifest says of the payload and of the image it makes. */
typedef struct {
	guint64 size;              /* bytes of the payload */
	const char *sha256;        /* digest of the whole payload */
	const char *header_sha256; /* digest of header and frame table; NULL: not said */
	guint64 image_size;        /* bytes of the root image */
	const char *root_hash;     /* root hash of the image */
} ProaPayloadExpect;

/* Takes the next @size bytes of the image; @data is aligned to 4096 bytes, @size a multiple of 4096. */
typedef gboolean (*ProaPayloadSink)(const guint8 *data, gsize size, gpointer user_data, GError **error);

/* Told after each frame: bytes of the payload read so far. */
typedef void (*ProaPayloadProgress)(guint64 done, gpointer user_data);

/*
 * Reads the whole payload from @in and gives the image to @sink, in order. @progress may be NULL. On failure
 * @sink may have got a part. Fails with BAD_PAYLOAD, PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, or what @in or @sink
 * fail with.
 */
gboolean proa_payload_apply(ProaStream *in, const ProaPayloadExpect *expect, ProaPayloadSink sink,
	ProaPayloadProgress progress, gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

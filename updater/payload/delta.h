/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta: makes an image out of an old one and the stream of a `delta` payload, frame by frame, in memory that
 * does not grow with the images: one packed frame, its streams' dictionaries, and one file.
 *
 * Nothing is unpacked before its digest is known to be right. What a frame makes depends on the old image and
 * on the new one before the frame, so it can be taken up again at any frame.
 */
#pragma once

#include "updater/payload/delta-format.h"
#include "updater/payload/job.h"

/* What is made is given to the sink in pieces of so many bytes, where it has no room of its own. */
#define PROA_DELTA_OUT_SIZE ((gsize)128 * 1024)

/* The most memory that this takes, of any payload; bytes. Without modules half of it. */
#define PROA_DELTA_MAX_MEMORY (16u * 1024 * 1024)

typedef struct {
	const char *old_hash;         /* what the old image is known to be: 64 hexadecimal digits */
	ProaPayloadRead read_old;     /* reads within the old image */
	ProaPayloadRead read_new;     /* reads again what @sink took */
	ProaPayloadSink sink;         /* only the last call's size may be no multiple of 4096 */
	ProaPayloadRoom room;         /* may be NULL: then it has a buffer of its own */
	ProaPayloadProgress progress; /* may be NULL */
	/*
	 * To go on: the first @from bytes of the image (a multiple of 4096) are there already, the sink gets
	 * those after them. @open, if not NULL, opens the rest of the payload, from the frame in which @from
	 * lies, instead of what follows the head in the stream given; otherwise the frames before are read
	 * and dropped. Only with @expect->header_sha256.
	 */
	guint64 from;
	ProaPayloadOpen open;
	gboolean no_modules; /* refuses MODULE, which takes most of the memory: for what has none to make */
	gpointer user_data;
	/* As of a ProaPayloadJob. */
	ProaPayloadKeep keep;
	const guint8 *tail;
	gsize tail_size;
} ProaDeltaTarget;

/*
 * Reads the whole payload from @in and gives the image to @target->sink, in order. @expect->root_hash is the
 * hash of the new image. On failure the sink may have got a part. Fails with BAD_PAYLOAD (a delta of other
 * images too), PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, or what @in and @target fail with.
 */
gboolean proa_delta_apply(ProaStream *in, const ProaPayloadExpect *expect, const ProaDeltaTarget *target,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for a job of docs/architecture.md's transaction: the whole payload at once, or, to go on at
 * @job->from, its head and then what begins with the frame in which that lies. @old_hash: root hash of what
 * @job->read_old reads. What the old image has wrong comes out wrong: the root hash must have the last word.
 */
gboolean proa_delta_apply_job(
	const ProaPayloadJob *job, const char *old_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Bytes that proa_delta_apply_job() will fetch. Its head must be fetched to tell, unless @job->from is 0.
 * Fails as proa_delta_apply() does before the first frame.
 */
gboolean proa_delta_cost(const ProaPayloadJob *job, const char *old_hash, guint64 *ret_bytes,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

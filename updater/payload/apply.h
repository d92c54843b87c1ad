/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: turns the stream of a payload back into the root image, frame by frame, in memory that does not grow
 * with the image: one compressed and one uncompressed frame, at most 4 MiB each.
 *
 * Nothing is decompressed before its digest is known to be right.
 */
#pragma once

#include "updater/payload/format.h"
#include "updater/payload/job.h"

/*
 * Reads the whole payload from @in and gives the image to @sink, in order. @progress may be NULL. On failure
 * @sink may have got a part. Fails with BAD_PAYLOAD, PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, or what @in or @sink
 * fail with.
 */
gboolean proa_payload_apply(ProaStream *in, const ProaPayloadExpect *expect, ProaPayloadSink sink,
	ProaPayloadProgress progress, gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for a job of docs/architecture.md's transaction: fetches what is needed to go on at @job->from,
 * which is the frame in which it lies and all after it. Without a digest and size of the head, or where the
 * server gives no parts of files, all of it is fetched, and the sink given what follows @job->from.
 */
gboolean proa_full_apply(const ProaPayloadJob *job, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Bytes that proa_full_apply() will fetch. Its head must be fetched to tell, unless @job->from is 0. Fails as
 * proa_payload_apply() does before the first frame.
 */
gboolean proa_full_cost(
	const ProaPayloadJob *job, guint64 *ret_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/apply.h"

#include "updater/payload/head.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

typedef struct {
	const ProaPayloadJob *job;
	ProaStream *in;
	const ProaPayloadExpect *expect;
	GChecksum *whole; /* NULL if the frame table is authentic by itself */
	guint64 done;     /* bytes of the payload read */
	ProaPayloadHeader *header;
	ZSTD_DCtx *zstd;
	guint8 *compressed;
	guint8 *image; /* one frame, aligned for direct writes */
} Apply;

static void apply_clear(Apply *apply)
{
	if (apply->whole)
		g_checksum_free(apply->whole);
	proa_payload_header_free(apply->header);
	ZSTD_freeDCtx(apply->zstd);
	g_free(apply->compressed);
	free(apply->image);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Apply, apply_clear)

static gboolean take(Apply *apply, guint8 *data, gsize size, GError **error)
{
	gsize have = 0;

	if (!proa_stream_read_full(apply->in, data, size, &have, error))
		return FALSE;
	apply->done += have;
	if (have < size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED,
			"the payload ended after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes",
			apply->done, apply->expect->size);
	if (apply->whole)
		g_checksum_update(apply->whole, data, (gssize)size);
	return TRUE;
}

/* Header and table, checked against the manifest before anything is believed of them. */
static gboolean take_header(Apply *apply, GError **error)
{
	const ProaPayloadExpect *expect = apply->expect;
	guint8 fixed[PROA_PAYLOAD_HEADER_SIZE];

	if (!take(apply, fixed, sizeof fixed, error))
		return FALSE;
	apply->header = proa_payload_header_parse(fixed, error);
	if (!apply->header)
		return FALSE;

	gsize table_size = proa_payload_table_size(apply->header);
	g_autofree guint8 *table = g_malloc(table_size);
	if (!take(apply, table, table_size, error))
		return FALSE;
	if (expect->header_sha256) {
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
		g_checksum_update(sum, fixed, sizeof fixed);
		g_checksum_update(sum, table, (gssize)table_size);
		if (strcmp(g_checksum_get_string(sum), expect->header_sha256) != 0)
			return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
				"the payload's frame table is not the one that the manifest names");
	}
	if (!proa_payload_table_parse(apply->header, table, error))
		return FALSE;

	g_autofree char *root_hash = proa_hex_encode(apply->header->root_hash, PROA_SHA256_SIZE);
	if (apply->header->image_size != expect->image_size || strcmp(root_hash, expect->root_hash) != 0)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload makes another image than the manifest names");
	if (proa_payload_total_size(apply->header) != expect->size)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload's frames add up to another size than the "
			"manifest names");
	return TRUE;
}

/* As much as the largest frame needs, and no more: most of a transaction's memory is this. */
static gboolean allocate(Apply *apply, GError **error)
{
	gsize largest = MIN(apply->header->frame_size, apply->header->image_size);
	guint32 largest_compressed = 0;
	void *image = NULL;

	for (guint32 i = 0; i < apply->header->n_frames; i++)
		largest_compressed = MAX(largest_compressed, apply->header->frames[i].compressed_size);
	apply->zstd = ZSTD_createDCtx();
	if (!apply->zstd || posix_memalign(&image, PROA_PAYLOAD_BLOCK_SIZE, largest) != 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	apply->image = image;
	apply->compressed = g_malloc(largest_compressed);
	return TRUE;
}

static gboolean take_frame(Apply *apply, guint32 index, GError **error)
{
	const ProaPayloadFrame *frame = &apply->header->frames[index];
	guint32 length = proa_payload_frame_length(apply->header, index);
	guint8 digest[PROA_SHA256_SIZE];

	if (!take(apply, apply->compressed, frame->compressed_size, error))
		return FALSE;
	proa_head_digest(apply->compressed, frame->compressed_size, digest);
	if (memcmp(digest, frame->sha256, sizeof digest) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"frame %u of the payload has another digest than its "
			"table names",
			index);

	/* Exactly one frame of exactly that size: the whole window is the output, no other memory is asked
	 * for. */
	if (ZSTD_findFrameCompressedSize(apply->compressed, frame->compressed_size) !=
			frame->compressed_size ||
		ZSTD_getFrameContentSize(apply->compressed, frame->compressed_size) != length)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"frame %u of the payload is not one zstd frame of %u bytes", index, length);
	gsize n = ZSTD_decompressDCtx(
		apply->zstd, apply->image, length, apply->compressed, frame->compressed_size);
	if (ZSTD_isError(n))
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "frame %u of the payload: %s", index,
			ZSTD_getErrorName(n));
	if (n != length)
		return proa_fail(
			error, PROA_REASON_BAD_PAYLOAD, "frame %u of the payload is too short", index);
	return TRUE;
}

static gboolean take_end(Apply *apply, GError **error)
{
	guint8 more;
	gssize n = proa_stream_read(apply->in, &more, 1, error);

	if (n < 0)
		return FALSE;
	if (n > 0)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "the payload goes on after its last frame");
	if (apply->whole && strcmp(g_checksum_get_string(apply->whole), apply->expect->sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the payload's digest is not the one the manifest names");
	return TRUE;
}

static gboolean take_frames(Apply *apply, guint32 first, GError **error)
{
	const ProaPayloadJob *job = apply->job;

	for (guint32 i = first; i < apply->header->n_frames; i++) {
		if (!take_frame(apply, i, error) ||
			!proa_payload_emit(job, (guint64)i * apply->header->frame_size, apply->image,
				proa_payload_frame_length(apply->header, i), error))
			return FALSE;
		if (job->progress)
			job->progress(apply->done, job->user_data);
	}
	return take_end(apply, error);
}

static gboolean apply_whole(ProaStream *in, const ProaPayloadJob *job, GError **error)
{
	g_auto(Apply) apply = { .job = job, .in = in, .expect = job->expect };

	if (!job->expect->header_sha256)
		apply.whole = g_checksum_new(G_CHECKSUM_SHA256);
	return take_header(&apply, error) && allocate(&apply, error) && take_frames(&apply, 0, error);
}

gboolean proa_payload_apply(ProaStream *in, const ProaPayloadExpect *expect, ProaPayloadSink sink,
	ProaPayloadProgress progress, gpointer user_data, GError **error)
{
	const ProaPayloadJob job = {
		.expect = expect, .sink = sink, .progress = progress, .user_data = user_data
	};

	return apply_whole(in, &job, error);
}

/* The head by itself; its stream has ended then. */
static gboolean take_head_alone(Apply *apply, GError **error)
{
	const ProaPayloadJob *job = apply->job;
	const ProaPayloadRange head = { 0, job->expect->header_size };
	g_autoptr(ProaStream) in = job->open(&head, 1, job->user_data, error);

	apply->in = in;
	gboolean ok = in && take_header(apply, error);
	apply->in = NULL;
	return ok;
}

static gboolean can_go_on(const ProaPayloadJob *job)
{
	return job->from > 0 && job->expect->header_sha256 && job->expect->header_size > 0;
}

/* The frame in which @job->from lies, and bytes of the payload before it. */
static guint32 first_frame(const Apply *apply, guint64 *ret_before)
{
	guint32 first = (guint32)(apply->job->from / apply->header->frame_size);

	*ret_before = apply->expect->header_size;
	for (guint32 i = 0; i < first; i++)
		*ret_before += apply->header->frames[i].compressed_size;
	return first;
}

/* The frame in which @job->from lies, and what follows. */
static gboolean go_on(Apply *apply, GError **error)
{
	const ProaPayloadJob *job = apply->job;
	guint32 first = first_frame(apply, &apply->done);
	const ProaPayloadRange rest = { apply->done, job->expect->size - apply->done };
	g_autoptr(ProaStream) frames =
		allocate(apply, error) ? job->open(&rest, 1, job->user_data, error) : NULL;

	apply->in = frames;
	return frames && take_frames(apply, first, error);
}

/* Whether a server that gives no parts of files gave its answer. */
static gboolean gives_no_parts(const GError *error)
{
	return g_error_matches(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
}

gboolean proa_full_apply(const ProaPayloadJob *job, GError **error)
{
	if (job->from >= job->expect->image_size)
		return TRUE;
	if (can_go_on(job)) {
		g_auto(Apply) apply = { .job = job, .expect = job->expect };
		g_autoptr(GError) inner = NULL;
		if (take_head_alone(&apply, &inner))
			return go_on(&apply, error);
		if (!gives_no_parts(inner)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
	}
	/* Of what comes, the sink is given what it has not. */
	const ProaPayloadRange all = { 0, job->expect->size };
	g_autoptr(ProaStream) in = job->open(&all, 1, job->user_data, error);
	return in && apply_whole(in, job, error);
}

gboolean proa_full_cost(const ProaPayloadJob *job, guint64 *ret_bytes, GError **error)
{
	g_auto(Apply) apply = { .job = job, .expect = job->expect };
	g_autoptr(GError) inner = NULL;
	guint64 before = 0;

	*ret_bytes = job->from >= job->expect->image_size ? 0 : job->expect->size;
	if (*ret_bytes == 0 || !can_go_on(job))
		return TRUE;
	if (take_head_alone(&apply, &inner)) {
		first_frame(&apply, &before);
		*ret_bytes -= before - job->expect->header_size;
		return TRUE;
	}
	if (gives_no_parts(inner))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta.h"

#include "updater/payload/delta-module.h"
#include "updater/payload/delta-work.h"
#include "updater/payload/head.h"

#include <stdlib.h>
#include <string.h>

#define BAD PROA_REASON_BAD_PAYLOAD

/*
 * What applying takes at most, whatever the payload says: a packed frame and the table of all; what its
 * streams are unpacked with (liblzma has 28 KiB beside a dictionary of at most 4 bits of context); the old
 * image's window and cache; a module and its older self's tables, sections and names, what is known of where
 * its bytes went, and the last bytes of others.
 */
#define STREAMS_MEMORY                                                                                       \
	(PROA_DELTA_MAX_DICTIONARIES + _PROA_DELTA_STREAM_MAX * 28u * 1024 + PROA_DELTA_AHEAD_ALL)
#define MODULE_MEMORY                                                                                        \
	(PROA_DELTA_MAX_UNIT_MEMORY + PROA_DELTA_MAX_RUNS * PROA_DELTA_RUN_SIZE +                            \
		2 * PROA_DELTA_MAX_SECTIONS * (guint)sizeof(ProaDeltaSection) +                              \
		3 * PROA_DELTA_MAX_SECTIONS * 64 + PROA_DELTA_MAX_TAIL_BYTES +                               \
		PROA_DELTA_MAX_TAILS * (guint)sizeof(ProaDeltaTail))
G_STATIC_ASSERT(PROA_DELTA_MAX_FRAME_SIZE + PROA_DELTA_MAX_FRAMES * sizeof(ProaDeltaFrame) + STREAMS_MEMORY +
			PROA_DELTA_OUT_SIZE + PROA_DELTA_SOURCE_SIZE + MODULE_MEMORY <=
		PROA_DELTA_MAX_MEMORY);

static void work_clear(ProaDeltaWork *work)
{
	if (work->whole)
		g_checksum_free(work->whole);
	proa_stream_close(work->reopened);
	proa_delta_header_free(work->header);
	proa_delta_streams_free(work->streams);
	proa_delta_source_free(work->old_image);
	g_free(work->packed);
	g_clear_pointer(&work->tails, g_array_unref);
	free(work->own_out);
	g_free(work->unit);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaDeltaWork, work_clear)

static gboolean take(ProaDeltaWork *work, guint8 *data, gsize size, GError **error)
{
	gsize have = 0;

	if (!proa_stream_read_full(work->in, data, size, &have, error))
		return FALSE;
	work->taken += have;
	if (have < size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED,
			"the payload ended after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes",
			work->taken, work->expect->size);
	if (work->whole)
		g_checksum_update(work->whole, data, (gssize)size);
	return TRUE;
}

static gboolean check_images(const ProaDeltaWork *work, GError **error)
{
	g_autofree char *new_hash = proa_hex_encode(work->header->new_hash, PROA_SHA256_SIZE);
	g_autofree char *old_hash = proa_hex_encode(work->header->old_hash, PROA_SHA256_SIZE);

	if (work->header->new_size != work->expect->image_size ||
		strcmp(new_hash, work->expect->root_hash) != 0)
		return proa_fail(error, BAD, "the payload makes another image than the manifest names");
	if (strcmp(old_hash, work->target->old_hash) != 0)
		return proa_fail(error, BAD, "the payload is from %s, not from what is here", old_hash);
	if (proa_delta_total_size(work->header) != work->expect->size)
		return proa_fail(
			error, BAD, "the payload's frames add up to another size than the manifest names");
	return TRUE;
}

/* Header and table, checked against the manifest before anything is believed of them. */
static gboolean take_header(ProaDeltaWork *work, GError **error)
{
	guint8 fixed[PROA_DELTA_HEADER_SIZE];

	if (!take(work, fixed, sizeof fixed, error))
		return FALSE;
	work->header = proa_delta_header_parse(fixed, error);
	if (!work->header)
		return FALSE;
	gsize table_size = proa_delta_table_size(work->header);
	g_autofree guint8 *table = g_malloc(table_size);
	if (!take(work, table, table_size, error))
		return FALSE;
	if (work->expect->header_sha256) {
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
		g_checksum_update(sum, fixed, sizeof fixed);
		g_checksum_update(sum, table, (gssize)table_size);
		if (strcmp(g_checksum_get_string(sum), work->expect->header_sha256) != 0)
			return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
				"the payload's frame table is not the one that the manifest names");
	}
	return proa_delta_table_parse(work->header, table, error) && check_images(work, error);
}

/* Where the next bytes are made. */
static gboolean find_room(ProaDeltaWork *work, GError **error)
{
	void *out = NULL;

	if (work->target->room) {
		work->out = work->target->room(&work->out_size, work->target->user_data, error);
		return work->out != NULL;
	}
	if (work->own_out)
		return TRUE;
	if (posix_memalign(&out, 4096, PROA_DELTA_OUT_SIZE) != 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	work->out = work->own_out = out;
	work->out_size = PROA_DELTA_OUT_SIZE;
	return TRUE;
}

static void tail_clear(gpointer data)
{
	g_free(((ProaDeltaTail *)data)->data);
}

static gboolean allocate(ProaDeltaWork *work, GError **error)
{
	guint32 largest = 0;

	for (guint32 i = 0; i < work->header->n_frames; i++)
		largest = MAX(largest, work->header->frames[i].packed_size);
	work->packed = g_malloc(largest);
	work->tails = g_array_new(FALSE, FALSE, sizeof(ProaDeltaTail));
	g_array_set_clear_func(work->tails, tail_clear);
	work->old_image = proa_delta_source_new(
		work->target->read_old, work->target->user_data, work->header->old_size);
	return find_room(work, error);
}

guint8 *proa_delta_room(ProaDeltaWork *work, gsize want, gsize *ret_size)
{
	*ret_size = MIN(want, work->out_size - work->out_have);
	return work->out + work->out_have;
}

static gboolean flush(ProaDeltaWork *work, GError **error)
{
	guint64 begin = work->made - work->out_have, from = work->target->from;
	gsize size = work->out_have, there = begin < from ? (gsize)MIN(from - begin, (guint64)size) : 0;

	work->out_have = 0;
	if (there < size &&
		!work->target->sink(work->out + there, size - there, work->target->user_data, error))
		return FALSE;
	return work->made == work->header->new_size || find_room(work, error);
}

gboolean proa_delta_commit(ProaDeltaWork *work, gsize size, GError **error)
{
	work->out_have += size;
	work->made += size;
	return work->out_have < work->out_size || flush(work, error);
}

gboolean proa_delta_emit(ProaDeltaWork *work, const guint8 *data, gsize size, GError **error)
{
	while (size > 0) {
		gsize n;
		guint8 *out = proa_delta_room(work, size, &n);
		memcpy(out, data, n);
		if (!proa_delta_commit(work, n, error))
			return FALSE;
		data += n;
		size -= n;
	}
	return TRUE;
}

gboolean proa_delta_read_made(ProaDeltaWork *work, guint64 offset, guint8 *data, gsize size, GError **error)
{
	guint64 flushed = work->made - work->out_have;

	if (offset > work->made || size > work->made - offset)
		return proa_fail(error, BAD, "the payload reads what it has not made yet");
	gsize n = offset < flushed ? (gsize)MIN((guint64)size, flushed - offset) : 0;
	if (n > 0 && !work->target->read_new(offset, data, n, work->target->user_data, error))
		return FALSE;
	if (n < size)
		memcpy(data + n, work->out + (offset + n - flushed), size - n);
	return TRUE;
}

static gboolean read_image(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	return proa_delta_source_read(((ProaDeltaWork *)user_data)->old_image, offset, data, size, error);
}

static gboolean run_frame(ProaDeltaWork *work, const ProaDeltaFrame *frame, GError **error)
{
	ProaDeltaPlace place = { .read_old = read_image,
		.user_data = work,
		.old_at = &work->old_at,
		.units = !work->target->no_modules };

	work->streams = proa_delta_streams_new(work->packed, frame->packed_size, error);
	if (!work->streams)
		return FALSE;
	work->old_at = work->old_tail_at = work->new_tail_at = 0;
	g_array_set_size(work->tails, 0);
	work->tail_bytes = 0;
	if (!proa_delta_run_ops(work, &place, frame->length, error))
		return FALSE;
	if (!proa_delta_streams_ended(work->streams))
		return proa_fail(error, BAD, "a frame's streams go on after its last operation");
	g_clear_pointer(&work->streams, proa_delta_streams_free);
	return TRUE;
}

static gboolean take_frame(ProaDeltaWork *work, guint32 index, GError **error)
{
	const ProaDeltaFrame *frame = &work->header->frames[index];
	guint8 digest[PROA_SHA256_SIZE];

	if (!take(work, work->packed, frame->packed_size, error))
		return FALSE;
	proa_head_digest(work->packed, frame->packed_size, digest);
	if (memcmp(digest, frame->sha256, sizeof digest) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"frame %u of the payload has another digest than its table names", index);
	if (run_frame(work, frame, error))
		return TRUE;
	g_prefix_error(error, "frame %u: ", index);
	return FALSE;
}

/* The frame that makes the byte @from of the image; what the frames before it make, and their bytes. */
static guint32 find_frame(const ProaDeltaHeader *header, guint64 from, guint64 *ret_made, guint64 *ret_packed)
{
	guint32 index = 0;

	*ret_made = *ret_packed = 0;
	for (; index < header->n_frames && *ret_made + header->frames[index].length <= from; index++) {
		*ret_made += header->frames[index].length;
		*ret_packed += header->frames[index].packed_size;
	}
	return index;
}

/* Goes to the frame in which the image goes on, and tells its number. */
static gboolean seek_frame(ProaDeltaWork *work, guint32 *ret_index, GError **error)
{
	const ProaDeltaHeader *header = work->header;
	const ProaDeltaTarget *target = work->target;
	guint64 skipped;

	*ret_index = find_frame(header, target->from + target->tail_size, &work->made, &skipped);
	gboolean anew = target->open && target->from > 0;
	if (*ret_index == 0 && !anew)
		return TRUE;
	for (guint32 i = 0; i < *ret_index && !anew; i++)
		if (!take(work, work->packed, header->frames[i].packed_size, error))
			return FALSE;
	/* What the frames before made of this frame's first block is there to be read again, or was kept. */
	work->out_have = (gsize)(work->made % 4096);
	if (work->out_have > 0 && work->made - work->out_have == target->from && target->tail_size > 0)
		memcpy(work->out, target->tail, work->out_have);
	else if (work->out_have > 0 && !target->read_new(work->made - work->out_have, work->out,
					       work->out_have, target->user_data, error))
		return FALSE;
	if (!anew)
		return TRUE;
	work->taken += skipped;
	const ProaPayloadRange rest = { work->taken, work->expect->size - work->taken };
	work->in = work->reopened = target->open(&rest, 1, target->user_data, error);
	return work->in != NULL;
}

/* What a frame made goes to the sink before the next is fetched, so that a break costs one frame. */
static gboolean end_frame(ProaDeltaWork *work, GError **error)
{
	const ProaDeltaTarget *target = work->target;
	gsize size = (gsize)(work->made % 4096);
	guint8 tail[4096];

	if (work->out_have > size) {
		memcpy(tail, work->out + work->out_have - size, size);
		work->out_have -= size;
		work->made -= size;
		if (!flush(work, error))
			return FALSE;
		memcpy(work->out, tail, size);
		work->out_have += size;
		work->made += size;
	}
	if (target->keep && size > 0)
		target->keep(work->out, size, target->user_data);
	return TRUE;
}

static gboolean take_end(ProaDeltaWork *work, GError **error)
{
	guint8 more;
	gssize n = proa_stream_read(work->in, &more, 1, error);

	if (n < 0)
		return FALSE;
	if (n > 0)
		return proa_fail(error, BAD, "the payload goes on after its last frame");
	if (work->whole && strcmp(g_checksum_get_string(work->whole), work->expect->sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the payload's digest is not the one the manifest names");
	return TRUE;
}

gboolean proa_delta_apply(
	ProaStream *in, const ProaPayloadExpect *expect, const ProaDeltaTarget *target, GError **error)
{
	g_auto(ProaDeltaWork) work = { .in = in, .expect = expect, .target = target };

	if (!expect->header_sha256)
		work.whole = g_checksum_new(G_CHECKSUM_SHA256);
	guint32 first = 0;

	if (!take_header(&work, error) || !allocate(&work, error) || !seek_frame(&work, &first, error))
		return FALSE;
	for (guint32 i = first; i < work.header->n_frames; i++) {
		if (!take_frame(&work, i, error) ||
			(i + 1 < work.header->n_frames && !end_frame(&work, error)))
			return FALSE;
		if (target->progress)
			target->progress(work.taken, target->user_data);
	}
	return flush(&work, error) && take_end(&work, error);
}

static ProaStream *open_start(const ProaPayloadJob *job, guint64 length, GError **error)
{
	const ProaPayloadRange range = { 0, length };

	return job->open(&range, 1, job->user_data, error);
}

gboolean proa_delta_apply_job(const ProaPayloadJob *job, const char *old_hash, GError **error)
{
	const ProaDeltaTarget target = { .old_hash = old_hash,
		.read_old = job->read_old,
		.read_new = job->read_new,
		.sink = job->sink,
		.room = job->room,
		.progress = job->progress,
		.from = job->from,
		.open = job->open,
		.user_data = job->user_data,
		.keep = job->keep,
		.tail = job->tail,
		.tail_size = job->tail_size };

	if (job->from >= job->expect->image_size)
		return TRUE;
	guint64 length = job->from > 0 ? job->expect->header_size : job->expect->size;
	g_autoptr(ProaStream) in = open_start(job, length, error);
	return in && proa_delta_apply(in, job->expect, &target, error);
}

gboolean proa_delta_cost(const ProaPayloadJob *job, const char *old_hash, guint64 *ret_bytes, GError **error)
{
	const ProaDeltaTarget target = { .old_hash = old_hash };
	guint64 made, before;

	*ret_bytes = job->expect->size;
	if (job->from == 0)
		return TRUE;
	g_autoptr(ProaStream) in = open_start(job, job->expect->header_size, error);
	g_auto(ProaDeltaWork) work = { .in = in, .expect = job->expect, .target = &target };
	if (!in || !take_header(&work, error))
		return FALSE;
	find_frame(work.header, job->from + job->tail_size, &made, &before);
	*ret_bytes -= before;
	return TRUE;
}

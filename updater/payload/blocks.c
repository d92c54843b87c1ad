/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

typedef struct {
	const ProaBlocksPlan *plan;
	const ProaBlocksHeader *header;
	const ProaPayloadJob *job;
	ProaStream *in; /* the frames that the plan needs, in order; opened with the first of them */
	ZSTD_DCtx *zstd;
	guint8 *packed;
	guint8 *window;  /* the image from @base on; aligned */
	guint64 base;    /* where in the image the window begins, a multiple of 4096 */
	gsize kept;      /* bytes of the window before the group at hand */
	gsize room;      /* of the window */
	guint64 *offset; /* where each frame lies in the payload; only made to mend */
	ProaBlocksCount count;
} Blocks;

static void blocks_clear(Blocks *blocks)
{
	proa_stream_close(blocks->in);
	ZSTD_freeDCtx(blocks->zstd);
	g_free(blocks->packed);
	free(blocks->window);
	g_free(blocks->offset);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Blocks, blocks_clear)

static gboolean allocate(Blocks *blocks, GError **error)
{
	const ProaBlocksHeader *header = blocks->header;
	guint32 largest = 0;
	void *window = NULL;

	for (guint32 i = 0; i < header->n_frames; i++)
		largest = MAX(largest, header->frames[i].packed_size);
	/* Room for a step before the group: its dictionary may end that far back. */
	blocks->room = (gsize)header->window + header->step + PROA_BLOCKS_GROUP_SIZE;
	blocks->room = (gsize)MIN((guint64)blocks->room, header->image_size);
	blocks->zstd = ZSTD_createDCtx();
	if (!blocks->zstd || posix_memalign(&window, PROA_BLOCKS_BLOCK_SIZE, blocks->room) != 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	blocks->window = window;
	blocks->packed = g_malloc(largest);
	return TRUE;
}

/* Drops what no frame of the group at @begin or after it can refer to. */
static void slide(Blocks *blocks, guint64 begin)
{
	guint64 end = begin - begin % blocks->header->step;
	guint64 oldest = end - MIN((guint64)blocks->header->window, end);
	gsize drop = (gsize)(oldest - blocks->base);

	g_assert(oldest >= blocks->base && drop <= blocks->kept);
	if (drop == 0)
		return;
	memmove(blocks->window, blocks->window + drop, blocks->kept - drop);
	blocks->base = oldest;
	blocks->kept -= drop;
}

/* What lies before the first group that is made, read from the slot. */
static gboolean fill_window(Blocks *blocks, guint64 begin, GError **error)
{
	guint64 end = begin - begin % blocks->header->step;

	blocks->base = end - MIN((guint64)blocks->header->window, end);
	blocks->kept = (gsize)(begin - blocks->base);
	if (blocks->kept == 0)
		return TRUE;
	return blocks->job->read_new(
		blocks->base, blocks->window, blocks->kept, blocks->job->user_data, error);
}

static gboolean unpack(Blocks *blocks, guint32 index, GError **error)
{
	const ProaBlocksFrame *frame = &blocks->header->frames[index];
	guint32 length = proa_blocks_frame_length(blocks->header, index), dictionary_size = 0;
	guint64 dictionary = 0, at = (guint64)index * blocks->header->frame_size;
	guint8 digest[PROA_BLOCKS_FRAME_DIGEST_SIZE];

	proa_blocks_frame_digest(blocks->packed, frame->packed_size, digest);
	if (memcmp(digest, frame->digest, sizeof digest) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"frame %u of the payload has another digest than its table names", index);
	proa_blocks_dictionary(blocks->header, index, &dictionary, &dictionary_size);
	/* Exactly one frame of exactly that size: no other memory is asked for. */
	if (ZSTD_findFrameCompressedSize(blocks->packed, frame->packed_size) != frame->packed_size ||
		ZSTD_getFrameContentSize(blocks->packed, frame->packed_size) != length)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"frame %u of the payload is not one zstd frame of %u bytes", index, length);
	gsize n = ZSTD_DCtx_refPrefix(
		blocks->zstd, blocks->window + (dictionary - blocks->base), dictionary_size);
	if (!ZSTD_isError(n))
		n = ZSTD_decompressDCtx(blocks->zstd, blocks->window + (at - blocks->base), length,
			blocks->packed, frame->packed_size);
	if (ZSTD_isError(n) || n != length)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "frame %u of the payload: %s", index,
			ZSTD_isError(n) ? ZSTD_getErrorName(n) : "it is too short");
	return TRUE;
}

static gboolean read_packed(Blocks *blocks, ProaStream *in, guint32 index, GError **error)
{
	gsize size = blocks->header->frames[index].packed_size, have = 0;

	if (!proa_stream_read_full(in, blocks->packed, size, &have, error))
		return FALSE;
	blocks->count.fetched += have;
	if (have < size)
		return proa_fail(
			error, PROA_REASON_PAYLOAD_TRUNCATED, "the payload ended within frame %u", index);
	return TRUE;
}

static gboolean take_frame(Blocks *blocks, guint32 index, GError **error)
{
	if (!blocks->in) {
		g_autoptr(GArray) ranges = proa_blocks_plan_ranges(blocks->plan, blocks->job->from, NULL);
		blocks->count.requests += ranges->len;
		blocks->in = blocks->job->open(
			(const ProaPayloadRange *)ranges->data, ranges->len, blocks->job->user_data, error);
	}
	if (!blocks->in || !read_packed(blocks, blocks->in, index, error) || !unpack(blocks, index, error))
		return FALSE;
	if (blocks->job->progress)
		blocks->job->progress(blocks->count.fetched, blocks->job->user_data);
	return TRUE;
}

/* A frame out of turn, over a stream of its own: rare, or never. */
static gboolean take_frame_alone(Blocks *blocks, guint32 index, GError **error)
{
	if (!blocks->offset) {
		guint64 at = proa_blocks_head_size(blocks->header);
		blocks->offset = g_new(guint64, blocks->header->n_frames);
		for (guint32 i = 0; i < blocks->header->n_frames;
			at += blocks->header->frames[i++].packed_size)
			blocks->offset[i] = at;
	}
	const ProaPayloadRange range = { blocks->offset[index], blocks->header->frames[index].packed_size };
	g_autoptr(ProaStream) in = blocks->job->open(&range, 1, blocks->job->user_data, error);
	blocks->count.requests++;
	return in && read_packed(blocks, in, index, error) && unpack(blocks, index, error);
}

/* Fills blocks @first to @end from what the node holds. Old blocks that lay together are read together. */
static gboolean copy_blocks(Blocks *blocks, guint32 first, guint32 end, GError **error)
{
	const guint32 *sources = blocks->plan->sources;

	for (guint32 i = first, n = 1; i < end; i += n, n = 1) {
		guint8 *to = blocks->window + ((guint64)i * PROA_BLOCKS_BLOCK_SIZE - blocks->base);
		if (sources[i] == PROA_BLOCKS_ZERO) {
			memset(to, 0, PROA_BLOCKS_BLOCK_SIZE);
			continue;
		}
		while (i + n < end && sources[i + n] == sources[i] + n)
			n++;
		gsize size = (gsize)n * PROA_BLOCKS_BLOCK_SIZE;
		if (!blocks->job->read_old((guint64)sources[i] * PROA_BLOCKS_BLOCK_SIZE, to, size,
			    blocks->job->user_data, error))
			return FALSE;
		blocks->count.copied += size;
	}
	return TRUE;
}

typedef struct {
	guint32 index;
	guint32 first_frame, end_frame;
	guint32 n_blocks;
	guint64 begin; /* bytes of the image */
	gsize size;
} Group;

static Group group_of(const Blocks *blocks, guint32 index)
{
	const ProaBlocksHeader *header = blocks->header;
	guint32 per_group = PROA_BLOCKS_GROUP_SIZE / header->frame_size;
	Group group = { .index = index, .begin = (guint64)index * PROA_BLOCKS_GROUP_SIZE };

	group.size = (gsize)MIN((guint64)PROA_BLOCKS_GROUP_SIZE, header->image_size - group.begin);
	group.n_blocks = (guint32)(group.size / PROA_BLOCKS_BLOCK_SIZE);
	group.first_frame = index * per_group;
	group.end_frame = MIN(group.first_frame + per_group, header->n_frames);
	return group;
}

static gboolean assemble(Blocks *blocks, const Group *group, GError **error)
{
	guint32 per_frame = blocks->header->frame_size / PROA_BLOCKS_BLOCK_SIZE;

	for (guint32 i = group->first_frame; i < group->end_frame; i++) {
		guint32 first = i * per_frame;
		guint32 n = proa_blocks_frame_length(blocks->header, i) / PROA_BLOCKS_BLOCK_SIZE;
		if (proa_blocks_plan_needs(blocks->plan, i) ? !take_frame(blocks, i, error)
							    : !copy_blocks(blocks, first, first + n, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean matches(Blocks *blocks, const Group *group)
{
	guint8 digest[PROA_VERITY_DIGEST_SIZE];

	proa_verity_hash_group(blocks->plan->hash, blocks->window + (group->begin - blocks->base),
		group->n_blocks, NULL, digest);
	return memcmp(digest, blocks->header->groups + (gsize)group->index * PROA_VERITY_DIGEST_SIZE,
		       sizeof digest) == 0;
}

/* The old image's blocks were not what its tree says: everything of this group is fetched. */
static gboolean mend(Blocks *blocks, const Group *group, GError **error)
{
	blocks->count.mended++;
	for (guint32 i = group->first_frame; i < group->end_frame; i++)
		if (!proa_blocks_plan_needs(blocks->plan, i) && !take_frame_alone(blocks, i, error))
			return FALSE;
	return matches(blocks, group) ? TRUE
				      : proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
						"the payload's blocks from %" G_GUINT64_FORMAT
						" on are not those of the root hash",
						group->begin / PROA_BLOCKS_BLOCK_SIZE);
}

static gboolean apply_groups(Blocks *blocks, GError **error)
{
	const ProaPayloadJob *job = blocks->job;
	guint32 first = (guint32)(job->from / PROA_BLOCKS_GROUP_SIZE);

	if (job->from >= blocks->header->image_size)
		return TRUE;
	if (!fill_window(blocks, (guint64)first * PROA_BLOCKS_GROUP_SIZE, error))
		return FALSE;
	for (guint32 i = first; i < proa_blocks_n_groups(blocks->header); i++) {
		Group group = group_of(blocks, i);
		slide(blocks, group.begin);
		if (!assemble(blocks, &group, error) ||
			(!matches(blocks, &group) && !mend(blocks, &group, error)) ||
			!proa_payload_emit(job, group.begin, blocks->window + (group.begin - blocks->base),
				group.size, error))
			return FALSE;
		blocks->kept += group.size;
	}
	return TRUE;
}

gboolean proa_blocks_apply(
	const ProaBlocksPlan *plan, const ProaPayloadJob *job, ProaBlocksCount *ret_count, GError **error)
{
	g_auto(Blocks) blocks = { .plan = plan, .header = plan->header, .job = job };
	gboolean ok = allocate(&blocks, error) && apply_groups(&blocks, error);

	if (ret_count)
		*ret_count = blocks.count;
	return ok;
}

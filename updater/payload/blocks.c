/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Ranges asked for in one stream: what it takes to tell of them does not grow with the image. */
#define RANGES_AT_ONCE 2048u
/* A device that fails in this many places has no more to give: each try may take seconds. */
#define MOST_UNREADABLE 64u

typedef struct {
	const ProaBlocksPlan *plan;
	const ProaBlocksHeader *header;
	const ProaPayloadJob *job;
	ProaStream *in; /* the frames that the plan needs, in order, of the groups before @in_end */
	guint32 in_end;
	ZSTD_DCtx *zstd;
	guint8 *packed;
	guint8 *window;        /* the image from @base on; aligned */
	guint64 base;          /* where in the image the window begins, a multiple of 4096 */
	gsize kept;            /* bytes of the window before the group at hand */
	gsize room;            /* of the window */
	ProaBlocksGroup group; /* at hand */
	gboolean there[PROA_BLOCKS_GROUP_BLOCKS];  /* frames of it that are made */
	gboolean copied[PROA_BLOCKS_GROUP_BLOCKS]; /* those of them that did not come over the network */
	ProaBlocksCount count;
} Blocks;

static void blocks_clear(Blocks *blocks)
{
	proa_stream_close(blocks->in);
	ZSTD_freeDCtx(blocks->zstd);
	g_free(blocks->packed);
	free(blocks->window);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Blocks, blocks_clear)

static gboolean allocate(Blocks *blocks, GError **error)
{
	const ProaBlocksHeader *header = blocks->header;
	void *window = NULL;

	/* Room for a step before the group: its dictionary may end that far back. */
	blocks->room = (gsize)header->window + header->step + PROA_BLOCKS_GROUP_SIZE;
	blocks->room = (gsize)MIN((guint64)blocks->room, header->image_size);
	blocks->zstd = ZSTD_createDCtx();
	if (!blocks->zstd || posix_memalign(&window, PROA_BLOCKS_BLOCK_SIZE, blocks->room) != 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	blocks->window = window;
	blocks->packed = g_malloc(blocks->plan->largest);
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

/* --- frames -----------------------------------------------------------------------------------------------
 */

/* Frame @i of the group at hand, out of the packed bytes. */
static gboolean unpack(Blocks *blocks, guint32 i, GError **error)
{
	const ProaBlocksFrame *frame = &blocks->group.frames[i];
	guint32 index = blocks->group.first_frame + i, dictionary_size = 0;
	guint32 length = proa_blocks_frame_length(blocks->header, index);
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

static gboolean take_frame(Blocks *blocks, ProaStream *in, guint32 i, GError **error)
{
	gsize size = blocks->group.frames[i].packed_size, have = 0;

	if (!proa_stream_read_full(in, blocks->packed, size, &have, error))
		return FALSE;
	blocks->count.fetched += have;
	if (have < size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "the payload ended within frame %u",
			blocks->group.first_frame + i);
	if (!unpack(blocks, i, error))
		return FALSE;
	blocks->there[i] = TRUE;
	if (blocks->job->progress)
		blocks->job->progress(blocks->count.fetched, blocks->job->user_data);
	return TRUE;
}

/* The stream that the group's frames come in. */
static gboolean open_frames(Blocks *blocks, GError **error)
{
	if (blocks->in && blocks->group.index < blocks->in_end)
		return TRUE;
	g_autoptr(GArray) ranges = proa_blocks_plan_ranges(
		blocks->plan, blocks->group.index, RANGES_AT_ONCE, &blocks->in_end, error);
	if (!ranges)
		return FALSE;
	g_clear_pointer(&blocks->in, proa_stream_close);
	blocks->count.requests += ranges->len;
	blocks->in = blocks->job->open(
		(const ProaPayloadRange *)ranges->data, ranges->len, blocks->job->user_data, error);
	return blocks->in != NULL;
}

/* The group's frames that are not there, which the plan did not count on, over a stream of their own. */
static gboolean take_missing(Blocks *blocks, GError **error)
{
	const ProaBlocksGroup *group = &blocks->group;
	g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ProaPayloadRange));
	guint64 offset = group->packed_at;

	for (guint32 i = 0; i < group->n_frames; offset += group->frames[i++].packed_size) {
		const ProaPayloadRange range = { offset, group->frames[i].packed_size };
		ProaPayloadRange *last =
			ranges->len > 0 ? &g_array_index(ranges, ProaPayloadRange, ranges->len - 1) : NULL;
		if (blocks->there[i])
			continue;
		if (last && last->offset + last->length == offset)
			last->length += range.length;
		else
			g_array_append_val(ranges, range);
	}
	if (ranges->len == 0)
		return TRUE;
	blocks->count.requests += ranges->len;
	g_autoptr(ProaStream) in = blocks->job->open(
		(const ProaPayloadRange *)ranges->data, ranges->len, blocks->job->user_data, error);
	if (!in)
		return FALSE;
	for (guint32 i = 0; i < group->n_frames; i++)
		if (!blocks->there[i] && !take_frame(blocks, in, i, error))
			return FALSE;
	return TRUE;
}

/* --- what the node holds ----------------------------------------------------------------------------------
 */

static gboolean read_old(Blocks *blocks, guint32 block, guint8 *to, gsize size)
{
	if (!blocks->job->read_old || blocks->count.unreadable >= MOST_UNREADABLE)
		return FALSE;
	blocks->count.copied += size;
	return blocks->job->read_old(
		(guint64)block * PROA_BLOCKS_BLOCK_SIZE, to, size, blocks->job->user_data, NULL);
}

/* For frame @frame, from what was made before: in the slot, or still in the window. */
static gboolean read_made(Blocks *blocks, guint32 frame, guint32 block, guint8 *to, gsize size)
{
	guint64 at = (guint64)block * PROA_BLOCKS_BLOCK_SIZE, begin = blocks->group.begin;

	blocks->count.repeated += size;
	if (at < blocks->base)
		return blocks->job->read_new(at, to, size, blocks->job->user_data, NULL);
	guint64 other = at < begin ? frame : (at - begin) / blocks->header->frame_size;
	if (other != frame && !blocks->there[other])
		return FALSE;
	memcpy(to, blocks->window + (at - blocks->base), size);
	return TRUE;
}

/* How many blocks from @i on, of those before @end, can be read together. */
static guint32 run_length(const Blocks *blocks, guint32 i, guint32 end)
{
	const guint32 *sources = blocks->group.sources;
	guint32 n = 1, most = end - i;

	if (proa_blocks_is_made(sources[i])) {
		guint64 base = blocks->base / PROA_BLOCKS_BLOCK_SIZE, first = sources[i] & ~PROA_BLOCKS_MADE;
		most = first < base ? (guint32)MIN((guint64)most, base - first) : 1;
	}
	while (n < most && sources[i + n] == sources[i] + n)
		n++;
	return n;
}

/* Frame @frame of the group; FALSE if something of it can't be had. */
static gboolean copy_frame(Blocks *blocks, guint32 frame)
{
	const ProaBlocksGroup *group = &blocks->group;
	guint32 first, blocks_of_it = proa_blocks_frame_blocks(blocks->plan, group, frame, &first);
	guint32 end = first + blocks_of_it;

	for (guint32 i = first, n = 1; i < end; i += n, n = 1) {
		guint32 source = group->sources[i];
		guint8 *to =
			blocks->window + (group->begin - blocks->base) + (gsize)i * PROA_BLOCKS_BLOCK_SIZE;
		if (source == PROA_BLOCKS_ZERO) {
			memset(to, 0, PROA_BLOCKS_BLOCK_SIZE);
			continue;
		}
		n = run_length(blocks, i, end);
		gsize size = (gsize)n * PROA_BLOCKS_BLOCK_SIZE;
		if (proa_blocks_is_made(source)
				? !read_made(blocks, frame, source & ~PROA_BLOCKS_MADE, to, size)
				: !read_old(blocks, source, to, size))
			return FALSE;
	}
	return TRUE;
}

/* --- groups -----------------------------------------------------------------------------------------------
 */

/* Every frame of the group: as the plan says, and those that can't be had like that fetched. */
static gboolean assemble(Blocks *blocks, GError **error)
{
	const ProaBlocksGroup *group = &blocks->group;

	memset(blocks->there, 0, sizeof blocks->there);
	memset(blocks->copied, 0, sizeof blocks->copied);
	for (guint32 i = 0; i < group->n_frames; i++) {
		if (proa_blocks_plan_needs(blocks->plan, group, i)) {
			if (!open_frames(blocks, error) || !take_frame(blocks, blocks->in, i, error))
				return FALSE;
			continue;
		}
		blocks->there[i] = blocks->copied[i] = copy_frame(blocks, i);
		if (!blocks->there[i])
			blocks->count.unreadable++;
	}
	return take_missing(blocks, error);
}

static gboolean matches(Blocks *blocks)
{
	const ProaBlocksGroup *group = &blocks->group;
	guint8 digest[PROA_VERITY_DIGEST_SIZE];

	proa_verity_hash_group(blocks->plan->hash, blocks->window + (group->begin - blocks->base),
		group->n_blocks, NULL, digest);
	return memcmp(digest, blocks->header->groups + (gsize)group->index * PROA_VERITY_DIGEST_SIZE,
		       sizeof digest) == 0;
}

/* What was copied is not what the trees say: everything of this group is fetched. */
static gboolean mend(Blocks *blocks, GError **error)
{
	const ProaBlocksGroup *group = &blocks->group;

	blocks->count.mended++;
	for (guint32 i = 0; i < group->n_frames; i++)
		if (blocks->copied[i])
			blocks->there[i] = FALSE;
	return take_missing(blocks, error) &&
	       (matches(blocks) ? TRUE
				: proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
					  "the payload's blocks from %" G_GUINT64_FORMAT
					  " on are not those of the root hash",
					  group->begin / PROA_BLOCKS_BLOCK_SIZE));
}

static gboolean apply_groups(Blocks *blocks, GError **error)
{
	const ProaPayloadJob *job = blocks->job;
	ProaBlocksGroup *group = &blocks->group;
	guint32 first = (guint32)(job->from / PROA_BLOCKS_GROUP_SIZE);

	if (job->from >= blocks->header->image_size)
		return TRUE;
	if (!fill_window(blocks, (guint64)first * PROA_BLOCKS_GROUP_SIZE, error))
		return FALSE;
	for (guint32 i = first; i < proa_blocks_n_groups(blocks->header); i++) {
		if (i == first ? !proa_blocks_plan_group(blocks->plan, i, group, error)
			       : !proa_blocks_plan_next(blocks->plan, group, error))
			return FALSE;
		slide(blocks, group->begin);
		if (!assemble(blocks, error) || (!matches(blocks) && !mend(blocks, error)) ||
			!proa_payload_emit(job, group->begin, blocks->window + (group->begin - blocks->base),
				group->size, error))
			return FALSE;
		blocks->kept += group->size;
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

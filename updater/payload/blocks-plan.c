/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-plan.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the head and the sources, what is in memory at a time. */
#define CHUNK_SIZE (64u * 1024)
#define CHUNK_BLOCKS 8192u
#define CHUNK_FRAMES 2048u

void proa_blocks_plan_free(ProaBlocksPlan *plan)
{
	if (!plan)
		return;
	proa_blocks_header_free(plan->header);
	proa_verity_hash_free(plan->hash);
	proa_close_fd(&plan->scratch);
	g_free(plan);
}

/* --- the head ---------------------------------------------------------------------------------------------
 */

/* What can be told from the fixed part, so that nothing hostile sizes what follows. */
static gboolean check_fixed(const ProaBlocksHeader *header, const ProaPayloadExpect *expect, GError **error)
{
	g_autofree char *root_hash = proa_hex_encode(header->root_hash, PROA_SHA256_SIZE);

	if (header->image_size != expect->image_size || strcmp(root_hash, expect->root_hash) != 0)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload makes another image than the manifest names");
	if (proa_blocks_head_size(header) != expect->header_size)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload's head is of another size than the manifest names");
	return TRUE;
}

static gboolean parse_fixed(
	ProaBlocksPlan *plan, const guint8 *fixed, const ProaPayloadExpect *expect, GError **error)
{
	g_clear_pointer(&plan->header, proa_blocks_header_free);
	plan->header = proa_blocks_header_parse(fixed, error);
	if (!plan->header || !check_fixed(plan->header, expect, error))
		return FALSE;
	plan->sources_at = (proa_blocks_head_size(plan->header) + CHUNK_SIZE - 1) / CHUNK_SIZE * CHUNK_SIZE;
	return TRUE;
}

/* Whether the file has the head that the manifest names: fetched before a break. */
static gboolean has_head(ProaBlocksPlan *plan, const ProaPayloadExpect *expect)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	struct stat file;

	if (plan->scratch < 0 || fstat(plan->scratch, &file) < 0 ||
		(guint64)file.st_size < expect->header_size ||
		expect->header_size < PROA_BLOCKS_HEADER_SIZE ||
		!proa_pread_all(plan->scratch, chunk, PROA_BLOCKS_HEADER_SIZE, 0, NULL) ||
		!parse_fixed(plan, chunk, expect, NULL))
		return FALSE;
	for (guint64 at = 0; at < expect->header_size; at += CHUNK_SIZE) {
		gsize n = (gsize)MIN((guint64)CHUNK_SIZE, expect->header_size - at);
		if (!proa_pread_all(plan->scratch, chunk, n, (goffset)at, NULL))
			return FALSE;
		g_checksum_update(sum, chunk, (gssize)n);
	}
	return strcmp(g_checksum_get_string(sum), expect->header_sha256) == 0;
}

/* In a file that has room for all of it, or else in memory: to bring a release with little is better than
 * not to. */
static gboolean open_scratch(ProaBlocksPlan *plan, const char *path, GError **error)
{
	plan->scratch = path ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
	if (plan->scratch < 0)
		plan->scratch = memfd_create("proa-blocks", MFD_CLOEXEC);
	return plan->scratch >= 0 ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "making room for the payload's head");
}

/* Whether the file can be so large without taking the room that others need; what it has is its own. */
static gboolean may_be(int fd, guint64 size)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return FALSE;
	guint64 has = (guint64)file.st_blocks * 512; /* as stat(2) counts */
	return has >= size || proa_file_has_room(fd, size - has);
}

/* Asks for all the room at once; nothing stays in the file where there is not enough. */
static gboolean reserve(ProaBlocksPlan *plan)
{
	guint64 size = plan->sources_at + proa_blocks_n_blocks(plan->header) * sizeof(guint32);

	if (may_be(plan->scratch, size) && ftruncate(plan->scratch, (off_t)size) == 0 &&
		posix_fallocate(plan->scratch, 0, (off_t)size) == 0)
		return TRUE;
	(void)!ftruncate(plan->scratch, 0);
	proa_close_fd(&plan->scratch);
	return FALSE;
}

typedef struct {
	ProaStream *in;
	GChecksum *sum; /* of all that came */
	guint64 at;
} Head;

static void head_clear(Head *head)
{
	proa_stream_close(head->in);
	if (head->sum)
		g_checksum_free(head->sum);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Head, head_clear)

static gboolean take(Head *head, guint8 *data, gsize size, GError **error)
{
	gsize have = 0;

	if (!proa_stream_read_full(head->in, data, size, &have, error))
		return FALSE;
	if (have < size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "the payload ended within its head");
	g_checksum_update(head->sum, data, (gssize)size);
	head->at += size;
	return TRUE;
}

static gboolean fetch_head(ProaBlocksPlan *plan, const ProaPayloadJob *job, GError **error)
{
	const ProaPayloadExpect *expect = job->expect;
	const ProaPayloadRange range = { 0, expect->header_size };
	g_auto(Head) head = { .in = job->open(&range, 1, job->user_data, error),
		.sum = g_checksum_new(G_CHECKSUM_SHA256) };
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);

	if (!head.in || !take(&head, chunk, PROA_BLOCKS_HEADER_SIZE, error) ||
		!parse_fixed(plan, chunk, expect, error) ||
		(!reserve(plan) && !open_scratch(plan, NULL, error)) ||
		!proa_pwrite_all(plan->scratch, chunk, PROA_BLOCKS_HEADER_SIZE, 0, error))
		return FALSE;
	while (head.at < expect->header_size) {
		guint64 at = head.at;
		gsize n = (gsize)MIN((guint64)CHUNK_SIZE, expect->header_size - at);
		if (!take(&head, chunk, n, error) ||
			!proa_pwrite_all(plan->scratch, chunk, n, (goffset)at, error))
			return FALSE;
	}
	if (strcmp(g_checksum_get_string(head.sum), expect->header_sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the payload's head is not the one that the manifest names");
	(void)fdatasync(plan->scratch); /* lost in a power cut it is fetched again */
	return TRUE;
}

static gboolean check_frames(ProaBlocksPlan *plan, const ProaPayloadExpect *expect, GError **error)
{
	const ProaBlocksHeader *header = plan->header;
	g_autofree guint8 *chunk = g_malloc(CHUNK_FRAMES * PROA_BLOCKS_FRAME_ENTRY_SIZE);
	guint64 total = proa_blocks_head_size(header);
	ProaBlocksFrame frame;

	for (guint32 at = 0; at < header->n_frames; at += CHUNK_FRAMES) {
		guint32 n = MIN(CHUNK_FRAMES, header->n_frames - at);
		if (!proa_pread_all(plan->scratch, chunk, (gsize)n * PROA_BLOCKS_FRAME_ENTRY_SIZE,
			    PROA_BLOCKS_HEADER_SIZE + (goffset)at * PROA_BLOCKS_FRAME_ENTRY_SIZE, error))
			return FALSE;
		for (guint32 i = 0; i < n; i++) {
			const guint8 *entry = chunk + (gsize)i * PROA_BLOCKS_FRAME_ENTRY_SIZE;
			if (!proa_blocks_frame_parse(header, at + i, entry, &frame, error))
				return FALSE;
			total += frame.packed_size;
			plan->largest = MAX(plan->largest, frame.packed_size);
		}
	}
	if (total != expect->size)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload's frames add up to another size than the manifest names");
	return TRUE;
}

/* The groups' digests are the tree's lowest level but one: they must lead to the root hash. */
static gboolean check_tree(ProaBlocksPlan *plan, GError **error)
{
	ProaBlocksHeader *header = plan->header;
	guint32 n = proa_blocks_n_groups(header);
	gsize size = (gsize)n * PROA_VERITY_DIGEST_SIZE;
	guint8 root[PROA_VERITY_DIGEST_SIZE];

	header->groups = g_malloc(size);
	if (!proa_pread_all(plan->scratch, header->groups, size,
		    PROA_BLOCKS_HEADER_SIZE + (goffset)header->n_frames * PROA_BLOCKS_FRAME_ENTRY_SIZE,
		    error))
		return FALSE;
	proa_verity_root_of_groups(plan->hash, header->groups, n, root);
	if (memcmp(root, header->root_hash, sizeof root) != 0)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"the payload's hash tree is not that of the root hash");
	return TRUE;
}

static gboolean take_head(ProaBlocksPlan *plan, const ProaPayloadJob *job, GError **error)
{
	if (!job->expect->header_sha256 || job->expect->header_size == 0)
		return proa_fail(
			error, PROA_REASON_BAD_MANIFEST, "the manifest does not name the payload's head");
	if (!open_scratch(plan, job->scratch, error))
		return FALSE;
	gboolean kept = has_head(plan, job->expect);
	if (kept && !reserve(plan)) {
		kept = FALSE;
		if (!open_scratch(plan, NULL, error))
			return FALSE;
	}
	if (!kept && !fetch_head(plan, job, error))
		return FALSE;
	g_assert(plan->header);
	plan->hash = proa_verity_hash_new(plan->header->salt);
	return check_frames(plan, job->expect, error) && check_tree(plan, error);
}

/* --- where each block comes from --------------------------------------------------------------------------
 */

/* Some of the blocks, one after the other. */
typedef struct {
	guint32 first, n;
	guint8 names[CHUNK_BLOCKS * PROA_BLOCKS_NAME_SIZE];
	guint32 sources[CHUNK_BLOCKS];
} Chunk;

static const guint8 *name_of(const Chunk *chunk, guint32 i)
{
	return chunk->names + (gsize)i * PROA_BLOCKS_NAME_SIZE;
}

static gboolean read_chunk(
	const ProaBlocksPlan *plan, guint32 first, gboolean sources, Chunk *chunk, GError **error)
{
	guint64 blocks = proa_blocks_n_blocks(plan->header);
	guint64 names_at = proa_blocks_head_size(plan->header) - blocks * PROA_BLOCKS_NAME_SIZE;

	chunk->first = first;
	chunk->n = (guint32)MIN((guint64)CHUNK_BLOCKS, blocks - first);
	return proa_pread_all(plan->scratch, chunk->names, (gsize)chunk->n * PROA_BLOCKS_NAME_SIZE,
		       (goffset)(names_at + (guint64)first * PROA_BLOCKS_NAME_SIZE), error) &&
	       (!sources || proa_pread_all(plan->scratch, chunk->sources, chunk->n * sizeof(guint32),
				    (goffset)(plan->sources_at + (guint64)first * sizeof(guint32)), error));
}

static gboolean write_sources(const ProaBlocksPlan *plan, const Chunk *chunk, GError **error)
{
	return proa_pwrite_all(plan->scratch, chunk->sources, chunk->n * sizeof(guint32),
		(goffset)(plan->sources_at + (guint64)chunk->first * sizeof(guint32)), error);
}

static gboolean mark_zeros(const ProaBlocksPlan *plan, Chunk *chunk, GError **error)
{
	static const guint8 zeros[PROA_BLOCKS_BLOCK_SIZE];
	guint32 blocks = (guint32)proa_blocks_n_blocks(plan->header);
	guint8 zero[PROA_VERITY_DIGEST_SIZE];

	proa_verity_hash_block(plan->hash, zeros, zero);
	for (guint32 at = 0; at < blocks; at += chunk->n) {
		if (!read_chunk(plan, at, FALSE, chunk, error))
			return FALSE;
		for (guint32 i = 0; i < chunk->n; i++)
			chunk->sources[i] = memcmp(name_of(chunk, i), zero, PROA_BLOCKS_NAME_SIZE) == 0
						    ? PROA_BLOCKS_ZERO
						    : PROA_BLOCKS_FETCH;
		if (!write_sources(plan, chunk, error))
			return FALSE;
	}
	return TRUE;
}

/* The block that @index has for the one at @at, as a source; PROA_BLOCKS_FETCH: none. @next: what lies behind
 * the source of the block before. */
static guint32 look_up(
	const ProaBlocksIndex *index, const guint8 *name, guint32 at, gboolean made, guint32 next)
{
	guint32 found = proa_blocks_index_find(index, name, next);

	if (found == PROA_BLOCKS_NONE || (made && found >= at))
		return PROA_BLOCKS_FETCH;
	return made ? found | PROA_BLOCKS_MADE : found;
}

/* Gives blocks that would be fetched the sources that @index knows: old ones, or those of the new image that
 * were @made before. */
static gboolean use_index(
	const ProaBlocksPlan *plan, const ProaBlocksIndex *index, gboolean made, Chunk *chunk, GError **error)
{
	guint32 blocks = (guint32)proa_blocks_n_blocks(plan->header), next = 0;

	for (guint32 at = 0; at < blocks; at += chunk->n) {
		gboolean changed = FALSE;
		if (!read_chunk(plan, at, TRUE, chunk, error))
			return FALSE;
		for (guint32 i = 0; i < chunk->n; i++) {
			guint32 *source = &chunk->sources[i];
			if (*source == PROA_BLOCKS_FETCH) {
				*source = look_up(index, name_of(chunk, i), at + i, made, next);
				changed |= *source != PROA_BLOCKS_FETCH;
			}
			if (*source < PROA_BLOCKS_ZERO && proa_blocks_is_made(*source) == made)
				next = (*source & ~PROA_BLOCKS_MADE) + 1;
		}
		if (changed && !write_sources(plan, chunk, error))
			return FALSE;
	}
	return TRUE;
}

/* Blocks that would be fetched: how many there are, and (@index not NULL) all of its part into it. */
static gboolean add_fetched(
	const ProaBlocksPlan *plan, ProaBlocksIndex *index, Chunk *chunk, guint64 *ret_n, GError **error)
{
	guint32 blocks = (guint32)proa_blocks_n_blocks(plan->header);

	*ret_n = 0;
	for (guint32 at = 0; at < blocks; at += chunk->n) {
		if (!read_chunk(plan, at, TRUE, chunk, error))
			return FALSE;
		for (guint32 i = 0; i < chunk->n; i++) {
			if (chunk->sources[i] != PROA_BLOCKS_FETCH)
				continue;
			(*ret_n)++;
			if (index)
				proa_blocks_index_add(index, name_of(chunk, i), at + i);
		}
	}
	return TRUE;
}

static gboolean find_old(ProaBlocksPlan *plan, const ProaVerityLeaves *old, Chunk *chunk, GError **error)
{
	guint parts = proa_blocks_index_parts(old->blocks);

	for (guint part = 0; part < parts; part++) {
		g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(part, parts, old->blocks);
		plan->unreadable = proa_blocks_index_add_leaves(index, old);
		proa_blocks_index_sort(index);
		if (!use_index(plan, index, FALSE, chunk, error))
			return FALSE;
	}
	(void)posix_fadvise(old->fd, 0, 0, POSIX_FADV_DONTNEED);
	return TRUE;
}

static gboolean find_made(const ProaBlocksPlan *plan, Chunk *chunk, GError **error)
{
	guint64 n = 0, left;

	if (!add_fetched(plan, NULL, chunk, &n, error))
		return FALSE;
	guint parts = proa_blocks_index_parts(n);
	for (guint part = 0; part < parts; part++) {
		g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(part, parts, n);
		if (!add_fetched(plan, index, chunk, &left, error))
			return FALSE;
		proa_blocks_index_sort(index);
		if (!use_index(plan, index, TRUE, chunk, error))
			return FALSE;
	}
	return TRUE;
}

ProaBlocksPlan *proa_blocks_plan_new(const ProaPayloadJob *job, const ProaVerityLeaves *old, GError **error)
{
	g_autoptr(ProaBlocksPlan) plan = g_new0(ProaBlocksPlan, 1);
	g_autofree Chunk *chunk = g_new(Chunk, 1);

	plan->scratch = -1;
	if (!take_head(plan, job, error) || !mark_zeros(plan, chunk, error))
		return NULL;
	g_assert(plan->header);
	if (old && memcmp(old->salt, plan->header->salt, PROA_VERITY_SALT_SIZE) == 0 &&
		!find_old(plan, old, chunk, error))
		return NULL;
	return find_made(plan, chunk, error) ? g_steal_pointer(&plan) : NULL;
}

/* --- the plan, a group at a time --------------------------------------------------------------------------
 */

static gboolean read_frames(
	const ProaBlocksPlan *plan, guint32 first, guint32 n, ProaBlocksFrame *frames, GError **error)
{
	guint8 entries[PROA_BLOCKS_GROUP_BLOCKS * PROA_BLOCKS_FRAME_ENTRY_SIZE];

	if (!proa_pread_all(plan->scratch, entries, (gsize)n * PROA_BLOCKS_FRAME_ENTRY_SIZE,
		    PROA_BLOCKS_HEADER_SIZE + (goffset)first * PROA_BLOCKS_FRAME_ENTRY_SIZE, error))
		return FALSE;
	for (guint32 i = 0; i < n; i++) {
		if (!proa_blocks_frame_parse(plan->header, first + i,
			    entries + (gsize)i * PROA_BLOCKS_FRAME_ENTRY_SIZE, &frames[i], error))
			return FALSE;
		/* It was checked before it was written there. */
		if (frames[i].packed_size > plan->largest)
			return proa_fail(
				error, PROA_REASON_IO, "the payload's head reads as it was not written");
	}
	return TRUE;
}

static gboolean read_sources(const ProaBlocksPlan *plan, ProaBlocksGroup *group, GError **error)
{
	guint32 first = group->index * PROA_BLOCKS_GROUP_BLOCKS;

	if (!proa_pread_all(plan->scratch, group->sources, group->n_blocks * sizeof(guint32),
		    (goffset)(plan->sources_at + (guint64)first * sizeof(guint32)), error))
		return FALSE;
	for (guint32 i = 0; i < group->n_blocks; i++)
		if (proa_blocks_is_made(group->sources[i]) &&
			(group->sources[i] & ~PROA_BLOCKS_MADE) >= first + i)
			return proa_fail(
				error, PROA_REASON_IO, "the payload's plan reads as it was not written");
	return TRUE;
}

/* All but where it lies in the payload. */
static gboolean read_group(const ProaBlocksPlan *plan, guint32 index, ProaBlocksGroup *group, GError **error)
{
	const ProaBlocksHeader *header = plan->header;
	guint32 per_group = PROA_BLOCKS_GROUP_SIZE / header->frame_size;

	g_assert(index < proa_blocks_n_groups(header));
	group->index = index;
	group->begin = (guint64)index * PROA_BLOCKS_GROUP_SIZE;
	group->size = (gsize)MIN((guint64)PROA_BLOCKS_GROUP_SIZE, header->image_size - group->begin);
	group->n_blocks = (guint32)(group->size / PROA_BLOCKS_BLOCK_SIZE);
	group->first_frame = index * per_group;
	group->n_frames = MIN(per_group, header->n_frames - group->first_frame);
	return read_frames(plan, group->first_frame, group->n_frames, group->frames, error) &&
	       read_sources(plan, group, error);
}

static guint64 packed_size(const ProaBlocksGroup *group)
{
	guint64 size = 0;

	for (guint32 i = 0; i < group->n_frames; i++)
		size += group->frames[i].packed_size;
	return size;
}

gboolean proa_blocks_plan_next(const ProaBlocksPlan *plan, ProaBlocksGroup *group, GError **error)
{
	group->packed_at += packed_size(group);
	return read_group(plan, group->index + 1, group, error);
}

gboolean proa_blocks_plan_group(
	const ProaBlocksPlan *plan, guint32 index, ProaBlocksGroup *ret_group, GError **error)
{
	ret_group->packed_at = proa_blocks_head_size(plan->header);
	if (!read_group(plan, 0, ret_group, error))
		return FALSE;
	while (ret_group->index < index)
		if (!proa_blocks_plan_next(plan, ret_group, error))
			return FALSE;
	return TRUE;
}

guint32 proa_blocks_frame_blocks(
	const ProaBlocksPlan *plan, const ProaBlocksGroup *group, guint32 frame, guint32 *ret_first)
{
	g_assert(frame < group->n_frames);
	*ret_first = frame * (plan->header->frame_size / PROA_BLOCKS_BLOCK_SIZE);
	return proa_blocks_frame_length(plan->header, group->first_frame + frame) / PROA_BLOCKS_BLOCK_SIZE;
}

gboolean proa_blocks_plan_needs(const ProaBlocksPlan *plan, const ProaBlocksGroup *group, guint32 frame)
{
	guint32 first, n = proa_blocks_frame_blocks(plan, group, frame, &first);

	for (guint32 i = first; i < first + n; i++)
		if (group->sources[i] == PROA_BLOCKS_FETCH)
			return TRUE;
	return FALSE;
}

GArray *proa_blocks_plan_ranges(
	const ProaBlocksPlan *plan, guint32 first, guint most, guint32 *ret_end, GError **error)
{
	g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ProaPayloadRange));
	guint32 end = proa_blocks_n_groups(plan->header), index = first;
	ProaBlocksGroup group;

	for (; index < end && ranges->len < most; index++) {
		if (index == first ? !proa_blocks_plan_group(plan, index, &group, error)
				   : !proa_blocks_plan_next(plan, &group, error))
			return NULL;
		guint64 offset = group.packed_at;
		for (guint32 i = 0; i < group.n_frames; offset += group.frames[i++].packed_size) {
			const ProaPayloadRange range = { offset, group.frames[i].packed_size };
			ProaPayloadRange *last =
				ranges->len > 0 ? &g_array_index(ranges, ProaPayloadRange, ranges->len - 1)
						: NULL;
			if (!proa_blocks_plan_needs(plan, &group, i))
				continue;
			if (last && last->offset + last->length == offset)
				last->length += range.length;
			else
				g_array_append_val(ranges, range);
		}
	}
	*ret_end = index;
	return g_steal_pointer(&ranges);
}

gboolean proa_blocks_plan_cost(const ProaBlocksPlan *plan, guint64 from, guint64 *ret_bytes, GError **error)
{
	guint32 first = (guint32)(from / PROA_BLOCKS_GROUP_SIZE), end = proa_blocks_n_groups(plan->header);
	ProaBlocksGroup group;
	guint64 bytes = 0;

	for (guint32 index = first; index < end && from < plan->header->image_size; index++) {
		if (index == first ? !proa_blocks_plan_group(plan, index, &group, error)
				   : !proa_blocks_plan_next(plan, &group, error))
			return FALSE;
		for (guint32 i = 0; i < group.n_frames; i++)
			if (proa_blocks_plan_needs(plan, &group, i))
				bytes += group.frames[i].packed_size;
	}
	*ret_bytes = bytes;
	return TRUE;
}

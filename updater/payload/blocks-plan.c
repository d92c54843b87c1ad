/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-plan.h"

#include <string.h>

void proa_blocks_plan_free(ProaBlocksPlan *plan)
{
	if (!plan)
		return;
	proa_blocks_header_free(plan->header);
	proa_verity_hash_free(plan->hash);
	g_free(plan->sources);
	g_free(plan->names);
	g_free(plan);
}

/* The head on its way: all of it goes into one digest. */
typedef struct {
	ProaStream *in;
	GChecksum *sum;
} Head;

static void head_clear(Head *head)
{
	proa_stream_close(head->in);
	if (head->sum)
		g_checksum_free(head->sum);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Head, head_clear)

static guint8 *take(Head *head, gsize size, GError **error)
{
	g_autofree guint8 *data = g_malloc(size);
	gsize have = 0;

	if (!proa_stream_read_full(head->in, data, size, &have, error))
		return NULL;
	if (have < size) {
		proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "the payload ended within its head");
		return NULL;
	}
	g_checksum_update(head->sum, data, (gssize)size);
	return g_steal_pointer(&data);
}

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

/* The groups' digests are the tree's lowest level but one: they must lead to the root hash. */
static gboolean check_tree(const ProaBlocksPlan *plan, GError **error)
{
	guint8 root[PROA_VERITY_DIGEST_SIZE];

	proa_verity_root_of_groups(
		plan->hash, plan->header->groups, proa_blocks_n_groups(plan->header), root);
	if (memcmp(root, plan->header->root_hash, sizeof root) != 0)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"the payload's hash tree is not that of the root hash");
	return TRUE;
}

static gboolean take_head(ProaBlocksPlan *plan, const ProaPayloadJob *job, GError **error)
{
	const ProaPayloadExpect *expect = job->expect;
	const ProaPayloadRange whole = { 0, expect->header_size };
	g_auto(Head) head = { .sum = g_checksum_new(G_CHECKSUM_SHA256) };

	if (!expect->header_sha256 || expect->header_size < PROA_BLOCKS_HEADER_SIZE)
		return proa_fail(error, PROA_REASON_BAD_MANIFEST,
			"the manifest does not name the head of the blocks payload");
	head.in = job->open(&whole, 1, job->user_data, error);
	g_autofree guint8 *fixed = head.in ? take(&head, PROA_BLOCKS_HEADER_SIZE, error) : NULL;
	plan->header = fixed ? proa_blocks_header_parse(fixed, error) : NULL;
	if (!plan->header || !check_fixed(plan->header, expect, error))
		return FALSE;
	g_autofree guint8 *tables = take(&head, proa_blocks_tables_size(plan->header), error);
	plan->names = tables ? take(&head, proa_blocks_n_blocks(plan->header) * PROA_BLOCKS_NAME_SIZE, error)
			     : NULL;
	if (!plan->names)
		return FALSE;
	if (strcmp(g_checksum_get_string(head.sum), expect->header_sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the payload's head is not the one that the manifest names");
	if (!proa_blocks_tables_parse(plan->header, tables, error))
		return FALSE;
	if (proa_blocks_total_size(plan->header) != expect->size)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload's frames add up to another size than the manifest names");
	plan->hash = proa_verity_hash_new(plan->header->salt);
	return check_tree(plan, error);
}

static void find_sources(ProaBlocksPlan *plan, const ProaBlocksIndex *index)
{
	static const guint8 zeros[PROA_BLOCKS_BLOCK_SIZE];
	guint8 zero[PROA_VERITY_DIGEST_SIZE];
	guint32 n = (guint32)proa_blocks_n_blocks(plan->header), next = 0;

	proa_verity_hash_block(plan->hash, zeros, zero);
	plan->sources = g_new(guint32, n);
	for (guint32 i = 0; i < n; i++) {
		const guint8 *name = plan->names + (gsize)i * PROA_BLOCKS_NAME_SIZE;
		if (memcmp(name, zero, PROA_BLOCKS_NAME_SIZE) == 0) {
			plan->sources[i] = PROA_BLOCKS_ZERO;
			continue;
		}
		guint32 found = index ? proa_blocks_index_find(index, name, next) : PROA_BLOCKS_NONE;
		plan->sources[i] = found == PROA_BLOCKS_NONE ? PROA_BLOCKS_FETCH : found;
		if (found != PROA_BLOCKS_NONE)
			next = found + 1;
	}
}

ProaBlocksPlan *proa_blocks_plan_new(const ProaPayloadJob *job, const ProaVerityLeaves *old, GError **error)
{
	g_autoptr(ProaBlocksPlan) plan = g_new0(ProaBlocksPlan, 1);
	g_autoptr(ProaBlocksIndex) index = NULL;

	if (!take_head(plan, job, error))
		return NULL;
	if (old && memcmp(old->salt, plan->header->salt, PROA_VERITY_SALT_SIZE) == 0) {
		index = proa_blocks_index_new(old, error);
		if (!index)
			return NULL;
	}
	find_sources(plan, index);
	return g_steal_pointer(&plan);
}

gboolean proa_blocks_plan_needs(const ProaBlocksPlan *plan, guint32 index)
{
	guint32 per_frame = plan->header->frame_size / PROA_BLOCKS_BLOCK_SIZE, first = index * per_frame;
	guint32 n = proa_blocks_frame_length(plan->header, index) / PROA_BLOCKS_BLOCK_SIZE;

	for (guint32 i = first; i < first + n; i++)
		if (plan->sources[i] == PROA_BLOCKS_FETCH)
			return TRUE;
	return FALSE;
}

GArray *proa_blocks_plan_ranges(const ProaBlocksPlan *plan, guint64 from, guint64 *ret_bytes)
{
	const ProaBlocksHeader *header = plan->header;
	GArray *ranges = g_array_new(FALSE, FALSE, sizeof(ProaPayloadRange));
	guint64 offset = proa_blocks_head_size(header), bytes = 0;

	for (guint32 i = 0; i < header->n_frames; offset += header->frames[i++].packed_size) {
		guint32 size = header->frames[i].packed_size;
		if ((guint64)i * header->frame_size < from - from % PROA_BLOCKS_GROUP_SIZE ||
			!proa_blocks_plan_needs(plan, i))
			continue;
		bytes += size;
		ProaPayloadRange *last =
			ranges->len > 0 ? &g_array_index(ranges, ProaPayloadRange, ranges->len - 1) : NULL;
		if (last && last->offset + last->length == offset) {
			last->length += size;
			continue;
		}
		const ProaPayloadRange range = { offset, size };
		g_array_append_val(ranges, range);
	}
	if (ret_bytes)
		*ret_bytes = bytes;
	return ranges;
}

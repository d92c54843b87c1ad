/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-index.h"

#include <stdlib.h>
#include <string.h>

#define READ_AT_ONCE 4096u
/* A device that fails this often has no more to give: each try may take seconds. */
#define MOST_FAILURES 32u

typedef struct {
	guint8 name[PROA_BLOCKS_NAME_SIZE];
	guint8 block[4]; /* not a guint32, whose alignment would cost two bytes */
} Entry;
G_STATIC_ASSERT(sizeof(Entry) == 10);

struct ProaBlocksIndex {
	guint part, parts;
	Entry *entries; /* sorted by name, then by block */
	gsize n, room;
	gboolean crowded; /* names that differ fill it: nothing more is taken */
};

guint proa_blocks_index_parts(guint64 blocks)
{
	/* Digests are spread evenly, but for chance. */
	const guint64 each = PROA_BLOCKS_INDEX_MOST - PROA_BLOCKS_INDEX_MOST / 8;

	return blocks <= PROA_BLOCKS_INDEX_MOST ? 1 : (guint)((blocks - 1) / each + 1);
}

ProaBlocksIndex *proa_blocks_index_new(guint part, guint parts, guint64 blocks)
{
	ProaBlocksIndex *index = g_new0(ProaBlocksIndex, 1);

	g_assert(part < parts);
	index->part = part;
	index->parts = parts;
	index->room = (gsize)MIN(blocks, (guint64)PROA_BLOCKS_INDEX_MOST);
	index->entries = g_new(Entry, MAX(index->room, 1));
	return index;
}

void proa_blocks_index_free(ProaBlocksIndex *index)
{
	if (!index)
		return;
	g_free(index->entries);
	g_free(index);
}

static guint32 block_of(const Entry *entry)
{
	return (guint32)entry->block[0] << 24 | (guint32)entry->block[1] << 16 |
	       (guint32)entry->block[2] << 8 | entry->block[3];
}

/* The block's bytes stand highest first, so that one comparison orders by both. */
static Entry make_entry(const guint8 *name, guint32 block)
{
	Entry entry = { .block = { (guint8)(block >> 24), (guint8)(block >> 16), (guint8)(block >> 8),
				(guint8)block } };

	memcpy(entry.name, name, PROA_BLOCKS_NAME_SIZE);
	return entry;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(Entry));
}

void proa_blocks_index_sort(ProaBlocksIndex *index)
{
	if (index->n > 1)
		qsort(index->entries, index->n, sizeof(Entry), compare);
}

/* Of blocks that are the same the first stays: an image may be full of them. */
static void make_room(ProaBlocksIndex *index)
{
	gsize kept = 0;

	proa_blocks_index_sort(index);
	for (gsize i = 0; i < index->n; i++)
		if (kept == 0 || memcmp(index->entries[kept - 1].name, index->entries[i].name,
					 PROA_BLOCKS_NAME_SIZE) != 0)
			index->entries[kept++] = index->entries[i];
	index->n = kept;
	index->crowded = kept > index->room - index->room / 16;
}

static gboolean is_of_part(const ProaBlocksIndex *index, const guint8 *name)
{
	guint64 key = (guint64)name[0] << 24 | (guint64)name[1] << 16 | (guint64)name[2] << 8 | name[3];

	return index->parts == 1 || (key * index->parts) >> 32 == index->part;
}

void proa_blocks_index_add(ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 block)
{
	if (!is_of_part(index, name))
		return;
	if (index->n == index->room && !index->crowded)
		make_room(index);
	if (index->n < index->room)
		index->entries[index->n++] = make_entry(name, block);
}

guint64 proa_blocks_index_add_leaves(ProaBlocksIndex *index, const ProaVerityLeaves *leaves)
{
	g_autofree guint8 *digests = g_malloc((gsize)READ_AT_ONCE * PROA_VERITY_DIGEST_SIZE);
	guint64 blocks = MIN(leaves->blocks, PROA_BLOCKS_MAX_IMAGE_SIZE / PROA_BLOCKS_BLOCK_SIZE), lost = 0;
	guint most = READ_AT_ONCE, failures = 0, n;

	for (guint64 at = 0; at < blocks; at += n) {
		if (failures == MOST_FAILURES)
			return lost + (blocks - at);
		n = (guint)MIN((guint64)most, blocks - at);
		if (proa_verity_leaves_read(leaves, at, n, digests, NULL)) {
			for (guint i = 0; i < n; i++)
				proa_blocks_index_add(index, digests + (gsize)i * PROA_VERITY_DIGEST_SIZE,
					(guint32)(at + i));
			/* In full steps again behind what could not be read. */
			if ((at + n) % READ_AT_ONCE == 0)
				most = READ_AT_ONCE;
		} else if (n > PROA_VERITY_FANOUT) {
			most = PROA_VERITY_FANOUT; /* a bad hash block is one of many */
			n = 0;
		} else {
			lost += n;
			failures++;
		}
	}
	return lost;
}

guint32 proa_blocks_index_find(
	const ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 wanted)
{
	gsize low = 0, high = index->n;

	if (!is_of_part(index, name))
		return PROA_BLOCKS_NONE;
	while (low < high) {
		gsize middle = low + (high - low) / 2;
		if (memcmp(index->entries[middle].name, name, PROA_BLOCKS_NAME_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->n || memcmp(index->entries[low].name, name, PROA_BLOCKS_NAME_SIZE) != 0)
		return PROA_BLOCKS_NONE;
	const Entry key = make_entry(name, wanted);
	if (bsearch(&key, index->entries + low, index->n - low, sizeof(Entry), compare))
		return wanted;
	return block_of(&index->entries[low]);
}

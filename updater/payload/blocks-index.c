/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-index.h"

#include <stdlib.h>
#include <string.h>

#define READ_AT_ONCE 4096u

typedef struct {
	guint8 name[PROA_BLOCKS_NAME_SIZE];
	guint8 block[4]; /* not a guint32, whose alignment would cost two bytes */
} Entry;
G_STATIC_ASSERT(sizeof(Entry) == 10);

struct ProaBlocksIndex {
	Entry *entries; /* sorted by name, then by block */
	gsize n;
};

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

ProaBlocksIndex *proa_blocks_index_new(const ProaVerityLeaves *leaves, GError **error)
{
	g_autofree guint8 *digests = g_malloc((gsize)READ_AT_ONCE * PROA_VERITY_DIGEST_SIZE);

	if (leaves->blocks > PROA_BLOCKS_MAX_IMAGE_SIZE / PROA_BLOCKS_BLOCK_SIZE) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "a hash tree of %" G_GUINT64_FORMAT " blocks",
			leaves->blocks);
		return NULL;
	}
	g_autoptr(ProaBlocksIndex) index = g_new0(ProaBlocksIndex, 1);
	index->n = (gsize)leaves->blocks;
	index->entries = g_new(Entry, index->n);
	for (gsize at = 0; at < index->n; at += READ_AT_ONCE) {
		guint n = (guint)MIN((gsize)READ_AT_ONCE, index->n - at);
		if (!proa_verity_leaves_read(leaves, at, n, digests, error))
			return NULL;
		for (guint i = 0; i < n; i++)
			index->entries[at + i] =
				make_entry(digests + (gsize)i * PROA_VERITY_DIGEST_SIZE, (guint32)(at + i));
	}
	qsort(index->entries, index->n, sizeof(Entry), compare);
	return g_steal_pointer(&index);
}

guint32 proa_blocks_index_find(
	const ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 wanted)
{
	gsize low = 0, high = index->n;

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

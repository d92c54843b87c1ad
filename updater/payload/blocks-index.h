/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-index: which block has a given name (the first bytes of its digest). It is a guess to be checked:
 * neither the old tree nor the old data is trusted.
 *
 * Its memory is bounded, whatever the image: of more than PROA_BLOCKS_INDEX_MOST blocks it holds those of one
 * part of all names, and whoever asks makes one for each part, one after the other.
 */
#pragma once

#include "updater/payload/blocks-format.h"
#include "verity/leaves.h"

/* No block of that name. */
#define PROA_BLOCKS_NONE G_MAXUINT32

/* Blocks in an index, of ten bytes each; while it is sorted it takes that twice. */
#define PROA_BLOCKS_INDEX_MOST ((gsize)256 * 1024)

typedef struct ProaBlocksIndex ProaBlocksIndex;

/* In how many parts the names of @blocks blocks are looked at; at least 1. */
guint proa_blocks_index_parts(guint64 blocks);

/* An empty index of part @part of @parts, for @blocks blocks in all parts together. */
ProaBlocksIndex *proa_blocks_index_new(guint part, guint parts, guint64 blocks);
void proa_blocks_index_free(ProaBlocksIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBlocksIndex, proa_blocks_index_free)

/*
 * Adds a block if its name is of this part. Where a part has more names than expected, some are not taken:
 * those of whom another block is there already first.
 */
void proa_blocks_index_add(ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 block);

/* Adds all blocks of the tree @leaves; returns how many blocks' digests could not be read. */
guint64 proa_blocks_index_add_leaves(ProaBlocksIndex *index, const ProaVerityLeaves *leaves);

/* After the last was added and before the first is looked for. */
void proa_blocks_index_sort(ProaBlocksIndex *index);

/*
 * The number of a block of that name, or PROA_BLOCKS_NONE. Of several, @wanted if it is one of them (so that
 * what lay together is read together), otherwise the first.
 */
guint32 proa_blocks_index_find(
	const ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 wanted);

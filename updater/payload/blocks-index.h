/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-index: which block of the old image has a given name (the first bytes of its digest): ten bytes of
 * memory a block. It is a guess to be checked: neither the old tree nor the old data is trusted.
 */
#pragma once

#include "updater/payload/blocks-format.h"
#include "verity/leaves.h"

/* No block of that name. */
#define PROA_BLOCKS_NONE G_MAXUINT32

typedef struct ProaBlocksIndex ProaBlocksIndex;

/* Reads the names of all blocks of the tree @leaves. IO; TOO_LARGE over PROA_BLOCKS_MAX_IMAGE_SIZE. */
ProaBlocksIndex *proa_blocks_index_new(
	const ProaVerityLeaves *leaves, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_blocks_index_free(ProaBlocksIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBlocksIndex, proa_blocks_index_free)

/*
 * The number of a block of that name, or PROA_BLOCKS_NONE. Of several, @wanted if it is one of them (so that
 * what lay together is read together), otherwise the first.
 */
guint32 proa_blocks_index_find(
	const ProaBlocksIndex *index, const guint8 name[PROA_BLOCKS_NAME_SIZE], guint32 wanted);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-plan: the head of a `blocks` payload, checked against the signed manifest and the root hash, and
 * what it means for this node: where each block comes from and which frames must be fetched. Four bytes of
 * memory a block.
 */
#pragma once

#include "updater/payload/blocks-index.h"
#include "updater/payload/job.h"

/* Sources of a block that are no number of an old block. */
#define PROA_BLOCKS_FETCH G_MAXUINT32       /* from its frame */
#define PROA_BLOCKS_ZERO (G_MAXUINT32 - 1u) /* all bytes are zero */

typedef struct {
	ProaBlocksHeader *header;
	ProaVerityHash *hash;
	guint32 *sources; /* one a block: a number of an old block, or one of the above */
	guint8 *names;    /* as on the wire, PROA_BLOCKS_NAME_SIZE a block */
} ProaBlocksPlan;

/*
 * Fetches and checks the head. @old: the hash tree of the old image, whose salt must be the payload's for any
 * of its blocks to be of use; NULL: there is none. NULL with BAD_PAYLOAD, PAYLOAD_DIGEST, PAYLOAD_TRUNCATED,
 * ROOT_HASH_MISMATCH, or what the job's open and reading the tree fail with.
 */
ProaBlocksPlan *proa_blocks_plan_new(
	const ProaPayloadJob *job, const ProaVerityLeaves *old, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_blocks_plan_free(ProaBlocksPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBlocksPlan, proa_blocks_plan_free)

/* Whether frame @index must be fetched. */
gboolean proa_blocks_plan_needs(const ProaBlocksPlan *plan, guint32 index);

/*
 * What must be fetched to go on at image byte @from: an array of ProaPayloadRange in the order of the image,
 * neighbours merged; empty if nothing misses. Never NULL. *@ret_bytes (may be NULL): their sum.
 */
GArray *proa_blocks_plan_ranges(const ProaBlocksPlan *plan, guint64 from, guint64 *ret_bytes);

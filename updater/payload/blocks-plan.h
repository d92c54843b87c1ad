/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-plan: the head of a `blocks` payload, checked against the signed manifest and the root hash, and
 * what it means for this node: where each block comes from and which frames must be fetched.
 *
 * Head and sources grow with the image (14 bytes a block with frames of 16 KiB), so they lie in a file, and
 * are read a group at a time: memory is 32 bytes a group, and what an index takes while the plan is made.
 */
#pragma once

#include "updater/payload/blocks-index.h"
#include "updater/payload/job.h"

/*
 * Where a block comes from: the number of an old block, or one of these. PROA_BLOCKS_MADE with the number of
 * a block before it: the same block of the new image, which is made by then.
 */
#define PROA_BLOCKS_MADE (1u << 31)
#define PROA_BLOCKS_FETCH G_MAXUINT32       /* from its frame */
#define PROA_BLOCKS_ZERO (G_MAXUINT32 - 1u) /* all bytes are zero */

static inline gboolean proa_blocks_is_made(guint32 source)
{
	return (source & PROA_BLOCKS_MADE) != 0 && source < PROA_BLOCKS_ZERO;
}

typedef struct {
	ProaBlocksHeader *header; /* without its frame table */
	ProaVerityHash *hash;
	guint32 largest;    /* bytes of the largest frame, packed */
	guint64 unreadable; /* blocks of the old image whose digest could not be read */
	int scratch;        /* the head as on the wire, and from @sources_at on a guint32 a block */
	guint64 sources_at;
} ProaBlocksPlan;

/*
 * Fetches and checks the head, unless it lies in @job->scratch. @old: the hash tree of the old image, whose
 * salt must be the payload's for any of its blocks to be of use; NULL: there is none. What cannot be read of
 * it is taken as not there. NULL with BAD_PAYLOAD, PAYLOAD_DIGEST, PAYLOAD_TRUNCATED, ROOT_HASH_MISMATCH, IO
 * (of the file), or what the job's open fails with.
 */
ProaBlocksPlan *proa_blocks_plan_new(
	const ProaPayloadJob *job, const ProaVerityLeaves *old, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_blocks_plan_free(ProaBlocksPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBlocksPlan, proa_blocks_plan_free)

/* A group, as the plan has it. */
typedef struct {
	guint32 index;
	guint32 first_frame, n_frames, n_blocks;
	guint64 begin; /* bytes of the image */
	gsize size;
	guint64 packed_at; /* where its first frame lies in the payload */
	ProaBlocksFrame frames[PROA_BLOCKS_GROUP_BLOCKS];
	guint32 sources[PROA_BLOCKS_GROUP_BLOCKS];
} ProaBlocksGroup;

/* Reads group @index; going through all, proa_blocks_plan_next() tells of the next in less time. IO. */
gboolean proa_blocks_plan_group(const ProaBlocksPlan *plan, guint32 index, ProaBlocksGroup *ret_group,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* From a group to the next; there must be one (g_assert). IO. */
gboolean proa_blocks_plan_next(
	const ProaBlocksPlan *plan, ProaBlocksGroup *group, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Blocks in frame @frame of @group, counted from its first one: *@ret_first (of the group's) and how many. */
guint32 proa_blocks_frame_blocks(
	const ProaBlocksPlan *plan, const ProaBlocksGroup *group, guint32 frame, guint32 *ret_first);

/* Whether frame @frame of @group, counted from its first one, must be fetched. */
gboolean proa_blocks_plan_needs(const ProaBlocksPlan *plan, const ProaBlocksGroup *group, guint32 frame);

/*
 * What must be fetched of the groups from @first on, up to the one with which @most ranges are reached: an
 * array of ProaPayloadRange in the order of the image, neighbours merged; empty if nothing misses.
 * *@ret_end: the first group that it does not tell of. NULL with IO.
 */
GArray *proa_blocks_plan_ranges(const ProaBlocksPlan *plan, guint32 first, guint most, guint32 *ret_end,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Bytes of frames that must be fetched to go on at image byte @from. IO. */
gboolean proa_blocks_plan_cost(const ProaBlocksPlan *plan, guint64 from, guint64 *ret_bytes,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks: makes an image out of a `blocks` payload and the blocks that the node holds already, in memory that
 * does not grow with the frames: the window that frames are compressed against (at most 4 MiB), one group,
 * one frame.
 *
 * Nothing is decompressed before its digest is known to be right, and nothing is given away before the group
 * that it is in matches the hash tree, which was checked against the root hash: it does not matter where a
 * block came from.
 */
#pragma once

#include "updater/payload/blocks-plan.h"

typedef struct {
	guint64 fetched;    /* bytes of frames */
	guint64 copied;     /* bytes read of the old image */
	guint64 repeated;   /* bytes of the image that it has twice: copied from where they were made */
	guint32 mended;     /* groups of which what was copied was not what the trees say */
	guint32 unreadable; /* frames of which something could not be read, fetched instead */
	guint32 requests;   /* ranges asked for */
} ProaBlocksCount;

/*
 * Gives the image from @job->from on to the job's sink, in order. A block of the old image that can't be
 * read, or is not what its tree says, is fetched instead. *@ret_count (may be NULL) is set on failure too.
 * Fails with PAYLOAD_DIGEST, BAD_PAYLOAD, PAYLOAD_TRUNCATED, ROOT_HASH_MISMATCH (the payload itself makes
 * another image), or what the job's functions fail with.
 */
gboolean proa_blocks_apply(const ProaBlocksPlan *plan, const ProaPayloadJob *job, ProaBlocksCount *ret_count,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

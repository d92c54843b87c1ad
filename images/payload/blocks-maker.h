/* SPDX-License-Identifier: Apache-2.0 */
/* blocks-maker: makes the `blocks` payload of a root image, on all cores, the same bytes every time. */
#pragma once

#include "images/payload/maker.h"
#include "updater/payload/blocks-format.h"

/* What proa-payload and proa-image use; bytes. */
#define PROA_BLOCKS_MAKER_LEVEL 12
#define PROA_BLOCKS_MAKER_FRAME_SIZE (32u * 1024)
#define PROA_BLOCKS_MAKER_WINDOW (4u * 1024 * 1024)
#define PROA_BLOCKS_MAKER_STEP (1024u * 1024)

typedef struct {
	ProaMaker base;       /* level, frame size, threads, progress */
	guint32 window, step; /* bytes; as of ProaBlocksHeader */
} ProaBlocksMaker;

/*
 * Writes the blocks payload of @image_path to @out_path, which is replaced only once it is whole. @root_hash
 * and
 * @salt (64 hexadecimal digits each) are those of its hash tree. Fails with NOT_FOUND, IO, USAGE (impossible
 * sizes) or ROOT_HASH_MISMATCH if the image has another root hash with that salt.
 */
gboolean proa_blocks_make(const ProaBlocksMaker *maker, const char *image_path, const char *root_hash,
	const char *salt, const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-format: the `blocks` payload on the wire (docs/formats.md, "Payload `blocks`"): an image that can be
 * fetched in part, by whoever holds any other release. Who applies one and who makes one share it.
 *
 * A group is 128 blocks of 4096 bytes: what one block of the hash tree covers. The head of the payload
 * (header, frame table, digests of the groups, block names) is fetched whole; of the frames, those with a
 * block that misses.
 */
#pragma once

#include "base/digest.h"
#include "base/reason.h"

#define PROA_BLOCKS_TYPE 3
#define PROA_BLOCKS_FORMAT_VERSION 1
#define PROA_BLOCKS_HEADER_SIZE 112
#define PROA_BLOCKS_FRAME_ENTRY_SIZE 20
#define PROA_BLOCKS_FRAME_DIGEST_SIZE 16 /* the first bytes of a SHA-256 */
#define PROA_BLOCKS_NAME_SIZE 6          /* the first bytes of a block's digest in the hash tree */

#define PROA_BLOCKS_BLOCK_SIZE 4096u
#define PROA_BLOCKS_GROUP_BLOCKS 128u
#define PROA_BLOCKS_GROUP_SIZE (PROA_BLOCKS_BLOCK_SIZE * PROA_BLOCKS_GROUP_BLOCKS)

/* Caps of the parser: they bound the memory of whoever reads it. Bytes. */
#define PROA_BLOCKS_MAX_IMAGE_SIZE (16ull * 1024 * 1024 * 1024)
#define PROA_BLOCKS_MAX_WINDOW (4u * 1024 * 1024)
#define PROA_BLOCKS_MAX_STEP (1024u * 1024)

typedef struct {
	guint32 packed_size; /* bytes */
	guint8 digest[PROA_BLOCKS_FRAME_DIGEST_SIZE];
} ProaBlocksFrame;

typedef struct {
	guint64 image_size; /* bytes, a multiple of 4096, at least two blocks */
	guint32 frame_size; /* bytes of the image in every frame but the last; a power of two, 4 KiB to a
			       group */
	/*
	 * A frame is compressed with the image before it as its dictionary: the @window bytes (or all there
	 * are) that end at the last multiple of @step bytes at or before the frame. Both are powers of two. A
	 * step is a group or more: a dictionary holds no block of the frame's own group, which is not checked
	 * yet. A window of 0: none.
	 */
	guint32 window, step;
	guint8 root_hash[PROA_SHA256_SIZE];
	guint8 salt[PROA_SHA256_SIZE];
	guint32 n_frames;
	ProaBlocksFrame *frames; /* n_frames of them; NULL: not read */
	/* The digest of each group's hash block: proa_blocks_n_groups() of PROA_SHA256_SIZE; NULL: not read.
	 */
	guint8 *groups;
} ProaBlocksHeader;

void proa_blocks_header_free(ProaBlocksHeader *header);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBlocksHeader, proa_blocks_header_free)

/* Whether a payload of these sizes can be: what the parser accepts. */
gboolean proa_blocks_sizes_allowed(guint64 image_size, guint32 frame_size, guint32 window, guint32 step);

/* A header for sizes that are allowed (g_assert), with frame table and groups all zero. */
ProaBlocksHeader *proa_blocks_header_new(
	guint64 image_size, guint32 frame_size, guint32 window, guint32 step);

/* Parses the fixed part, and no table yet; BAD_PAYLOAD for a wrong magic, version, type or size. */
ProaBlocksHeader *proa_blocks_header_parse(
	const guint8 data[PROA_BLOCKS_HEADER_SIZE], GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Parses entry @index of the frame table; BAD_PAYLOAD for an impossible size. */
gboolean proa_blocks_frame_parse(const ProaBlocksHeader *header, guint32 index, const guint8 *entry,
	ProaBlocksFrame *ret_frame, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Parses what follows up to the block names: frame table and digests of the groups, proa_blocks_tables_size()
 * bytes. BAD_PAYLOAD for an impossible frame size.
 */
gboolean proa_blocks_tables_parse(
	ProaBlocksHeader *header, const guint8 *tables, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gsize proa_blocks_tables_size(const ProaBlocksHeader *header);

guint64 proa_blocks_n_blocks(const ProaBlocksHeader *header);
guint32 proa_blocks_n_groups(const ProaBlocksHeader *header);

/* Bytes up to the first frame: header, tables and names. */
guint64 proa_blocks_head_size(const ProaBlocksHeader *header);

/* Bytes of the payload: head and frames. Only with its tables. */
guint64 proa_blocks_total_size(const ProaBlocksHeader *header);

/* Bytes of the image in frame @index. */
guint32 proa_blocks_frame_length(const ProaBlocksHeader *header, guint32 index);

/* The dictionary of frame @index: *@ret_size bytes of the image (0: none) from *@ret_offset on. */
void proa_blocks_dictionary(
	const ProaBlocksHeader *header, guint32 index, guint64 *ret_offset, guint32 *ret_size);

/* Header and tables as they stand at the beginning of the file; the names follow. */
GBytes *proa_blocks_header_serialize(const ProaBlocksHeader *header);

/* The digest of a frame's bytes, as it stands in the table. */
void proa_blocks_frame_digest(
	const guint8 *packed, gsize size, guint8 ret_digest[PROA_BLOCKS_FRAME_DIGEST_SIZE]);

/*
 * Reads the header and tables of the payload file @path and checks the file's size. @ret_head_sha256 (may be
 * NULL): digest of the whole head, the manifest's `header_sha256`; free with g_free(). NULL with BAD_PAYLOAD,
 * PAYLOAD_TRUNCATED or a file error.
 */
ProaBlocksHeader *proa_blocks_file_header(
	const char *path, char **ret_head_sha256, GError **error) G_GNUC_WARN_UNUSED_RESULT;

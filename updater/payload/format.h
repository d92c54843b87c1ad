/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: the header of a payload (docs/formats.md, "Payload"). Shared by the node, which reads it from a
 * stream, and by the publisher, which writes it.
 */
#pragma once

#include "base/digest.h"
#include "base/reason.h"

#define PROA_PAYLOAD_MAGIC "PROAPAY1"
#define PROA_PAYLOAD_FORMAT_VERSION 1
#define PROA_PAYLOAD_TYPE_FULL 1

#define PROA_PAYLOAD_HEADER_SIZE 64
#define PROA_PAYLOAD_FRAME_ENTRY_SIZE 40
#define PROA_PAYLOAD_BLOCK_SIZE 4096

/* Caps on what a header may ask for. They bound the memory of whoever reads it. */
#define PROA_PAYLOAD_MAX_FRAME_SIZE (4u * 1024 * 1024)
#define PROA_PAYLOAD_MAX_FRAMES 16384u
#define PROA_PAYLOAD_MAX_WINDOW_LOG 22 /* 4 MiB */

typedef struct {
	guint32 compressed_size; /* bytes */
	guint8 sha256[PROA_SHA256_SIZE];
} ProaPayloadFrame;

typedef struct {
	guint64 image_size; /* bytes, a multiple of 4096 */
	guint32 frame_size; /* uncompressed bytes of every frame but the last, a multiple of 4096 */
	guint32 n_frames;
	guint8 root_hash[PROA_SHA256_SIZE];
	ProaPayloadFrame *frames; /* n_frames of them */
} ProaPayloadHeader;

void proa_payload_header_free(ProaPayloadHeader *header);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaPayloadHeader, proa_payload_header_free)

/* A header for an image of that size, its frame table all zero. The sizes must be within the caps (g_assert).
 */
ProaPayloadHeader *proa_payload_header_new(guint64 image_size, guint32 frame_size, const guint8 *root_hash);

/*
 * Parses the first PROA_PAYLOAD_HEADER_SIZE bytes; the frame table is still empty (all zero). NULL with
 * BAD_PAYLOAD if it is not a full payload of this format, or over a cap.
 */
ProaPayloadHeader *proa_payload_header_parse(
	const guint8 data[PROA_PAYLOAD_HEADER_SIZE], GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Parses the frame table that follows: proa_payload_table_size() bytes. BAD_PAYLOAD if a size is impossible.
 */
gboolean proa_payload_table_parse(
	ProaPayloadHeader *header, const guint8 *table, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Bytes of the frame table. */
gsize proa_payload_table_size(const ProaPayloadHeader *header);

/* Uncompressed bytes of frame @index. */
guint32 proa_payload_frame_length(const ProaPayloadHeader *header, guint32 index);

/* Bytes of the whole payload: header, table and frames. */
guint64 proa_payload_total_size(const ProaPayloadHeader *header);

/* The header and its table as bytes on the wire. */
GBytes *proa_payload_header_serialize(const ProaPayloadHeader *header);

/*
 * Reads the header and table of the payload file @path and checks that the file's size is what they say.
 * @ret_sha256 (may be NULL): the digest of header and table together, the manifest's `header_sha256`; free
 * with g_free(). NULL with BAD_PAYLOAD, PAYLOAD_TRUNCATED or a file error.
 */
ProaPayloadHeader *proa_payload_file_header(
	const char *path, char **ret_sha256, GError **error) G_GNUC_WARN_UNUSED_RESULT;

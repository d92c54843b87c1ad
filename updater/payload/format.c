/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/format.h"

#include "updater/payload/head.h"
#include "updater/payload/wire.h"

#include <string.h>
#include <zstd.h>

void proa_payload_header_free(ProaPayloadHeader *header)
{
	if (!header)
		return;
	g_free(header->frames);
	g_free(header);
}

static guint64 frames_needed(guint64 image_size, guint32 frame_size)
{
	return image_size / frame_size + (image_size % frame_size != 0);
}

static gboolean sizes_allowed(guint64 image_size, guint32 frame_size)
{
	return image_size > 0 && image_size % PROA_PAYLOAD_BLOCK_SIZE == 0 && frame_size > 0 &&
	       frame_size % PROA_PAYLOAD_BLOCK_SIZE == 0 && frame_size <= PROA_PAYLOAD_MAX_FRAME_SIZE &&
	       frames_needed(image_size, frame_size) <= PROA_PAYLOAD_MAX_FRAMES;
}

ProaPayloadHeader *proa_payload_header_new(guint64 image_size, guint32 frame_size, const guint8 *root_hash)
{
	g_assert(sizes_allowed(image_size, frame_size));
	ProaPayloadHeader *header = g_new0(ProaPayloadHeader, 1);

	header->image_size = image_size;
	header->frame_size = frame_size;
	header->n_frames = (guint32)frames_needed(image_size, frame_size);
	header->frames = g_new0(ProaPayloadFrame, header->n_frames);
	memcpy(header->root_hash, root_hash, PROA_SHA256_SIZE);
	return header;
}

ProaPayloadHeader *proa_payload_header_parse(const guint8 data[PROA_PAYLOAD_HEADER_SIZE], GError **error)
{
	guint64 image_size = proa_get_u64(data + 16);
	guint32 frame_size = proa_get_u32(data + 24), n_frames = proa_get_u32(data + 28);

	if (memcmp(data, PROA_PAYLOAD_MAGIC, 8) != 0)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload does not begin with " PROA_PAYLOAD_MAGIC);
	else if (proa_get_u32(data + 8) != PROA_PAYLOAD_FORMAT_VERSION)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload is of format version %u, this program reads %d", proa_get_u32(data + 8),
			PROA_PAYLOAD_FORMAT_VERSION);
	else if (proa_get_u32(data + 12) != PROA_PAYLOAD_TYPE_FULL)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD, "the payload is of type %u, not full",
			proa_get_u32(data + 12));
	else if (!sizes_allowed(image_size, frame_size))
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"an image of %" G_GUINT64_FORMAT " bytes in frames of %u is not allowed", image_size,
			frame_size);
	else if (frames_needed(image_size, frame_size) != n_frames)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload says %u frames, its sizes say %" G_GUINT64_FORMAT, n_frames,
			frames_needed(image_size, frame_size));
	else
		return proa_payload_header_new(image_size, frame_size, data + 32);
	return NULL;
}

gboolean proa_payload_table_parse(ProaPayloadHeader *header, const guint8 *table, GError **error)
{
	for (guint32 i = 0; i < header->n_frames; i++) {
		const guint8 *entry = table + (gsize)i * PROA_PAYLOAD_FRAME_ENTRY_SIZE;
		guint32 size = proa_get_u32(entry);

		if (size == 0 || size > ZSTD_COMPRESSBOUND((gsize)proa_payload_frame_length(header, i)))
			return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
				"frame %u of the payload can't be %u bytes", i, size);
		if (proa_get_u32(entry + 4) != 0)
			return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
				"frame %u of the payload has a reserved bit set", i);
		header->frames[i].compressed_size = size;
		memcpy(header->frames[i].sha256, entry + 8, PROA_SHA256_SIZE);
	}
	return TRUE;
}

gsize proa_payload_table_size(const ProaPayloadHeader *header)
{
	return (gsize)header->n_frames * PROA_PAYLOAD_FRAME_ENTRY_SIZE;
}

guint32 proa_payload_frame_length(const ProaPayloadHeader *header, guint32 index)
{
	guint64 begin = (guint64)index * header->frame_size;

	g_assert(index < header->n_frames);
	return (guint32)MIN((guint64)header->frame_size, header->image_size - begin);
}

guint64 proa_payload_total_size(const ProaPayloadHeader *header)
{
	guint64 total = PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header);

	for (guint32 i = 0; i < header->n_frames; i++)
		total += header->frames[i].compressed_size;
	return total;
}

GBytes *proa_payload_header_serialize(const ProaPayloadHeader *header)
{
	gsize size = PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header);
	guint8 *data = g_malloc0(size);

	memcpy(data, PROA_PAYLOAD_MAGIC, 8);
	proa_put_u32(data + 8, PROA_PAYLOAD_FORMAT_VERSION);
	proa_put_u32(data + 12, PROA_PAYLOAD_TYPE_FULL);
	proa_put_u64(data + 16, header->image_size);
	proa_put_u32(data + 24, header->frame_size);
	proa_put_u32(data + 28, header->n_frames);
	memcpy(data + 32, header->root_hash, PROA_SHA256_SIZE);
	for (guint32 i = 0; i < header->n_frames; i++) {
		guint8 *entry = data + PROA_PAYLOAD_HEADER_SIZE + (gsize)i * PROA_PAYLOAD_FRAME_ENTRY_SIZE;

		proa_put_u32(entry, header->frames[i].compressed_size);
		memcpy(entry + 8, header->frames[i].sha256, PROA_SHA256_SIZE);
	}
	return g_bytes_new_take(data, size);
}

ProaPayloadHeader *proa_payload_file_header(const char *path, char **ret_sha256, GError **error)
{
	guint8 fixed[PROA_PAYLOAD_HEADER_SIZE];
	g_auto(ProaHead) head = { .fd = -1 };
	gboolean opened = proa_head_open(&head, path, fixed, sizeof fixed, error);
	g_autoptr(ProaPayloadHeader) header = opened ? proa_payload_header_parse(fixed, error) : NULL;
	g_autofree guint8 *table =
		header ? proa_head_take(&head, proa_payload_table_size(header), error) : NULL;

	if (table && proa_payload_table_parse(header, table, error) &&
		proa_head_end(&head, proa_payload_total_size(header), ret_sha256, error))
		return g_steal_pointer(&header);
	g_prefix_error(error, "%s: ", path);
	return NULL;
}

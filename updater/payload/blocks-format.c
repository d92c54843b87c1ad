/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-format.h"

#include "updater/payload/format.h"
#include "updater/payload/head.h"
#include "updater/payload/wire.h"

#include <zstd.h>

void proa_blocks_header_free(ProaBlocksHeader *header)
{
	if (!header)
		return;
	g_free(header->frames);
	g_free(header->groups);
	g_free(header);
}

static gboolean power_of_two(guint32 value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

gboolean proa_blocks_sizes_allowed(guint64 image_size, guint32 frame_size, guint32 window, guint32 step)
{
	if (image_size < 2ull * PROA_BLOCKS_BLOCK_SIZE || image_size > PROA_BLOCKS_MAX_IMAGE_SIZE ||
		image_size % PROA_BLOCKS_BLOCK_SIZE != 0)
		return FALSE;
	if (!power_of_two(frame_size) || frame_size < PROA_BLOCKS_BLOCK_SIZE ||
		frame_size > PROA_BLOCKS_GROUP_SIZE)
		return FALSE;
	return power_of_two(step) && step >= PROA_BLOCKS_GROUP_SIZE && step <= PROA_BLOCKS_MAX_STEP &&
	       (window == 0 || (power_of_two(window) && window >= PROA_BLOCKS_BLOCK_SIZE &&
				       window <= PROA_BLOCKS_MAX_WINDOW));
}

guint64 proa_blocks_n_blocks(const ProaBlocksHeader *header)
{
	return header->image_size / PROA_BLOCKS_BLOCK_SIZE;
}

guint32 proa_blocks_n_groups(const ProaBlocksHeader *header)
{
	return (guint32)((header->image_size - 1) / PROA_BLOCKS_GROUP_SIZE + 1);
}

static guint32 frames_needed(guint64 image_size, guint32 frame_size)
{
	return (guint32)((image_size - 1) / frame_size + 1);
}

static ProaBlocksHeader *new_fixed(guint64 image_size, guint32 frame_size, guint32 window, guint32 step)
{
	ProaBlocksHeader *header = g_new0(ProaBlocksHeader, 1);

	header->image_size = image_size;
	header->frame_size = frame_size;
	header->window = window;
	header->step = step;
	header->n_frames = frames_needed(image_size, frame_size);
	return header;
}

static void add_tables(ProaBlocksHeader *header)
{
	g_free(header->frames);
	g_free(header->groups);
	header->frames = g_new0(ProaBlocksFrame, header->n_frames);
	header->groups = g_malloc0((gsize)proa_blocks_n_groups(header) * PROA_SHA256_SIZE);
}

ProaBlocksHeader *proa_blocks_header_new(guint64 image_size, guint32 frame_size, guint32 window, guint32 step)
{
	g_assert(proa_blocks_sizes_allowed(image_size, frame_size, window, step));
	ProaBlocksHeader *header = new_fixed(image_size, frame_size, window, step);

	add_tables(header);
	return header;
}

ProaBlocksHeader *proa_blocks_header_parse(const guint8 data[PROA_BLOCKS_HEADER_SIZE], GError **error)
{
	guint64 image_size = proa_get_u64(data + 16);
	guint32 frame_size = proa_get_u32(data + 24), n_frames = proa_get_u32(data + 28);
	guint32 window = proa_get_u32(data + 96), step = proa_get_u32(data + 100);

	if (memcmp(data, PROA_PAYLOAD_MAGIC, 8) != 0)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload does not begin with " PROA_PAYLOAD_MAGIC);
	else if (proa_get_u32(data + 8) != PROA_BLOCKS_FORMAT_VERSION ||
		 proa_get_u32(data + 12) != PROA_BLOCKS_TYPE)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"the payload is of type %u, version %u; this program reads blocks, version %d",
			proa_get_u32(data + 12), proa_get_u32(data + 8), PROA_BLOCKS_FORMAT_VERSION);
	else if (!proa_blocks_sizes_allowed(image_size, frame_size, window, step) ||
		 n_frames != frames_needed(image_size, frame_size))
		proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"an image of %" G_GUINT64_FORMAT
			" bytes in %u frames of %u, window %u, step %u, is not allowed",
			image_size, n_frames, frame_size, window, step);
	else if (proa_get_u64(data + 104) != 0)
		proa_fail(error, PROA_REASON_BAD_PAYLOAD, "the payload's header has a reserved bit set");
	else {
		ProaBlocksHeader *header = new_fixed(image_size, frame_size, window, step);
		memcpy(header->root_hash, data + 32, PROA_SHA256_SIZE);
		memcpy(header->salt, data + 64, PROA_SHA256_SIZE);
		return header;
	}
	return NULL;
}

gsize proa_blocks_tables_size(const ProaBlocksHeader *header)
{
	return (gsize)header->n_frames * PROA_BLOCKS_FRAME_ENTRY_SIZE +
	       (gsize)proa_blocks_n_groups(header) * PROA_SHA256_SIZE;
}

gboolean proa_blocks_frame_parse(const ProaBlocksHeader *header, guint32 index, const guint8 *entry,
	ProaBlocksFrame *ret_frame, GError **error)
{
	guint32 size = proa_get_u32(entry);

	if (size == 0 || size > ZSTD_COMPRESSBOUND((gsize)proa_blocks_frame_length(header, index)))
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "frame %u of the payload can't be %u bytes",
			index, size);
	ret_frame->packed_size = size;
	memcpy(ret_frame->digest, entry + 4, PROA_BLOCKS_FRAME_DIGEST_SIZE);
	return TRUE;
}

gboolean proa_blocks_tables_parse(ProaBlocksHeader *header, const guint8 *tables, GError **error)
{
	const guint8 *entry = tables;

	add_tables(header);
	for (guint32 i = 0; i < header->n_frames; i++, entry += PROA_BLOCKS_FRAME_ENTRY_SIZE)
		if (!proa_blocks_frame_parse(header, i, entry, &header->frames[i], error))
			return FALSE;
	memcpy(header->groups, entry, (gsize)proa_blocks_n_groups(header) * PROA_SHA256_SIZE);
	return TRUE;
}

guint64 proa_blocks_head_size(const ProaBlocksHeader *header)
{
	return PROA_BLOCKS_HEADER_SIZE + proa_blocks_tables_size(header) +
	       proa_blocks_n_blocks(header) * PROA_BLOCKS_NAME_SIZE;
}

guint64 proa_blocks_total_size(const ProaBlocksHeader *header)
{
	guint64 total = proa_blocks_head_size(header);

	for (guint32 i = 0; i < header->n_frames; i++)
		total += header->frames[i].packed_size;
	return total;
}

guint32 proa_blocks_frame_length(const ProaBlocksHeader *header, guint32 index)
{
	guint64 begin = (guint64)index * header->frame_size;

	g_assert(index < header->n_frames);
	return (guint32)MIN((guint64)header->frame_size, header->image_size - begin);
}

void proa_blocks_dictionary(
	const ProaBlocksHeader *header, guint32 index, guint64 *ret_offset, guint32 *ret_size)
{
	guint64 begin = (guint64)index * header->frame_size, end = begin - begin % header->step;

	*ret_size = (guint32)MIN((guint64)header->window, end);
	*ret_offset = end - *ret_size;
}

GBytes *proa_blocks_header_serialize(const ProaBlocksHeader *header)
{
	gsize size = PROA_BLOCKS_HEADER_SIZE + proa_blocks_tables_size(header);
	guint8 *data = g_malloc0(size), *entry = data + PROA_BLOCKS_HEADER_SIZE;

	memcpy(data, PROA_PAYLOAD_MAGIC, 8);
	proa_put_u32(data + 8, PROA_BLOCKS_FORMAT_VERSION);
	proa_put_u32(data + 12, PROA_BLOCKS_TYPE);
	proa_put_u64(data + 16, header->image_size);
	proa_put_u32(data + 24, header->frame_size);
	proa_put_u32(data + 28, header->n_frames);
	memcpy(data + 32, header->root_hash, PROA_SHA256_SIZE);
	memcpy(data + 64, header->salt, PROA_SHA256_SIZE);
	proa_put_u32(data + 96, header->window);
	proa_put_u32(data + 100, header->step);
	for (guint32 i = 0; i < header->n_frames; i++, entry += PROA_BLOCKS_FRAME_ENTRY_SIZE) {
		proa_put_u32(entry, header->frames[i].packed_size);
		memcpy(entry + 4, header->frames[i].digest, PROA_BLOCKS_FRAME_DIGEST_SIZE);
	}
	memcpy(entry, header->groups, (gsize)proa_blocks_n_groups(header) * PROA_SHA256_SIZE);
	return g_bytes_new_take(data, size);
}

void proa_blocks_frame_digest(
	const guint8 *packed, gsize size, guint8 ret_digest[PROA_BLOCKS_FRAME_DIGEST_SIZE])
{
	guint8 digest[PROA_SHA256_SIZE];

	proa_head_digest(packed, size, digest);
	memcpy(ret_digest, digest, PROA_BLOCKS_FRAME_DIGEST_SIZE);
}

ProaBlocksHeader *proa_blocks_file_header(const char *path, char **ret_head_sha256, GError **error)
{
	guint8 fixed[PROA_BLOCKS_HEADER_SIZE];
	g_auto(ProaHead) head = { .fd = -1 };
	gboolean opened = proa_head_open(&head, path, fixed, sizeof fixed, error);
	g_autoptr(ProaBlocksHeader) header = opened ? proa_blocks_header_parse(fixed, error) : NULL;
	g_autofree guint8 *tables =
		header ? proa_head_take(&head, proa_blocks_head_size(header) - sizeof fixed, error) : NULL;

	/* The names lie behind the tables. */
	if (tables && proa_blocks_tables_parse(header, tables, error) &&
		proa_head_end(&head, proa_blocks_total_size(header), ret_head_sha256, error))
		return g_steal_pointer(&header);
	g_prefix_error(error, "%s: ", path);
	return NULL;
}

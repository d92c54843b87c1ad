/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-format.h"

#include "updater/payload/head.h"
#include "updater/payload/wire.h"

#include <string.h>

#define BAD PROA_REASON_BAD_PAYLOAD

ProaDeltaHeader *proa_delta_header_new(guint32 n_frames)
{
	ProaDeltaHeader *header = g_new0(ProaDeltaHeader, 1);

	header->n_frames = n_frames;
	header->frames = g_new0(ProaDeltaFrame, n_frames);
	return header;
}

void proa_delta_header_free(ProaDeltaHeader *header)
{
	if (!header)
		return;
	g_free(header->frames);
	g_free(header);
}

ProaDeltaHeader *proa_delta_header_parse(const guint8 data[PROA_DELTA_HEADER_SIZE], GError **error)
{
	guint64 new_size = proa_get_u64(data + 16), old_size = proa_get_u64(data + 96);
	guint32 n_frames = proa_get_u32(data + 28);

	if (memcmp(data, PROA_DELTA_MAGIC, 8) != 0)
		proa_fail(error, BAD, "the payload does not begin with " PROA_DELTA_MAGIC);
	else if (proa_get_u32(data + 8) != PROA_DELTA_FORMAT_VERSION)
		proa_fail(error, BAD, "the payload is of format version %u, this program reads %d",
			proa_get_u32(data + 8), PROA_DELTA_FORMAT_VERSION);
	else if (proa_get_u32(data + 12) != PROA_DELTA_TYPE)
		proa_fail(error, BAD, "the payload is of type %u, not delta", proa_get_u32(data + 12));
	else if (new_size == 0 || new_size > PROA_DELTA_MAX_IMAGE_SIZE ||
		 old_size > PROA_DELTA_MAX_IMAGE_SIZE)
		proa_fail(error, BAD,
			"an image of %" G_GUINT64_FORMAT " bytes from one of %" G_GUINT64_FORMAT
			" is not allowed",
			new_size, old_size);
	else if (n_frames == 0 || n_frames > PROA_DELTA_MAX_FRAMES)
		proa_fail(error, BAD, "the payload says %u frames", n_frames);
	else if (proa_get_u32(data + 24) != 0 || proa_get_u64(data + 104) != 0)
		proa_fail(error, BAD, "the payload has a reserved bit set");
	else {
		ProaDeltaHeader *header = proa_delta_header_new(n_frames);
		header->new_size = new_size;
		header->old_size = old_size;
		memcpy(header->new_hash, data + 32, PROA_SHA256_SIZE);
		memcpy(header->old_hash, data + 64, PROA_SHA256_SIZE);
		return header;
	}
	return NULL;
}

gboolean proa_delta_table_parse(ProaDeltaHeader *header, const guint8 *table, GError **error)
{
	guint64 left = header->new_size;

	for (guint32 i = 0; i < header->n_frames; i++) {
		const guint8 *entry = table + (gsize)i * PROA_DELTA_FRAME_ENTRY_SIZE;
		ProaDeltaFrame *frame = &header->frames[i];

		frame->packed_size = proa_get_u32(entry);
		frame->length = proa_get_u64(entry + 8);
		memcpy(frame->sha256, entry + 16, PROA_SHA256_SIZE);
		if (frame->packed_size < PROA_DELTA_STREAM_TABLE_SIZE ||
			frame->packed_size > PROA_DELTA_MAX_FRAME_SIZE)
			return proa_fail(error, BAD, "frame %u of the payload can't be %u bytes", i,
				frame->packed_size);
		if (proa_get_u32(entry + 4) != 0)
			return proa_fail(error, BAD, "frame %u of the payload has a reserved bit set", i);
		if (frame->length == 0 || frame->length > left)
			return proa_fail(
				error, BAD, "frame %u of the payload goes beyond the image, or is empty", i);
		left -= frame->length;
	}
	return left == 0 ? TRUE : proa_fail(error, BAD, "the payload's frames do not make the whole image");
}

gsize proa_delta_table_size(const ProaDeltaHeader *header)
{
	return (gsize)header->n_frames * PROA_DELTA_FRAME_ENTRY_SIZE;
}

guint64 proa_delta_total_size(const ProaDeltaHeader *header)
{
	guint64 total = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header);

	for (guint32 i = 0; i < header->n_frames; i++)
		total += header->frames[i].packed_size;
	return total;
}

GBytes *proa_delta_header_serialize(const ProaDeltaHeader *header)
{
	gsize size = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header);
	guint8 *data = g_malloc0(size);

	memcpy(data, PROA_DELTA_MAGIC, 8);
	proa_put_u32(data + 8, PROA_DELTA_FORMAT_VERSION);
	proa_put_u32(data + 12, PROA_DELTA_TYPE);
	proa_put_u64(data + 16, header->new_size);
	proa_put_u32(data + 28, header->n_frames);
	memcpy(data + 32, header->new_hash, PROA_SHA256_SIZE);
	memcpy(data + 64, header->old_hash, PROA_SHA256_SIZE);
	proa_put_u64(data + 96, header->old_size);
	for (guint32 i = 0; i < header->n_frames; i++) {
		guint8 *entry = data + PROA_DELTA_HEADER_SIZE + (gsize)i * PROA_DELTA_FRAME_ENTRY_SIZE;

		proa_put_u32(entry, header->frames[i].packed_size);
		proa_put_u64(entry + 8, header->frames[i].length);
		memcpy(entry + 16, header->frames[i].sha256, PROA_SHA256_SIZE);
	}
	return g_bytes_new_take(data, size);
}

static gboolean parse_stream(const guint8 *data, ProaDeltaStreamEntry *entry)
{
	entry->size = proa_get_u32(data);
	entry->packed_size = proa_get_u32(data + 4);
	entry->packed = data[8] == 1;
	entry->lc = data[9] % 9;
	entry->lp = (data[9] / 9) % 5;
	entry->pb = data[9] / 45;
	entry->dictionary_log = data[10];
	if (entry->size > PROA_DELTA_MAX_STREAM_SIZE || data[8] > 1 || data[11] != 0)
		return FALSE;
	if (!entry->packed)
		return entry->size == entry->packed_size && data[9] == 0 && data[10] == 0;
	return entry->size > 0 && entry->lc + entry->lp <= 4 && entry->pb <= 4 &&
	       entry->dictionary_log >= PROA_DELTA_MIN_DICTIONARY_LOG &&
	       entry->dictionary_log <= PROA_DELTA_MAX_DICTIONARY_LOG;
}

gboolean proa_delta_streams_parse(
	const guint8 *frame, gsize size, ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX], GError **error)
{
	guint64 total = PROA_DELTA_STREAM_TABLE_SIZE, dictionaries = 0;

	if (size < total)
		return proa_fail(error, BAD, "a frame is shorter than its stream table");
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		if (!parse_stream(frame + (gsize)i * PROA_DELTA_STREAM_ENTRY_SIZE, &entries[i]))
			return proa_fail(error, BAD, "stream %u of a frame is not allowed", i);
		total += entries[i].packed_size;
		dictionaries += entries[i].packed ? (guint64)1 << entries[i].dictionary_log : 0;
	}
	if (dictionaries > PROA_DELTA_MAX_DICTIONARIES)
		return proa_fail(error, BAD,
			"the dictionaries of a frame are %" G_GUINT64_FORMAT " bytes, %u are allowed",
			dictionaries, PROA_DELTA_MAX_DICTIONARIES);
	return total == size ? TRUE : proa_fail(error, BAD, "the streams of a frame are not the whole frame");
}

void proa_delta_streams_serialize(const ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX], guint8 *table)
{
	memset(table, 0, PROA_DELTA_STREAM_TABLE_SIZE);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		const ProaDeltaStreamEntry *entry = &entries[i];
		guint8 *data = table + (gsize)i * PROA_DELTA_STREAM_ENTRY_SIZE;

		proa_put_u32(data, entry->size);
		proa_put_u32(data + 4, entry->packed_size);
		if (!entry->packed)
			continue;
		data[8] = 1;
		data[9] = (guint8)((entry->pb * 5 + entry->lp) * 9 + entry->lc);
		data[10] = entry->dictionary_log;
	}
}

ProaDeltaHeader *proa_delta_file_header(const char *path, char **ret_sha256, GError **error)
{
	guint8 fixed[PROA_DELTA_HEADER_SIZE];
	g_auto(ProaHead) head = { .fd = -1 };
	gboolean opened = proa_head_open(&head, path, fixed, sizeof fixed, error);
	g_autoptr(ProaDeltaHeader) header = opened ? proa_delta_header_parse(fixed, error) : NULL;
	g_autofree guint8 *table =
		header ? proa_head_take(&head, proa_delta_table_size(header), error) : NULL;

	if (table && proa_delta_table_parse(header, table, error) &&
		proa_head_end(&head, proa_delta_total_size(header), ret_sha256, error))
		return g_steal_pointer(&header);
	g_prefix_error(error, "%s: ", path);
	return NULL;
}

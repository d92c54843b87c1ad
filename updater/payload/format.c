/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/format.h"

#include "base/file.h"
#include "updater/payload/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
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

static ProaPayloadHeader *read_file_header(int fd, guint64 file_size, char **ret_sha256, GError **error)
{
	guint8 fixed[PROA_PAYLOAD_HEADER_SIZE];

	if (file_size < sizeof fixed) {
		proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "it is shorter than a header");
		return NULL;
	}
	if (!proa_pread_all(fd, fixed, sizeof fixed, 0, error))
		return NULL;
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_parse(fixed, error);
	if (!header)
		return NULL;

	gsize table_size = proa_payload_table_size(header);
	if (file_size < sizeof fixed + table_size) {
		proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "it ends within its frame table");
		return NULL;
	}
	g_autofree guint8 *table = g_malloc(table_size);
	if (!proa_pread_all(fd, table, table_size, sizeof fixed, error) ||
		!proa_payload_table_parse(header, table, error))
		return NULL;

	guint64 total = proa_payload_total_size(header);
	if (file_size != total) {
		proa_fail(error, file_size < total ? PROA_REASON_PAYLOAD_TRUNCATED : PROA_REASON_BAD_PAYLOAD,
			"it is %" G_GUINT64_FORMAT " bytes, its header says %" G_GUINT64_FORMAT, file_size,
			total);
		return NULL;
	}
	if (ret_sha256) {
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
		g_checksum_update(sum, fixed, sizeof fixed);
		g_checksum_update(sum, table, (gssize)table_size);
		*ret_sha256 = g_strdup(g_checksum_get_string(sum));
	}
	return g_steal_pointer(&header);
}

ProaPayloadHeader *proa_payload_file_header(const char *path, char **ret_sha256, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
		return NULL;
	}
	ProaPayloadHeader *header = read_file_header(fd, (guint64)st.st_size, ret_sha256, error);
	if (!header)
		g_prefix_error(error, "%s: ", path);
	return header;
}

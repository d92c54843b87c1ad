/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/uki-format.h"

#include "updater/payload/delta-format.h"
#include "updater/payload/head.h"
#include "updater/payload/wire.h"

#include <string.h>

#define BAD PROA_REASON_BAD_PAYLOAD

enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_TYPE = 12,
	AT_SIZE = 16,
	AT_KIND = 24,
	AT_FRAMES = 28,
	AT_SHA256 = 32,
	AT_OLD_SHA256 = 64,
	AT_OLD_SIZE = 96,
	AT_ROOT_SIZE = 104,
	AT_ROOT_HASH = 112,
	AT_MEMORY = 144,
	AT_ZSTD_VERSION = 152,
	AT_ZERO = 156,
	AT_OLD_KERNEL = 160, /* an entry as those of the table */
	AT_DELTA_HEAD_SIZE = 192,
	AT_DELTA_HEAD_SHA256 = 200,
	AT_OLD_ROOT_HASH = 232,
	AT_OLD_TABLES = 264,
	AT_NEW_TABLES = 268,
	AT_END = 272,
};

/* Of an entry. */
enum {
	AT_FRAME_OFFSET = 0,
	AT_FRAME_PACKED_SIZE = 8,
	AT_FRAME_SIZE = 16,
	AT_FRAME_LEVEL = 24,
	AT_FRAME_FLAGS = 25,
	AT_FRAME_ZERO = 26,
};

enum {
	FLAG_WORKERS = 1,
	FLAG_CHECKSUM = 2,
	FLAG_SIZED = 4,
};

gsize proa_uki_head_size(const ProaUkiHeader *header)
{
	return PROA_UKI_HEADER_SIZE + (gsize)header->n_frames * PROA_UKI_FRAME_ENTRY_SIZE +
	       ((gsize)header->n_old_tables + header->n_new_tables) * PROA_STEPS_ENTRY_SIZE;
}

guint64 proa_uki_unpacked_size(const ProaUkiHeader *header)
{
	guint64 size = header->size;

	for (guint32 i = 0; i < header->n_frames; i++)
		size += header->frames[i].size - header->frames[i].packed_size;
	return size;
}

guint64 proa_uki_source_size(const ProaUkiHeader *header)
{
	return header->root_size + header->old_size + header->old_kernel.size -
	       header->old_kernel.packed_size;
}

static void put_frame(guint8 *entry, const ProaRepackFrame *frame)
{
	const ProaRepackParams *params = &frame->params;

	proa_put_u64(entry + AT_FRAME_OFFSET, frame->offset);
	proa_put_u64(entry + AT_FRAME_PACKED_SIZE, frame->packed_size);
	proa_put_u64(entry + AT_FRAME_SIZE, frame->size);
	entry[AT_FRAME_LEVEL] = params->level;
	entry[AT_FRAME_FLAGS] =
		(guint8)((params->workers ? FLAG_WORKERS : 0) | (params->checksum ? FLAG_CHECKSUM : 0) |
			 (params->sized ? FLAG_SIZED : 0));
}

GBytes *proa_uki_header_serialize(const ProaUkiHeader *header)
{
	gsize size = proa_uki_head_size(header);
	guint8 *data = g_malloc0(size);

	memcpy(data + AT_MAGIC, PROA_DELTA_MAGIC, 8);
	proa_put_u32(data + AT_VERSION, PROA_UKI_FORMAT_VERSION);
	proa_put_u32(data + AT_TYPE, PROA_UKI_TYPE);
	proa_put_u64(data + AT_SIZE, header->size);
	proa_put_u32(data + AT_KIND, header->kind);
	proa_put_u32(data + AT_FRAMES, header->n_frames);
	memcpy(data + AT_SHA256, header->sha256, PROA_SHA256_SIZE);
	memcpy(data + AT_OLD_SHA256, header->old_sha256, PROA_SHA256_SIZE);
	memcpy(data + AT_OLD_ROOT_HASH, header->old_root_hash, PROA_SHA256_SIZE);
	proa_put_u64(data + AT_OLD_SIZE, header->old_size);
	proa_put_u64(data + AT_ROOT_SIZE, header->root_size);
	memcpy(data + AT_ROOT_HASH, header->root_hash, PROA_SHA256_SIZE);
	proa_put_u64(data + AT_MEMORY, header->memory);
	proa_put_u32(data + AT_ZSTD_VERSION, header->zstd_version);
	put_frame(data + AT_OLD_KERNEL, &header->old_kernel);
	proa_put_u64(data + AT_DELTA_HEAD_SIZE, header->delta_head_size);
	memcpy(data + AT_DELTA_HEAD_SHA256, header->delta_head_sha256, PROA_SHA256_SIZE);
	proa_put_u32(data + AT_OLD_TABLES, header->n_old_tables);
	proa_put_u32(data + AT_NEW_TABLES, header->n_new_tables);
	guint8 *rest = data + PROA_UKI_HEADER_SIZE;
	for (guint32 i = 0; i < header->n_frames; i++, rest += PROA_UKI_FRAME_ENTRY_SIZE)
		put_frame(rest, &header->frames[i]);
	proa_steps_serialize(header->old_tables, header->n_old_tables, rest);
	rest += (gsize)header->n_old_tables * PROA_STEPS_ENTRY_SIZE;
	proa_steps_serialize(header->new_tables, header->n_new_tables, rest);
	return g_bytes_new_take(data, size);
}

/* Whether all of @data is zero. */
static gboolean zero(const guint8 *data, gsize size)
{
	for (gsize i = 0; i < size; i++)
		if (data[i] != 0)
			return FALSE;
	return TRUE;
}

/* A frame that lies within the bytes from @from to @to. */
static gboolean parse_frame(
	const guint8 *entry, guint64 from, guint64 to, ProaRepackFrame *ret, GError **error)
{
	ProaRepackFrame frame = { .offset = proa_get_u64(entry + AT_FRAME_OFFSET),
		.packed_size = proa_get_u64(entry + AT_FRAME_PACKED_SIZE),
		.size = proa_get_u64(entry + AT_FRAME_SIZE) };
	guint8 flags = entry[AT_FRAME_FLAGS];

	frame.params = (ProaRepackParams){ entry[AT_FRAME_LEVEL], (flags & FLAG_WORKERS) != 0,
		(flags & FLAG_CHECKSUM) != 0, (flags & FLAG_SIZED) != 0 };
	if (frame.offset < from || frame.offset > to || frame.packed_size < 1 ||
		frame.packed_size > to - frame.offset || frame.size < frame.packed_size ||
		frame.size > PROA_REPACK_MAX_SIZE || frame.params.level < 1 || frame.params.level > 22 ||
		flags > (FLAG_WORKERS | FLAG_CHECKSUM | FLAG_SIZED) ||
		!zero(entry + AT_FRAME_ZERO, PROA_UKI_FRAME_ENTRY_SIZE - AT_FRAME_ZERO))
		return proa_fail(error, BAD, "a frame of the boot image is malformed");
	*ret = frame;
	return TRUE;
}

static gboolean check_numbers(const ProaUkiHeader *header, GError **error)
{
	gboolean old = header->kind != PROA_UKI_FULL;
	guint32 most = header->kind == PROA_UKI_KERNEL ? PROA_STEPS_MAX_TABLES : 0;

	if (header->kind >= _PROA_UKI_KIND_MAX || header->n_frames > PROA_UKI_MAX_FRAMES ||
		header->size < 1 || header->size > PROA_UKI_MAX_SIZE ||
		header->old_size > PROA_UKI_MAX_SIZE || old != (header->old_size > 0) ||
		header->root_size < 1 || header->root_size > PROA_DELTA_MAX_IMAGE_SIZE / 2 ||
		header->memory > 16 * (guint64)PROA_REPACK_MAX_SIZE ||
		header->delta_head_size < PROA_DELTA_HEADER_SIZE || header->n_old_tables > most ||
		header->n_new_tables > most)
		return proa_fail(error, BAD, "the head of the boot image's payload is malformed");
	return TRUE;
}

gboolean proa_uki_header_parse(
	const guint8 data[PROA_UKI_HEADER_SIZE], ProaUkiHeader *ret_header, GError **error)
{
	ProaUkiHeader header = { .size = proa_get_u64(data + AT_SIZE),
		.n_frames = proa_get_u32(data + AT_FRAMES),
		.old_size = proa_get_u64(data + AT_OLD_SIZE),
		.root_size = proa_get_u64(data + AT_ROOT_SIZE),
		.memory = proa_get_u64(data + AT_MEMORY),
		.zstd_version = proa_get_u32(data + AT_ZSTD_VERSION),
		.delta_head_size = proa_get_u64(data + AT_DELTA_HEAD_SIZE),
		.n_old_tables = proa_get_u32(data + AT_OLD_TABLES),
		.n_new_tables = proa_get_u32(data + AT_NEW_TABLES) };
	guint32 kind = proa_get_u32(data + AT_KIND);

	if (memcmp(data + AT_MAGIC, PROA_DELTA_MAGIC, 8) != 0 ||
		proa_get_u32(data + AT_TYPE) != PROA_UKI_TYPE)
		return proa_fail(error, BAD, "it is no payload of a boot image");
	if (proa_get_u32(data + AT_VERSION) != PROA_UKI_FORMAT_VERSION)
		return proa_fail(
			error, BAD, "format version %u is not known", proa_get_u32(data + AT_VERSION));
	header.kind = (ProaUkiKind)MIN(kind, (guint32)_PROA_UKI_KIND_MAX);
	memcpy(header.sha256, data + AT_SHA256, PROA_SHA256_SIZE);
	memcpy(header.old_sha256, data + AT_OLD_SHA256, PROA_SHA256_SIZE);
	memcpy(header.old_root_hash, data + AT_OLD_ROOT_HASH, PROA_SHA256_SIZE);
	memcpy(header.root_hash, data + AT_ROOT_HASH, PROA_SHA256_SIZE);
	memcpy(header.delta_head_sha256, data + AT_DELTA_HEAD_SHA256, PROA_SHA256_SIZE);
	if (!check_numbers(&header, error))
		return FALSE;
	if (header.kind == PROA_UKI_FULL &&
		(!zero(header.old_sha256, PROA_SHA256_SIZE) || !zero(header.old_root_hash, PROA_SHA256_SIZE)))
		return proa_fail(error, BAD, "a boot image is named that nothing is made from");
	if (!zero(data + AT_ZERO, AT_OLD_KERNEL - AT_ZERO) ||
		!zero(data + AT_END, PROA_UKI_HEADER_SIZE - AT_END))
		return proa_fail(error, BAD, "bytes that must be zero are not");
	/* A level it has as well, so that an entry is an entry; who unpacks needs none. */
	if (header.kind == PROA_UKI_KERNEL
			? !parse_frame(data + AT_OLD_KERNEL, 0, header.old_size, &header.old_kernel, error)
			: !zero(data + AT_OLD_KERNEL, PROA_UKI_FRAME_ENTRY_SIZE) &&
				  !proa_fail(error, BAD, "a kernel is unpacked that nothing is made from"))
		return FALSE;
	*ret_header = header;
	return TRUE;
}

static gboolean parse_frames(ProaUkiHeader *header, const guint8 *table, GError **error)
{
	guint64 from = 0, heavy = header->old_kernel.size;

	for (guint32 i = 0; i < header->n_frames; i++) {
		ProaRepackFrame *frame = &header->frames[i];
		if (!parse_frame(table + i * PROA_UKI_FRAME_ENTRY_SIZE, from, header->size, frame, error))
			return FALSE;
		if (header->kind != PROA_UKI_KERNEL &&
			(frame->params.level > PROA_UKI_LIGHT_LEVEL || frame->params.workers))
			return proa_fail(error, BAD, "packing a frame of the boot image takes too much");
		from = frame->offset + frame->packed_size;
		heavy += frame->params.level > PROA_UKI_LIGHT_LEVEL ? frame->size : 0;
	}
	/* What is packed so is in memory as a whole, as the old kernel is. */
	return header->memory >= heavy ||
	       proa_fail(error, BAD,
		       "the boot image's payload says %" G_GUINT64_FORMAT
		       " bytes of memory, and has %" G_GUINT64_FORMAT " to unpack and pack",
		       header->memory, heavy);
}

gboolean proa_uki_rest_parse(ProaUkiHeader *header, const guint8 *rest, GError **error)
{
	const guint8 *old_tables = rest + (gsize)header->n_frames * PROA_UKI_FRAME_ENTRY_SIZE;
	const guint8 *new_tables = old_tables + (gsize)header->n_old_tables * PROA_STEPS_ENTRY_SIZE;

	return parse_frames(header, rest, error) &&
	       proa_steps_parse(old_tables, header->n_old_tables, header->old_kernel.size, header->old_tables,
		       error) &&
	       proa_steps_parse(new_tables, header->n_new_tables, proa_uki_unpacked_size(header),
		       header->new_tables, error);
}

gboolean proa_uki_file_header(const char *path, ProaUkiHeader *ret_header, char **ret_sha256, GError **error)
{
	guint8 fixed[PROA_UKI_HEADER_SIZE];
	g_auto(ProaHead) head = { .fd = -1 };
	ProaUkiHeader header = { 0 };
	gboolean parsed = proa_head_open(&head, path, fixed, sizeof fixed, error) &&
			  proa_uki_header_parse(fixed, &header, error);
	g_autofree guint8 *rest =
		parsed ? proa_head_take(&head, proa_uki_head_size(&header) - sizeof fixed, error) : NULL;

	/* How many bytes the delta behind it has, its own head says. */
	if (!rest || !proa_uki_rest_parse(&header, rest, error) ||
		!proa_head_end(&head, 0, ret_sha256, error)) {
		g_prefix_error(error, "%s: ", path);
		return FALSE;
	}
	*ret_header = header;
	return TRUE;
}

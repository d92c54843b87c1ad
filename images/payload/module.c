/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/module.h"

#include "images/payload/table.h"
#include "updater/payload/delta-ops.h"

#include <string.h>

/* More would not leave a frame room for other things; bytes. */
#define MAX_NEWS ((guint64)512 * 1024)

void proa_module_free(ProaModule *module)
{
	if (!module)
		return;
	proa_builder_free(module->body);
	g_array_unref(module->tail);
	g_free(module);
}

typedef struct {
	const ProaErofsFile *file;
	guint8 *data; /* the whole file */
	ProaDeltaModuleHead head;
	ProaDeltaModule *module;
	guint64 types_at, types; /* the section .BTF; bytes */
} Side;

static gboolean read_side(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	memcpy(data, ((Side *)user_data)->data + offset, size);
	return TRUE;
}

static gboolean open_side(Side *side, const guint8 *image)
{
	const ProaErofsFile *file = side->file;

	side->data = g_malloc(file->size);
	memcpy(side->data, image + file->blocks_at, file->blocks);
	memcpy(side->data + file->blocks, image + file->tail_at, file->tail);
	if (!proa_delta_module_head(read_side, side, file->size, &side->head, NULL))
		return FALSE;
	side->module = proa_delta_module_open(read_side, side, file->size, &side->head, NULL);
	for (guint32 i = 1; side->module && i < side->head.count; i++)
		if (strcmp(side->module->sections[i].name, ".BTF") == 0) {
			side->types_at = side->module->sections[i].offset;
			side->types = side->module->sections[i].size;
		}
	return side->module != NULL;
}

static void side_clear(Side *side)
{
	g_free(side->data);
	proa_delta_module_free(side->module);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Side, side_clear)

/* Adds a range, cut where the type information begins and ends: that is a table of words. */
static void add_range(GArray *ranges, const Side *side, guint64 at, guint64 end)
{
	guint64 from = CLAMP(side->types_at, at, end), to = CLAMP(side->types_at + side->types, at, end);

	proa_ranges_add(ranges, at, from - at);
	proa_ranges_add(ranges, from, to - from);
	proa_ranges_add(ranges, to, end - to);
}

/* All of the old file but its tables, which are predicted from and nothing else. */
static GArray *old_ranges(const Side *old_side, const GArray *tables)
{
	GArray *ranges = proa_ranges_new();
	guint64 at = 0;

	while (at < old_side->file->size) {
		const ProaDeltaTable *next = NULL;
		for (guint i = 0; i < tables->len; i++) {
			const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
			if (table->old_offset >= at && (!next || table->old_offset < next->old_offset))
				next = table;
		}
		guint64 until = next ? next->old_offset : old_side->file->size;
		add_range(ranges, old_side, at, until);
		at = next ? MAX(until + 1, until + (guint64)next->old_count * PROA_DELTA_RECORD_SIZE) : until;
	}
	return ranges;
}

/* The new file up to @limit but its tables; then what is made before that, and its last bytes. */
static GArray *new_ranges(const Side *new_side, const GArray *tables, guint64 limit)
{
	GArray *ranges = proa_ranges_new();
	guint64 at = 0;

	for (guint i = 0; i < tables->len; i++) {
		const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
		add_range(ranges, new_side, at, table->new_offset);
		at = table->new_offset + (guint64)table->new_count * PROA_DELTA_RECORD_SIZE;
	}
	add_range(ranges, new_side, at, limit);
	proa_ranges_add(ranges, limit, new_side->file->blocks - limit);
	proa_ranges_add(ranges, new_side->file->blocks, new_side->file->tail);
	return ranges;
}

/* A piece of the file's last bytes, in the offsets of the images; the old bytes may lie in two places there.
 */
static void add_tail_piece(
	const ProaErofsFile *old_file, const ProaErofsFile *new_file, ProaPiece piece, GArray *tail)
{
	piece.new_at = new_file->tail_at + (piece.new_at - new_file->blocks);
	while (piece.length > 0) {
		ProaPiece part = piece;
		if (part.matched && part.old_at < old_file->blocks) {
			part.length = MIN(part.length, old_file->blocks - part.old_at);
			part.old_at += old_file->blocks_at;
		} else if (part.matched) {
			part.old_at = old_file->tail_at + (part.old_at - old_file->blocks);
		}
		g_array_append_val(tail, part);
		piece.new_at += part.length;
		piece.old_at += part.length;
		piece.length -= part.length;
	}
}

static gboolean within_types(const Side *side, guint64 at, guint64 length)
{
	return at >= side->types_at && at + length <= side->types_at + side->types &&
	       (at - side->types_at) % 4 == 0;
}

static void add_piece(
	const Side *old_side, const Side *new_side, ProaPiece piece, ProaBuilder *body, ProaDeltaMap *map)
{
	ProaPiece words = piece;

	words.length &= ~(guint64)3;
	if (words.length > 0 && piece.matched && within_types(old_side, piece.old_at, words.length) &&
		within_types(new_side, piece.new_at, words.length)) {
		proa_builder_words(body, old_side->data, new_side->data, &words, map);
		piece.old_at += words.length;
		piece.new_at += words.length;
		piece.length -= words.length;
	}
	if (piece.length > 0)
		proa_builder_piece(body, old_side->data, new_side->data, &piece, map);
}

/* The pieces in the order of the applier: what comes after the limit, then the rest. */
static void add_pieces(const Side *old_side, const Side *new_side, const GArray *pieces, guint64 limit,
	ProaModule *module, ProaDeltaMap *map)
{
	guint64 blocks = new_side->file->blocks;

	for (guint pass = 0; pass < 2; pass++)
		for (guint i = 0; i < pieces->len; i++) {
			const ProaPiece *piece = &g_array_index(pieces, ProaPiece, i);
			gboolean in_tail = piece->new_at >= blocks;
			if (in_tail && pass == 0)
				add_tail_piece(old_side->file, new_side->file, *piece, module->tail);
			if ((piece->new_at >= limit) == (pass == 0) && (!in_tail || module->later))
				add_piece(old_side, new_side, *piece, module->body, pass == 0 ? NULL : map);
		}
}

static gboolean add_tables(ProaDeltaPredict *predict, const Side *old_side, const Side *new_side,
	const GArray *tables, ProaBuilder *body)
{
	for (ProaDeltaTableKind kind = PROA_DELTA_TABLE_SYMBOLS; kind <= PROA_DELTA_TABLE_RELA; kind++)
		for (guint i = 0; i < tables->len; i++) {
			const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
			if (table->kind == kind &&
				!proa_table_make(predict, table, old_side->module, old_side->data,
					new_side->module, new_side->data, body))
				return FALSE;
		}
	return TRUE;
}

static ProaModule *make(const Side *old_side, const Side *new_side)
{
	const ProaDeltaModuleHead *head = &new_side->head;
	guint64 names_at = new_side->module->sections[head->names].offset;
	guint64 limit = MIN(MIN(head->offset, names_at), new_side->file->blocks);
	g_autoptr(ProaDeltaPredict) predict =
		proa_delta_predict_new(old_side->module, new_side->module, limit, NULL);

	if (!predict || proa_delta_predict_tables(predict)->len == 0)
		return NULL;
	const GArray *tables = proa_delta_predict_tables(predict);
	g_autoptr(ProaModule) module = g_new0(ProaModule, 1);
	*module = (ProaModule){ .old_file = old_side->file,
		.new_file = new_side->file,
		.head_offset = (gint64)(head->offset - old_side->head.offset),
		.head_count = (gint64)head->count - old_side->head.count,
		.head_names = (gint64)head->names - old_side->head.names,
		.before_head = head->offset - limit,
		.body = proa_builder_new(),
		.later = new_side->file->tail_at >= new_side->file->blocks_at + new_side->file->blocks,
		.tail = proa_pieces_new() };
	g_autoptr(GArray) from = old_ranges(old_side, tables), to = new_ranges(new_side, tables, limit),
			  pieces = proa_pieces_new();
	proa_align(old_side->data, from, new_side->data, to, pieces);
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
	add_pieces(old_side, new_side, pieces, limit, module, map);
	proa_delta_map_seal(map);
	proa_delta_predict_learn(predict, map);
	if (proa_delta_map_overflowed(map) ||
		!add_tables(predict, old_side, new_side, tables, module->body) ||
		module->body->news > MAX_NEWS)
		return NULL;
	return g_steal_pointer(&module);
}

ProaModule *proa_module_make(const guint8 *old_image, const ProaErofsFile *old_file, const guint8 *new_image,
	const ProaErofsFile *new_file)
{
	g_auto(Side) old_side = { .file = old_file }, new_side = { .file = new_file };

	if (new_file->blocks < PROA_DELTA_MIN_UNIT || new_file->blocks > PROA_DELTA_MAX_UNIT ||
		old_file->blocks > PROA_DELTA_MAX_UNIT || new_file->tail > PROA_DELTA_MAX_TAIL ||
		old_file->tail > PROA_DELTA_MAX_TAIL)
		return NULL;
	if (!open_side(&old_side, old_image) || !open_side(&new_side, new_image))
		return NULL;
	return make(&old_side, &new_side);
}

void proa_module_append(
	const ProaModule *module, ProaBuilder *frame, guint64 *old_tail_at, guint64 *new_tail_at)
{
	const ProaErofsFile *old_file = module->old_file, *new_file = module->new_file;

	proa_builder_op(frame, PROA_DELTA_UNIT, new_file->blocks);
	proa_builder_signed(frame, PROA_DELTA_SEEK, (gint64)(old_file->blocks_at - frame->old_at));
	proa_builder_signed(frame, PROA_DELTA_SEEK, (gint64)(old_file->blocks - new_file->blocks));
	proa_builder_signed(frame, PROA_DELTA_SEEK, (gint64)(old_file->tail_at - *old_tail_at));
	proa_builder_number(frame, PROA_DELTA_SEEK, old_file->tail);
	proa_builder_signed(frame, PROA_DELTA_SEEK, (gint64)(new_file->tail_at - *new_tail_at));
	proa_builder_number(frame, PROA_DELTA_SEEK, new_file->tail);
	proa_builder_signed(frame, PROA_DELTA_OPS, module->head_offset);
	proa_builder_signed(frame, PROA_DELTA_OPS, module->head_count);
	proa_builder_signed(frame, PROA_DELTA_OPS, module->head_names);
	proa_builder_number(frame, PROA_DELTA_OPS, module->before_head);
	proa_builder_append(frame, module->body);
	frame->old_at = old_file->blocks_at + old_file->blocks;
	*old_tail_at = old_file->tail_at + old_file->tail;
	*new_tail_at = new_file->tail_at + new_file->tail;
}

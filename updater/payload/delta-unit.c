/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-module.h"
#include "updater/payload/delta-work.h"

#include <string.h>

#define BAD PROA_REASON_BAD_PAYLOAD

/* A file as the image holds it: whole blocks, and its last bytes elsewhere. */
typedef struct {
	ProaDeltaWork *work;
	guint64 blocks_at, blocks, tail_at, tail; /* of the old file; bytes */
	guint8 old_tail[PROA_DELTA_MAX_TAIL];     /* its last bytes: they are asked for again and again */
	guint8 *made;                             /* the new file: its blocks and its last bytes */
	guint64 length, new_tail, new_tail_at;
	gboolean later; /* the last bytes come after the blocks in the image: they are made here and kept */
	ProaDeltaModuleHead head;
	guint64 limit; /* the bytes of @made from here on are made before the others */
} Unit;

static gboolean read_old_file(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	Unit *unit = user_data;
	ProaDeltaSource *source = unit->work->old_image;

	if (offset > unit->blocks + unit->tail || size > unit->blocks + unit->tail - offset)
		return proa_fail(error, BAD, "the payload reads outside of an old file");
	gsize n = offset < unit->blocks ? (gsize)MIN((guint64)size, unit->blocks - offset) : 0;
	if (n > 0 && !proa_delta_source_read(source, unit->blocks_at + offset, data, n, error))
		return FALSE;
	if (n < size)
		memcpy(data + n, unit->old_tail + (offset + n - unit->blocks), size - n);
	return TRUE;
}

static gboolean read_new_file(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	Unit *unit = user_data;

	if (offset < unit->limit || offset > unit->length + unit->new_tail ||
		size > unit->length + unit->new_tail - offset)
		return proa_fail(
			error, BAD, "the payload reads outside of a new file, or what is not made of it yet");
	memcpy(data, unit->made + offset, size);
	return TRUE;
}

static gboolean number(Unit *unit, ProaDeltaStream stream, guint64 max, guint64 *ret, GError **error)
{
	if (!proa_delta_number(unit->work->streams, stream, ret, error))
		return FALSE;
	return *ret <= max ? TRUE : proa_fail(error, BAD, "a number of a module is too large");
}

/* A number that is told relative to @base. */
static gboolean relative(
	Unit *unit, ProaDeltaStream stream, guint64 base, guint64 max, guint64 *ret, GError **error)
{
	gint64 step;

	if (!proa_delta_signed(unit->work->streams, stream, &step, error))
		return FALSE;
	*ret = base + (guint64)step;
	return *ret <= max ? TRUE : proa_fail(error, BAD, "a number of a module is too large");
}

/*
 * One place for all modules: memory that is asked for anew is cleared by the kernel, page by page. It has
 * bytes of the module before: read_new_file() reads nothing that was not made.
 */
static void take_room(Unit *unit)
{
	ProaDeltaWork *work = unit->work;
	gsize size = (gsize)(unit->length + unit->new_tail);

	if (work->unit_size < size) {
		g_free(work->unit);
		work->unit = g_malloc(size);
		work->unit_size = size;
	}
	unit->made = work->unit;
}

/* Where the old file lies, and the last bytes of both. */
static gboolean take_places(Unit *unit, GError **error)
{
	ProaDeltaWork *work = unit->work;
	guint64 old_size = work->header->old_size, new_size = work->header->new_size;

	if (!relative(unit, PROA_DELTA_SEEK, work->old_at, old_size, &unit->blocks_at, error) ||
		!relative(unit, PROA_DELTA_SEEK, unit->length, PROA_DELTA_MAX_UNIT, &unit->blocks, error) ||
		!relative(unit, PROA_DELTA_SEEK, work->old_tail_at, old_size, &unit->tail_at, error) ||
		!number(unit, PROA_DELTA_SEEK, PROA_DELTA_MAX_TAIL, &unit->tail, error) ||
		!relative(unit, PROA_DELTA_SEEK, work->new_tail_at, new_size, &unit->new_tail_at, error) ||
		!number(unit, PROA_DELTA_SEEK, PROA_DELTA_MAX_TAIL, &unit->new_tail, error))
		return FALSE;
	take_room(unit);
	unit->later = unit->new_tail_at >= work->made + unit->length;
	if (!unit->later && !proa_delta_read_made(work, unit->new_tail_at, unit->made + unit->length,
				    (gsize)unit->new_tail, error))
		return FALSE;
	if (!proa_delta_source_read(
		    work->old_image, unit->tail_at, unit->old_tail, (gsize)unit->tail, error) ||
		!proa_delta_source_prefetch(work->old_image, unit->blocks_at, unit->blocks, error))
		return FALSE;
	work->old_at = unit->blocks_at + unit->blocks;
	work->old_tail_at = unit->tail_at + unit->tail;
	work->new_tail_at = unit->new_tail_at + unit->new_tail;
	return TRUE;
}

/* Where the new file's section headers are, relative to the old file's. */
static gboolean take_head(Unit *unit, const ProaDeltaModuleHead *old_head, GError **error)
{
	guint64 size = unit->length + unit->new_tail, count, names, before;

	if (!relative(unit, PROA_DELTA_OPS, old_head->offset, size, &unit->head.offset, error) ||
		!relative(unit, PROA_DELTA_OPS, old_head->count, PROA_DELTA_MAX_SECTIONS, &count, error) ||
		!relative(unit, PROA_DELTA_OPS, old_head->names, PROA_DELTA_MAX_SECTIONS, &names, error) ||
		!number(unit, PROA_DELTA_OPS, unit->head.offset, &before, error))
		return FALSE;
	unit->head.count = (guint32)count;
	unit->head.names = (guint32)names;
	unit->limit = MIN(unit->head.offset - before, unit->length);
	return TRUE;
}

/* What lies between the tables, up to the limit. */
static gboolean make_rest(Unit *unit, const GArray *tables, ProaDeltaPlace *place, GError **error)
{
	place->at = 0;
	for (guint i = 0; i <= tables->len; i++) {
		const ProaDeltaTable *table =
			i < tables->len ? &g_array_index(tables, ProaDeltaTable, i) : NULL;
		guint64 until = table ? table->new_offset : unit->limit;
		if (!proa_delta_run_ops(unit->work, place, until - place->at, error))
			return FALSE;
		if (table)
			place->at += (guint64)table->new_count * PROA_DELTA_RECORD_SIZE;
	}
	return TRUE;
}

/* One table at work. */
typedef struct {
	Unit *unit;
	ProaDeltaPredict *predict;
	const ProaDeltaTable *table;
	guint32 old_at, new_at; /* records */
	ProaDeltaRecord previous;
} Rows;

static void put_row(Rows *rows, const ProaDeltaRecord *record)
{
	const ProaDeltaTable *table = rows->table;

	proa_delta_record_write(table->kind, record,
		rows->unit->made + table->new_offset + (gsize)rows->new_at * PROA_DELTA_RECORD_SIZE);
	/* What was written, cut to its width, is what both sides go on from. */
	proa_delta_record_parse(table->kind,
		rows->unit->made + table->new_offset + (gsize)rows->new_at * PROA_DELTA_RECORD_SIZE,
		&rows->previous);
	rows->new_at++;
}

/* The next old record that is not gone; FALSE after the last. */
static gboolean next_row(Rows *rows, ProaDeltaRecord *ret)
{
	while (rows->old_at < rows->table->old_count) {
		guint32 index = rows->old_at++;
		if (!proa_delta_predict_record(
			    rows->predict, index, rows->new_at > 0 ? &rows->previous : NULL, ret))
			continue;
		return TRUE;
	}
	return FALSE;
}

static void pair_symbols(Rows *rows)
{
	if (rows->table->kind == PROA_DELTA_TABLE_SYMBOLS)
		proa_delta_predict_symbol(rows->predict, rows->old_at - 1, rows->new_at);
}

/* The columns that @mask names are corrected. */
static gboolean correct_row(Rows *rows, guint64 mask, ProaDeltaRecord *record, GError **error)
{
	for (guint i = 0; i < proa_delta_table_columns(rows->table->kind); i++) {
		gint64 step;
		if (!(mask & (1u << i)))
			continue;
		if (!proa_delta_signed(rows->unit->work->streams,
			    proa_delta_column_stream(rows->table->kind, i), &step, error))
			return FALSE;
		record->column[i] = (gint64)((guint64)record->column[i] + (guint64)step);
	}
	return TRUE;
}

static gboolean exact_rows(Rows *rows, guint64 count, GError **error)
{
	for (guint64 i = 0; i < count; i++) {
		ProaDeltaRecord record;
		if (!next_row(rows, &record))
			return proa_fail(error, BAD, "a table has fewer old records than are used");
		pair_symbols(rows);
		put_row(rows, &record);
	}
	return TRUE;
}

static gboolean changed_rows(Rows *rows, GError **error)
{
	ProaDeltaStream ops = proa_delta_column_stream(rows->table->kind, 1);
	ProaDeltaRecord record = rows->previous;
	guint64 op, n;

	if (!proa_delta_number(rows->unit->work->streams, ops, &op, error))
		return FALSE;
	n = op >> PROA_DELTA_ROW_BITS;
	switch (op & ((1u << PROA_DELTA_ROW_BITS) - 1)) {
	case PROA_DELTA_ROW_SKIP:
		for (guint64 i = 0; i < n; i++)
			if (!next_row(rows, &record))
				return proa_fail(error, BAD, "a table skips more old records than it has");
		return n > 0 ? TRUE : proa_fail(error, BAD, "a table skips nothing");
	case PROA_DELTA_ROW_INSERT:
		if (n == 0 || n > rows->table->new_count - rows->new_at)
			return proa_fail(error, BAD, "a table gets more new records than it has room for");
		for (guint64 i = 0; i < n; i++) {
			record = rows->previous;
			if (!correct_row(rows, G_MAXUINT64, &record, error))
				return FALSE;
			put_row(rows, &record);
		}
		return TRUE;
	case PROA_DELTA_ROW_SUBSTITUTE:
		if (!next_row(rows, &record))
			return proa_fail(error, BAD, "a table has fewer old records than are used");
		if (!correct_row(rows, n, &record, error))
			return FALSE;
		pair_symbols(rows);
		put_row(rows, &record);
		return TRUE;
	default:
		return proa_fail(error, BAD, "a table has an unknown operation");
	}
}

static gboolean make_table(Unit *unit, ProaDeltaPredict *predict, const ProaDeltaTable *table, GError **error)
{
	Rows rows = { .unit = unit, .predict = predict, .table = table };

	if (!proa_delta_predict_begin(predict, table, error))
		return FALSE;
	while (rows.new_at < table->new_count) {
		guint64 exact;
		if (!number(unit, proa_delta_column_stream(table->kind, 1), table->new_count - rows.new_at,
			    &exact, error) ||
			!exact_rows(&rows, exact, error))
			return FALSE;
		if (rows.new_at < table->new_count && !changed_rows(&rows, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean make_tables(Unit *unit, ProaDeltaPredict *predict, const GArray *tables, GError **error)
{
	for (ProaDeltaTableKind kind = PROA_DELTA_TABLE_SYMBOLS; kind <= PROA_DELTA_TABLE_RELA; kind++)
		for (guint i = 0; i < tables->len; i++) {
			const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
			if (table->kind == kind && !make_table(unit, predict, table, error))
				return FALSE;
		}
	return TRUE;
}

static gboolean make_unit(Unit *unit, GError **error)
{
	ProaDeltaModuleHead old_head;
	guint64 old_size = unit->blocks + unit->tail, old_at = 0;
	ProaDeltaPlace place = {
		.read_old = read_old_file, .user_data = unit, .old_at = &old_at, .memory = unit->made
	};

	if (!proa_delta_module_head(read_old_file, unit, old_size, &old_head, error) ||
		!take_head(unit, &old_head, error))
		return FALSE;
	place.at = unit->limit;
	if (!proa_delta_run_ops(unit->work, &place,
		    unit->length - unit->limit + (unit->later ? unit->new_tail : 0), error))
		return FALSE;
	g_autoptr(ProaDeltaModule) old_module =
		proa_delta_module_open(read_old_file, unit, old_size, &old_head, error);
	g_autoptr(ProaDeltaModule) new_module =
		old_module ? proa_delta_module_open(
				     read_new_file, unit, unit->length + unit->new_tail, &unit->head, error)
			   : NULL;
	g_autoptr(ProaDeltaPredict) predict =
		new_module ? proa_delta_predict_new(old_module, new_module, unit->limit, error) : NULL;
	if (!predict)
		return FALSE;
	g_autoptr(ProaDeltaMap) map = place.map = proa_delta_map_new();
	const GArray *tables = proa_delta_predict_tables(predict);
	if (!make_rest(unit, tables, &place, error))
		return FALSE;
	proa_delta_map_seal(map);
	proa_delta_predict_learn(predict, map);
	return make_tables(unit, predict, tables, error);
}

gboolean proa_delta_run_unit(ProaDeltaWork *work, guint64 length, GError **error)
{
	Unit unit = { .work = work, .length = length };

	if (length < PROA_DELTA_MIN_UNIT || length > PROA_DELTA_MAX_UNIT)
		return proa_fail(
			error, BAD, "a module of %" G_GUINT64_FORMAT " bytes is not allowed", length);
	gboolean ok = take_places(&unit, error) && make_unit(&unit, error) &&
		      proa_delta_emit(work, unit.made, (gsize)length, error);
	if (ok && unit.later && unit.new_tail > 0)
		ok = proa_delta_keep_tail(
			work, unit.new_tail_at, unit.made + length, (gsize)unit.new_tail, error);
	return ok;
}

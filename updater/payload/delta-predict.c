/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-module.h"
#include "updater/payload/wire.h"

#include <elf.h>

#define NOWHERE G_MAXUINT32

struct ProaDeltaPredict {
	const ProaDeltaModule *old_module, *new_module;
	const ProaDeltaMap *map;
	guint32 *new_section_of; /* old section -> new section, or NOWHERE */
	GArray *tables;
	const ProaDeltaTable *table; /* the one at work, and its old records */
	guint8 *records;
	gboolean relative;
	guint8 *symbols; /* the old symbols */
	guint32 n_symbols;
	guint32 *new_symbol_of; /* old symbol -> new symbol, or NOWHERE */
};

/* Sections are the same if they have the same name, and are as manieth of it. */
static void match_sections(ProaDeltaPredict *predict)
{
	const ProaDeltaModule *old_module = predict->old_module, *new_module = predict->new_module;
	g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal); /* name -> section */
	g_autofree guint32 *next = g_new0(guint32, new_module->head.count); /* of the same name; 0: none */

	for (guint32 i = new_module->head.count; i-- > 1;) {
		const char *name = new_module->sections[i].name;
		next[i] = GPOINTER_TO_UINT(g_hash_table_lookup(first, name));
		g_hash_table_insert(first, (gpointer)(guintptr)name, GUINT_TO_POINTER(i));
	}
	predict->new_section_of = g_new(guint32, old_module->head.count);
	predict->new_section_of[0] = 0;
	for (guint32 i = 1; i < old_module->head.count; i++) {
		const char *name = old_module->sections[i].name;
		guint32 found = GPOINTER_TO_UINT(g_hash_table_lookup(first, name));
		predict->new_section_of[i] = found > 0 ? found : NOWHERE;
		if (found > 0)
			g_hash_table_insert(first, (gpointer)(guintptr)name, GUINT_TO_POINTER(next[found]));
	}
}

static void add_table(ProaDeltaPredict *predict, guint32 old_index, guint64 limit)
{
	guint32 new_index = predict->new_section_of[old_index];
	const ProaDeltaSection *from = &predict->old_module->sections[old_index];

	if (new_index == NOWHERE || (from->type != SHT_SYMTAB && from->type != SHT_RELA))
		return;
	const ProaDeltaSection *to = &predict->new_module->sections[new_index];
	guint64 size = to->offset < limit ? MIN(to->size, limit - to->offset) : 0;
	if (to->type != from->type || size < PROA_DELTA_RECORD_SIZE || size > PROA_DELTA_MAX_TABLE ||
		from->size > PROA_DELTA_MAX_TABLE || from->link >= predict->old_module->head.count ||
		to->link >= predict->new_module->head.count ||
		(from->type == SHT_RELA && from->info >= predict->old_module->head.count))
		return;
	ProaDeltaTable table = { from->type == SHT_SYMTAB ? PROA_DELTA_TABLE_SYMBOLS : PROA_DELTA_TABLE_RELA,
		new_index, old_index, to->offset, from->offset, (guint32)(size / PROA_DELTA_RECORD_SIZE),
		(guint32)(from->size / PROA_DELTA_RECORD_SIZE) };
	g_array_append_val(predict->tables, table);
}

static int by_new_offset(gconstpointer a, gconstpointer b)
{
	const ProaDeltaTable *first = a, *second = b;

	return first->new_offset < second->new_offset ? -1 : first->new_offset > second->new_offset;
}

/* The new module and what is kept of the old one's tables while it is made: its symbols, and one more. */
static gboolean check_memory(const ProaDeltaPredict *predict, GError **error)
{
	guint64 total = 0, symbols = 0, largest = 0;

	for (guint i = 0; i < predict->tables->len; i++) {
		const ProaDeltaTable *table = &g_array_index(predict->tables, ProaDeltaTable, i);
		guint64 size = (guint64)table->old_count * PROA_DELTA_RECORD_SIZE;
		total += size;
		if (table->kind == PROA_DELTA_TABLE_SYMBOLS)
			symbols += size + table->old_count * sizeof *predict->new_symbol_of;
		else
			largest = MAX(largest, size);
	}
	if (total > predict->old_module->size)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "tables of an old module overlap");
	if (predict->new_module->size + symbols + largest > PROA_DELTA_MAX_UNIT_MEMORY)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "the tables of a module are too large");
	return TRUE;
}

ProaDeltaPredict *proa_delta_predict_new(
	const ProaDeltaModule *old_module, const ProaDeltaModule *new_module, guint64 limit, GError **error)
{
	g_autoptr(ProaDeltaPredict) predict = g_new0(ProaDeltaPredict, 1);
	guint64 end = 0;

	predict->old_module = old_module;
	predict->new_module = new_module;
	predict->tables = g_array_new(FALSE, FALSE, sizeof(ProaDeltaTable));
	match_sections(predict);
	for (guint32 i = 1; i < old_module->head.count; i++)
		add_table(predict, i, limit);
	g_array_sort(predict->tables, by_new_offset);
	for (guint i = 0; i < predict->tables->len; i++) {
		const ProaDeltaTable *table = &g_array_index(predict->tables, ProaDeltaTable, i);
		if (table->new_offset < end) {
			proa_fail(error, PROA_REASON_BAD_PAYLOAD, "tables of a module overlap");
			return NULL;
		}
		end = table->new_offset + (guint64)table->new_count * PROA_DELTA_RECORD_SIZE;
	}
	return check_memory(predict, error) ? g_steal_pointer(&predict) : NULL;
}

void proa_delta_predict_free(ProaDeltaPredict *predict)
{
	if (!predict)
		return;
	g_free(predict->new_section_of);
	g_array_unref(predict->tables);
	if (predict->records != predict->symbols)
		g_free(predict->records);
	g_free(predict->symbols);
	g_free(predict->new_symbol_of);
	g_free(predict);
}

const GArray *proa_delta_predict_tables(const ProaDeltaPredict *predict)
{
	return predict->tables;
}

void proa_delta_predict_learn(ProaDeltaPredict *predict, const ProaDeltaMap *map)
{
	predict->map = map;
}

/* Where byte @at of old section @index went, relative to the new section. */
static gboolean moved(const ProaDeltaPredict *predict, guint32 index, guint64 at, gint64 *ret)
{
	const ProaDeltaSection *from = &predict->old_module->sections[index];
	guint32 new_index = predict->new_section_of[index];
	guint64 where;

	if (new_index == NOWHERE || at >= from->size ||
		!proa_delta_map_find(predict->map, from->offset + at, &where))
		return FALSE;
	const ProaDeltaSection *to = &predict->new_module->sections[new_index];
	if (where < to->offset || where - to->offset >= to->size)
		return FALSE;
	*ret = (gint64)(where - to->offset);
	return TRUE;
}

static gboolean section_mapped(const ProaDeltaPredict *predict, guint32 index)
{
	const ProaDeltaSection *from = &predict->old_module->sections[index];

	return proa_delta_map_any(predict->map, from->offset, from->size);
}

gboolean proa_delta_predict_begin(ProaDeltaPredict *predict, const ProaDeltaTable *table, GError **error)
{
	const ProaDeltaModule *module = predict->old_module;
	gsize size = (gsize)table->old_count * PROA_DELTA_RECORD_SIZE;

	if (predict->records != predict->symbols)
		g_free(predict->records);
	predict->records = NULL;
	g_autofree guint8 *records = g_malloc(MAX(size, 1));
	if (size > 0 && !module->read(module->user_data, table->old_offset, records, size, error))
		return FALSE;
	predict->records = g_steal_pointer(&records);
	predict->table = table;
	/* Code moves and its relocations with it; tables are all zeros, their relocations tell what they
	 * hold. */
	predict->relative =
		table->kind == PROA_DELTA_TABLE_RELA &&
		!(module->sections[module->sections[table->old_section].info].flags & SHF_EXECINSTR);
	if (table->kind == PROA_DELTA_TABLE_SYMBOLS && !predict->symbols) {
		predict->symbols = predict->records;
		predict->n_symbols = table->old_count;
		predict->new_symbol_of = g_new(guint32, MAX(table->old_count, 1));
		memset(predict->new_symbol_of, 0xff, table->old_count * sizeof(guint32));
	}
	return TRUE;
}

static gboolean predict_symbol(const ProaDeltaPredict *predict, ProaDeltaRecord *record)
{
	gint64 *column = record->column, begin, end;
	guint32 section = (guint32)column[2];
	guint32 names = predict->old_module->sections[predict->table->old_section].link;

	(void)moved(predict, names, (guint64)column[0], &column[0]);
	if (section == SHN_UNDEF || section >= predict->old_module->head.count)
		return TRUE;
	if (moved(predict, section, (guint64)column[3], &begin)) {
		if (column[4] > 0 &&
			moved(predict, section, (guint64)column[3] + (guint64)column[4] - 1, &end) &&
			end >= begin)
			column[4] = end - begin + 1;
		column[3] = begin;
	}
	if (predict->new_section_of[section] != NOWHERE)
		column[2] = predict->new_section_of[section];
	return TRUE;
}

/* An addend to a section's symbol is a place in that section; an instruction counts it from its own end. */
static gboolean predict_addend(const ProaDeltaPredict *predict, const guint8 *symbol, gint64 *column)
{
	guint32 section = proa_get_u16(symbol + 6);
	guint32 patched = predict->old_module->sections[predict->table->old_section].info;
	gboolean code = predict->old_module->sections[patched].flags & SHF_EXECINSTR;
	gint64 bias = code && (column[1] == R_X86_64_PC32 || column[1] == R_X86_64_PLT32) ? 4 : 0, to;

	if (ELF64_ST_TYPE(symbol[4]) != STT_SECTION || section == SHN_UNDEF ||
		section >= predict->old_module->head.count)
		return TRUE;
	guint64 at = (guint64)column[3] + (guint64)bias;
	if (moved(predict, section, at, &to)) {
		column[3] = to - bias;
		return TRUE;
	}
	return !predict->relative || !section_mapped(predict, section);
}

static gboolean predict_rela(const ProaDeltaPredict *predict, guint32 index, const ProaDeltaRecord *previous,
	ProaDeltaRecord *record)
{
	gint64 *column = record->column;
	guint32 symbol = (guint32)column[2];
	guint32 patched = predict->old_module->sections[predict->table->old_section].info;
	ProaDeltaRecord before = { { 0 } };

	if (!moved(predict, patched, (guint64)column[0], &column[0])) {
		if (!predict->relative)
			return FALSE;
		if (index > 0)
			proa_delta_record_parse(PROA_DELTA_TABLE_RELA,
				predict->records + (gsize)(index - 1) * PROA_DELTA_RECORD_SIZE, &before);
		guint64 step = (guint64)column[0] - (guint64)before.column[0];
		column[0] = (gint64)(step + (previous ? (guint64)previous->column[0] : 0));
	}
	if (symbol >= predict->n_symbols)
		return TRUE;
	gboolean kept =
		predict_addend(predict, predict->symbols + (gsize)symbol * PROA_DELTA_RECORD_SIZE, column);
	if (predict->new_symbol_of[symbol] != NOWHERE)
		column[2] = predict->new_symbol_of[symbol];
	return kept;
}

gboolean proa_delta_predict_record(
	const ProaDeltaPredict *predict, guint32 index, const ProaDeltaRecord *previous, ProaDeltaRecord *ret)
{
	g_assert(index < predict->table->old_count);
	proa_delta_record_parse(
		predict->table->kind, predict->records + (gsize)index * PROA_DELTA_RECORD_SIZE, ret);
	return predict->table->kind == PROA_DELTA_TABLE_SYMBOLS ? predict_symbol(predict, ret)
								: predict_rela(predict, index, previous, ret);
}

gboolean proa_delta_predict_relative(const ProaDeltaPredict *predict)
{
	return predict->relative;
}

void proa_delta_predict_symbol(ProaDeltaPredict *predict, guint32 old_index, guint32 new_index)
{
	if (predict->new_symbol_of && old_index < predict->n_symbols)
		predict->new_symbol_of[old_index] = new_index;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/table.h"

#include "updater/payload/delta-ops.h"

#include <string.h>

/* How far ahead both sides are searched for where they agree again; records. */
#define NEAR 48
#define FAR 4096

typedef struct {
	ProaDeltaPredict *predict;
	const ProaDeltaTable *table;
	const ProaDeltaModule *old_module, *new_module;
	const guint8 *old_data, *new_data;
	ProaBuilder *body;
	/* What is left of the old records, and all new ones: keys that are equal where records correspond. */
	guint32 *old_index;
	guint64 *old_keys, *new_keys;
	guint32 n_old, n_new;
	GHashTable *old_by_key; /* key -> position in old_keys + 1, the last one */
	/* While the records are told. */
	guint32 exact; /* exact ones not told yet */
	guint32 next;  /* position in old_keys of the next old record */
	guint32 made;  /* new records told */
	ProaDeltaRecord previous;
} Table;

static guint64 mix(guint64 key, guint64 value)
{
	key = (key ^ value) * 0x9e3779b97f4a7c15u;
	return key ^ key >> 29;
}

static const char *symbol_name(
	const ProaDeltaModule *module, const guint8 *data, guint32 section, guint64 name, guint64 *ret_left)
{
	const ProaDeltaSection *names = &module->sections[module->sections[section].link];

	*ret_left = name < names->size ? names->size - name : 0;
	return (const char *)data + names->offset + MIN(name, names->size);
}

/* Symbols correspond by name; those without one, by their section. */
static guint64 symbol_key(const ProaDeltaModule *module, const guint8 *data, guint32 section,
	const ProaDeltaRecord *record, guint64 place)
{
	guint64 left, key = 1;
	const char *name = symbol_name(module, data, section, (guint64)record->column[0], &left);

	for (guint64 i = 0; i < left && name[i]; i++)
		key = mix(key, (guint8)name[i]);
	key = mix(key, (guint64)record->column[1]);
	return key == mix(1, (guint64)record->column[1]) ? mix(key, place) : key;
}

static guint64 rela_key(const Table *work, const ProaDeltaRecord *record)
{
	guint64 key = proa_delta_predict_relative(work->predict) ? 1 : mix(2, (guint64)record->column[0]);

	for (guint i = 1; i < 4; i++)
		key = mix(key, (guint64)record->column[i]);
	return key;
}

static const guint8 *new_bytes(const Table *work, guint32 index)
{
	return work->new_data + work->table->new_offset + (gsize)index * PROA_DELTA_RECORD_SIZE;
}

static void make_keys(Table *work)
{
	const ProaDeltaTable *table = work->table;
	ProaDeltaRecord record, old_record;

	work->old_index = g_new(guint32, table->old_count + 1);
	work->old_keys = g_new(guint64, table->old_count + 1);
	work->new_keys = g_new(guint64, table->new_count + 1);
	work->old_by_key = g_hash_table_new(g_int64_hash, g_int64_equal);
	for (guint32 i = 0; i < table->old_count; i++) {
		if (!proa_delta_predict_record(work->predict, i, NULL, &record))
			continue;
		proa_delta_record_parse(table->kind,
			work->old_data + table->old_offset + (gsize)i * PROA_DELTA_RECORD_SIZE, &old_record);
		work->old_keys[work->n_old] =
			table->kind == PROA_DELTA_TABLE_SYMBOLS
				? symbol_key(work->old_module, work->old_data, table->old_section,
					  &old_record, (guint64)record.column[2])
				: rela_key(work, &record);
		work->old_index[work->n_old++] = i;
	}
	for (guint32 i = work->n_old; i-- > 0;)
		g_hash_table_insert(work->old_by_key, &work->old_keys[i], GUINT_TO_POINTER(i + 1));
	work->n_new = table->new_count;
	for (guint32 i = 0; i < work->n_new; i++) {
		proa_delta_record_parse(table->kind, new_bytes(work, i), &record);
		work->new_keys[i] = table->kind == PROA_DELTA_TABLE_SYMBOLS
					    ? symbol_key(work->new_module, work->new_data, table->new_section,
						      &record, (guint64)record.column[2])
					    : rela_key(work, &record);
	}
}

/* Whether both go on alike from here: one record may be chance. */
static gboolean alike(const Table *work, guint32 new_at, guint32 old_at)
{
	if (new_at >= work->n_new || old_at >= work->n_old)
		return new_at == work->n_new && old_at == work->n_old;
	if (work->new_keys[new_at] != work->old_keys[old_at])
		return FALSE;
	return new_at + 1 >= work->n_new || old_at + 1 >= work->n_old ||
	       work->new_keys[new_at + 1] == work->old_keys[old_at + 1];
}

/* Where both agree again, at or after these two; as far as it was looked, if nowhere. */
static void find_agreement(
	const Table *work, guint32 new_at, guint32 old_at, guint32 *ret_new, guint32 *ret_old)
{
	for (guint32 distance = 1; distance <= NEAR; distance++)
		for (guint32 ahead = 0; ahead <= distance; ahead++)
			if (alike(work, new_at + ahead, old_at + distance - ahead)) {
				*ret_new = new_at + ahead;
				*ret_old = old_at + distance - ahead;
				return;
			}
	for (guint32 ahead = 0; ahead < FAR && new_at + ahead < work->n_new; ahead++) {
		guint32 found = GPOINTER_TO_UINT(
			g_hash_table_lookup(work->old_by_key, &work->new_keys[new_at + ahead]));
		if (found > old_at && found - old_at < FAR && alike(work, new_at + ahead, found - 1)) {
			*ret_new = new_at + ahead;
			*ret_old = found - 1;
			return;
		}
	}
	*ret_new = MIN(new_at + 1, work->n_new);
	*ret_old = MIN(old_at + 1, work->n_old);
}

static ProaDeltaStream ops_stream(const Table *work)
{
	return proa_delta_column_stream(work->table->kind, 1);
}

static void tell_op(Table *work, ProaDeltaRowOp op, guint64 argument)
{
	proa_builder_number(work->body, ops_stream(work), work->exact);
	proa_builder_number(work->body, ops_stream(work), argument << PROA_DELTA_ROW_BITS | op);
	work->exact = 0;
}

static void tell_columns(
	Table *work, guint64 mask, const ProaDeltaRecord *expected, const ProaDeltaRecord *record)
{
	for (guint i = 0; i < proa_delta_table_columns(work->table->kind); i++)
		if (mask & (1u << i))
			proa_builder_signed(work->body, proa_delta_column_stream(work->table->kind, i),
				(gint64)((guint64)record->column[i] - (guint64)expected->column[i]));
}

static void take_new(Table *work, ProaDeltaRecord *ret)
{
	proa_delta_record_parse(work->table->kind, new_bytes(work, work->made), ret);
}

static void tell_match(Table *work)
{
	ProaDeltaRecord record, predicted;
	guint32 index = work->old_index[work->next++];
	guint64 mask = 0;

	take_new(work, &record);
	(void)proa_delta_predict_record(
		work->predict, index, work->made > 0 ? &work->previous : NULL, &predicted);
	for (guint i = 0; i < proa_delta_table_columns(work->table->kind); i++)
		if (record.column[i] != predicted.column[i])
			mask |= 1u << i;
	if (mask == 0) {
		work->exact++;
	} else {
		tell_op(work, PROA_DELTA_ROW_SUBSTITUTE, mask);
		tell_columns(work, mask, &predicted, &record);
	}
	if (work->table->kind == PROA_DELTA_TABLE_SYMBOLS)
		proa_delta_predict_symbol(work->predict, index, work->made);
	work->previous = record;
	work->made++;
}

static void tell_gap(Table *work, guint32 until_new, guint32 until_old)
{
	guint32 both = MIN(until_new - work->made, until_old - work->next);

	for (guint32 i = 0; i < both; i++)
		tell_match(work);
	if (until_old > work->next) {
		tell_op(work, PROA_DELTA_ROW_SKIP, until_old - work->next);
		work->next = until_old;
	}
	if (until_new > work->made) {
		tell_op(work, PROA_DELTA_ROW_INSERT, until_new - work->made);
		while (work->made < until_new) {
			ProaDeltaRecord record;
			take_new(work, &record);
			tell_columns(work, G_MAXUINT64, &work->previous, &record);
			work->previous = record;
			work->made++;
		}
	}
}

static void tell(Table *work)
{
	while (work->made < work->n_new) {
		guint32 new_at, old_at;
		if (work->next < work->n_old && work->new_keys[work->made] == work->old_keys[work->next]) {
			tell_match(work);
			continue;
		}
		find_agreement(work, work->made, work->next, &new_at, &old_at);
		/* Old records after the last new one need not be skipped. */
		if (new_at == work->n_new)
			old_at = MIN(old_at, work->next + (new_at - work->made));
		tell_gap(work, new_at, old_at);
	}
	if (work->exact > 0)
		proa_builder_number(work->body, ops_stream(work), work->exact);
}

/* A record that its numbers do not hold bit for bit can't be told. */
static gboolean representable(const Table *work)
{
	for (guint32 i = 0; i < work->table->new_count; i++) {
		ProaDeltaRecord record;
		guint8 again[PROA_DELTA_RECORD_SIZE];
		proa_delta_record_parse(work->table->kind, new_bytes(work, i), &record);
		proa_delta_record_write(work->table->kind, &record, again);
		if (memcmp(again, new_bytes(work, i), sizeof again) != 0)
			return FALSE;
	}
	return TRUE;
}

gboolean proa_table_make(ProaDeltaPredict *predict, const ProaDeltaTable *table,
	const ProaDeltaModule *old_module, const guint8 *old_data, const ProaDeltaModule *new_module,
	const guint8 *new_data, ProaBuilder *body)
{
	Table work = { .predict = predict,
		.table = table,
		.old_module = old_module,
		.new_module = new_module,
		.old_data = old_data,
		.new_data = new_data,
		.body = body };

	if (!representable(&work) || !proa_delta_predict_begin(predict, table, NULL))
		return FALSE;
	make_keys(&work);
	tell(&work);
	g_hash_table_unref(work.old_by_key);
	g_free(work.old_index);
	g_free(work.old_keys);
	g_free(work.new_keys);
	return TRUE;
}

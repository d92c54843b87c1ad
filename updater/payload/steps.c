/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/steps.h"

#include "base/file.h"
#include "updater/payload/wire.h"

#define CHUNK_SIZE ((gsize)16 * 1024)

enum {
	AT_OFFSET = 0,
	AT_COUNT = 8,
	AT_RECORD_SIZE = 12,
	AT_FIELDS = 14,
};

static guint64 end_of(const ProaStepTable *table)
{
	return table->offset + (guint64)table->n * table->record_size;
}

gboolean proa_steps_parse(
	const guint8 *entries, guint n, guint64 size, ProaStepTable *ret_tables, GError **error)
{
	guint64 from = 0;

	g_assert(n <= PROA_STEPS_MAX_TABLES);
	for (guint i = 0; i < n; i++, entries += PROA_STEPS_ENTRY_SIZE) {
		const ProaStepTable table = { proa_get_u64(entries + AT_OFFSET),
			proa_get_u32(entries + AT_COUNT), proa_get_u16(entries + AT_RECORD_SIZE),
			proa_get_u16(entries + AT_FIELDS) };
		if (table.offset < from || table.offset > size || table.n < 1 || table.record_size < 4 ||
			table.record_size > PROA_STEPS_MAX_RECORD || table.fields == 0 ||
			table.fields >> (table.record_size / 4) != 0 ||
			(guint64)table.n * table.record_size > size - table.offset)
			return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
				"a table of the boot image's kernel is malformed");
		from = end_of(&table);
		ret_tables[i] = table;
	}
	return TRUE;
}

void proa_steps_serialize(const ProaStepTable *tables, guint n, guint8 *entries)
{
	for (guint i = 0; i < n; i++, entries += PROA_STEPS_ENTRY_SIZE) {
		proa_put_u64(entries + AT_OFFSET, tables[i].offset);
		proa_put_u32(entries + AT_COUNT, tables[i].n);
		proa_put_u16(entries + AT_RECORD_SIZE, tables[i].record_size);
		proa_put_u16(entries + AT_FIELDS, tables[i].fields);
	}
}

/* Leaves behind what ends at or before the next byte. */
static void pass_tables(ProaSteps *steps)
{
	while (steps->n > 0 && end_of(steps->tables) <= steps->at) {
		steps->tables++;
		steps->n--;
		steps->within = 0;
		memset(steps->last, 0, sizeof steps->last);
	}
}

ProaSteps proa_steps_begin(const ProaStepTable *tables, guint n, guint64 at, gboolean undo)
{
	ProaSteps steps = { .tables = tables, .n = n, .undo = undo, .at = at };

	pass_tables(&steps);
	g_assert(steps.n == 0 || steps.tables->offset >= at);
	return steps;
}

/* A byte of a number: numbers are little-endian, so what is carried goes the same way as the bytes come. */
static guint8 step_byte(ProaSteps *steps, guint8 byte)
{
	guint8 *last = &steps->last[steps->within];
	guint carry = steps->within % 4 != 0 && steps->carry;
	guint result = steps->undo ? (guint)*last + byte + carry : (guint)byte - *last - carry;

	steps->carry = result > 0xff;
	*last = steps->undo ? (guint8)result : byte;
	return (guint8)result;
}

/* The next @size bytes, which are of the table at hand. */
static void run_table(ProaSteps *steps, guint8 *data, gsize size)
{
	const ProaStepTable *table = steps->tables;

	for (gsize i = 0; i < size; i++) {
		if (table->fields >> (steps->within / 4) & 1)
			data[i] = step_byte(steps, data[i]);
		steps->within = steps->within + 1 < table->record_size ? steps->within + 1 : 0;
	}
	steps->at += size;
	pass_tables(steps);
}

void proa_steps_run(ProaSteps *steps, guint8 *data, gsize size)
{
	while (size > 0 && steps->n > 0) {
		guint64 begin = steps->tables->offset;
		gsize n = (gsize)MIN((guint64)size,
			steps->at < begin ? begin - steps->at : end_of(steps->tables) - steps->at);
		if (steps->at < begin)
			steps->at += n;
		else
			run_table(steps, data, n);
		data += n;
		size -= n;
	}
	steps->at += size;
}

guint64 proa_steps_ahead(const ProaSteps *steps)
{
	return steps->n == 0 ? G_MAXUINT64 : steps->tables->offset - MIN(steps->at, steps->tables->offset);
}

void proa_steps_skip(ProaSteps *steps, gsize size)
{
	g_assert(size <= proa_steps_ahead(steps));
	steps->at += size;
}

gboolean proa_steps_file(const ProaStepTable *tables, guint n, int fd, GError **error)
{
	guint8 data[CHUNK_SIZE];

	for (guint i = 0; i < n; i++) {
		guint64 at = tables[i].offset, end = end_of(&tables[i]);
		ProaSteps steps = proa_steps_begin(&tables[i], 1, at, FALSE);
		while (at < end) {
			gsize size = (gsize)MIN(sizeof data, end - at);
			if (!proa_pread_all(fd, data, size, (goffset)at, error))
				return FALSE;
			proa_steps_run(&steps, data, size);
			if (!proa_pwrite_all(fd, data, size, (goffset)at, error))
				return FALSE;
			at += size;
		}
	}
	return TRUE;
}

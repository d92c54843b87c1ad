/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-module.h"

#include "tests/unit/images/payload/delta.h"

static gboolean read_module(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	const GByteArray *file = user_data;

	g_assert_cmpuint(offset, <=, file->len);
	g_assert_cmpuint(size, <=, file->len - offset);
	memcpy(data, file->data + offset, size);
	return TRUE;
}

static ProaDeltaModule *open_module(GByteArray *file)
{
	ProaDeltaModuleHead head;

	if (!proa_delta_module_head(read_module, file, file->len, &head, NULL))
		return NULL;
	return proa_delta_module_open(read_module, file, file->len, &head, NULL);
}

static void records_as_written(void)
{
	for (guint kind = 0; kind < 2; kind++) {
		guint8 data[PROA_DELTA_RECORD_SIZE], again[PROA_DELTA_RECORD_SIZE];
		ProaDeltaRecord record;
		for (guint i = 0; i < sizeof data; i++)
			data[i] = (guint8)(i * 37 + 129);
		proa_delta_record_parse(kind, data, &record);
		proa_delta_record_write(kind, &record, again);
		g_assert_cmpmem(data, sizeof data, again, sizeof again);
	}
}

/* All code moved by 64 bytes: so do the symbols, the relocations, and what they point to. */
static void tables_follow_the_code(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) file = module_new(20, G_MAXUINT, G_MAXUINT);
	g_autoptr(ProaDeltaModule) module = open_module(file);
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
	const ProaDeltaSection *text = &module->sections[1];

	proa_delta_map_add(map, text->offset, text->offset + 64, text->size - 64);
	proa_delta_map_seal(map);
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(module, module, file->len, &error);
	g_assert_no_error(error);
	const GArray *tables = proa_delta_predict_tables(predict);
	g_assert_cmpuint(tables->len, ==, 2);
	proa_delta_predict_learn(predict, map);
	const ProaDeltaTable *symbols = &g_array_index(tables, ProaDeltaTable, 0);
	g_assert_cmpint(symbols->kind, ==, PROA_DELTA_TABLE_SYMBOLS);
	g_assert_true(proa_delta_predict_begin(predict, symbols, &error));
	ProaDeltaRecord was, now;
	proa_delta_record_parse(
		symbols->kind, file->data + symbols->old_offset + 5 * PROA_DELTA_RECORD_SIZE, &was);
	g_assert_true(proa_delta_predict_record(predict, 5, NULL, &now));
	g_assert_cmpint(now.column[3], ==, was.column[3] + 64);
	g_assert_cmpint(now.column[4], ==, was.column[4]);
	for (guint32 i = 0; i < symbols->old_count; i++)
		proa_delta_predict_symbol(predict, i, i + 7);
	const ProaDeltaTable *rela = &g_array_index(tables, ProaDeltaTable, 1);
	g_assert_true(proa_delta_predict_begin(predict, rela, &error));
	g_assert_false(proa_delta_predict_relative(predict));
	proa_delta_record_parse(rela->kind, file->data + rela->old_offset, &was);
	g_assert_true(proa_delta_predict_record(predict, 0, NULL, &now));
	g_assert_cmpint(now.column[0], ==, was.column[0] + 64);
	g_assert_cmpint(now.column[2], ==, was.column[2] + 7);
	/* The last ones are in the bytes that went nowhere. */
	g_assert_false(proa_delta_predict_record(predict, rela->old_count - 1, NULL, &now));
}

static void predict_all(const ProaDeltaModule *from, const ProaDeltaModule *to, guint64 limit)
{
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(from, to, limit, NULL);
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();

	if (!predict)
		return;
	proa_delta_map_add(map, 50, 90, from->size);
	proa_delta_map_seal(map);
	proa_delta_predict_learn(predict, map);
	const GArray *tables = proa_delta_predict_tables(predict);
	for (guint i = 0; i < tables->len; i++) {
		const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
		ProaDeltaRecord record = { { 0 } };
		g_assert_true(proa_delta_predict_begin(predict, table, NULL));
		g_assert_cmpuint(
			table->new_offset + (guint64)table->new_count * PROA_DELTA_RECORD_SIZE, <=, limit);
		for (guint32 j = 0; j < table->old_count; j++) {
			const ProaDeltaRecord previous = record;
			(void)proa_delta_predict_record(predict, j, &previous, &record);
			proa_delta_predict_symbol(predict, j, j);
		}
	}
}

/* Whatever byte of the headers or tables is changed, nothing outside of the files is asked for. */
static void hostile_modules_stay_within_bounds(void)
{
	g_autoptr(GByteArray) good = module_new(20, G_MAXUINT, G_MAXUINT);
	g_autoptr(GByteArray) bad = module_new(20, 4, 9);
	g_autoptr(ProaDeltaModule) good_module = open_module(good);
	Dice dice = { 77 };

	for (guint i = 0; i < 4000; i++) {
		guint at = i % 2 ? dice_roll(&dice, 64) : bad->len - 1 - dice_roll(&dice, 1200);
		guint8 was = bad->data[at];
		bad->data[at] = i % 3 ? (guint8)dice_roll(&dice, 256) : 0xff;
		g_autoptr(ProaDeltaModule) module = open_module(bad);
		if (module) {
			predict_all(good_module, module, bad->len);
			predict_all(module, good_module, dice_roll(&dice, good->len));
		}
		if (i % 16)
			bad->data[at] = was;
		else if (i % 64 == 0) {
			g_byte_array_unref(bad);
			bad = module_new(20, 4, 9);
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-module/records-as-written", records_as_written);
	g_test_add_func("/payload/delta-module/tables-follow-the-code", tables_follow_the_code);
	g_test_add_func("/payload/delta-module/hostile-modules-stay-within-bounds",
		hostile_modules_stay_within_bounds);
	return g_test_run();
}

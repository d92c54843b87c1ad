/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-map.h"
#include "updater/payload/delta-module.h"

#include "tests/unit/images/payload/delta.h"

#include <string.h>

static gboolean read_file(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error)
{
	const GByteArray *file = user_data;

	g_assert_true(offset <= file->len && size <= file->len - offset);
	memcpy(data, file->data + offset, size);
	return TRUE;
}

static ProaDeltaModule *open_module(GByteArray *file)
{
	g_autoptr(GError) error = NULL;
	ProaDeltaModuleHead head;

	g_assert_true(proa_delta_module_head(read_file, file, file->len, &head, &error));
	ProaDeltaModule *module = proa_delta_module_open(read_file, file, file->len, &head, &error);
	g_assert_no_error(error);
	return module;
}

/* The records of @table that are predicted as they are in @new_file, out of those that the old one has. */
static guint count_right(ProaDeltaPredict *predict, const ProaDeltaTable *table, const GByteArray *new_file)
{
	ProaDeltaRecord previous, record, expected;
	guint right = 0, at = 0;

	g_assert_true(proa_delta_predict_begin(predict, table, NULL));
	for (guint32 i = 0; i < table->old_count && at < table->new_count; i++) {
		if (!proa_delta_predict_record(predict, i, at > 0 ? &previous : NULL, &record))
			continue;
		proa_delta_record_parse(table->kind,
			new_file->data + table->new_offset + (gsize)at * PROA_DELTA_RECORD_SIZE, &expected);
		right += memcmp(&record, &expected,
				 proa_delta_table_columns(table->kind) * sizeof record.column[0]) == 0;
		if (table->kind == PROA_DELTA_TABLE_SYMBOLS)
			proa_delta_predict_symbol(predict, i, at);
		previous = expected;
		at++;
	}
	return right;
}

/* Code that all moved by the same way: every symbol and relocation follows it. */
static void records_follow_what_they_point_to(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) old_file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(GByteArray) new_file =
		g_byte_array_append(g_byte_array_new(), old_file->data, old_file->len);
	g_autoptr(ProaDeltaModule) old_module = open_module(old_file), new_module = open_module(new_file);
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
	guint tables = 0;

	proa_delta_map_add(map, 0, 0, old_file->len);
	proa_delta_map_seal(map);
	g_autoptr(ProaDeltaPredict) predict =
		proa_delta_predict_new(old_module, new_module, new_file->len, &error);
	g_assert_no_error(error);
	proa_delta_predict_learn(predict, map);
	const GArray *all = proa_delta_predict_tables(predict);
	for (guint kind = PROA_DELTA_TABLE_SYMBOLS; kind <= PROA_DELTA_TABLE_RELA; kind++)
		for (guint i = 0; i < all->len; i++) {
			const ProaDeltaTable *table = &g_array_index(all, ProaDeltaTable, i);
			if (table->kind != kind)
				continue;
			g_assert_cmpuint(count_right(predict, table, new_file), ==, table->new_count);
			tables++;
		}
	g_assert_cmpuint(tables, ==, 2);
}

/* Where bytes went nowhere, relocations of them are gone. */
static void relocations_of_lost_code_are_gone(void)
{
	g_autoptr(GByteArray) file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(ProaDeltaModule) module = open_module(file);
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(module, module, file->len, NULL);
	const GArray *all = proa_delta_predict_tables(predict);

	proa_delta_map_seal(map);
	proa_delta_predict_learn(predict, map);
	for (guint i = 0; i < all->len; i++) {
		const ProaDeltaTable *table = &g_array_index(all, ProaDeltaTable, i);
		ProaDeltaRecord record;
		g_assert_true(proa_delta_predict_begin(predict, table, NULL));
		for (guint32 k = 0; k < table->old_count; k++)
			g_assert_cmpint(proa_delta_predict_record(predict, k, NULL, &record), ==,
				table->kind == PROA_DELTA_TABLE_SYMBOLS);
	}
}

/* Of a module whose end is there already only the tables before it are predicted, in whole records. */
static void tables_end_at_the_limit(void)
{
	g_autoptr(GByteArray) file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(ProaDeltaModule) module = open_module(file);

	for (guint64 limit = 0; limit <= file->len; limit += 101) {
		g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(module, module, limit, NULL);
		const GArray *all = proa_delta_predict_tables(predict);
		for (guint i = 0; i < all->len; i++) {
			const ProaDeltaTable *table = &g_array_index(all, ProaDeltaTable, i);
			g_assert_cmpuint(table->new_count, >, 0);
			g_assert_cmpuint(
				table->new_offset + (guint64)table->new_count * PROA_DELTA_RECORD_SIZE, <=,
				limit);
		}
	}
}

static void overlapping_tables_refused(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) old_file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(GByteArray) new_file =
		g_byte_array_append(g_byte_array_new(), old_file->data, old_file->len);
	guint64 sections = proa_get_u64(new_file->data + 40);

	/* Its relocations begin within its symbols. */
	guint64 symbols = proa_get_u64(new_file->data + sections + 3 * 64 + 24);
	proa_put_u64(new_file->data + sections + 2 * 64 + 24, symbols + PROA_DELTA_RECORD_SIZE);
	g_autoptr(ProaDeltaModule) old_module = open_module(old_file), new_module = open_module(new_file);
	g_assert_null(proa_delta_predict_new(old_module, new_module, new_file->len, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void expect_refused(
	const ProaDeltaModule *old_module, const ProaDeltaModule *new_module, const char *why)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(old_module, new_module, 4096, &error);

	g_assert_null(predict);
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_assert_nonnull(strstr(error->message, why));
}

/* What is kept of a module's older self: no more than there is, and no more than is said. */
static void memory_is_bounded(void)
{
	g_autoptr(GByteArray) file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(ProaDeltaModule) old_module = open_module(file), new_module = open_module(file);
	guint32 symbols = 3, relocations = 2;

	for (guint32 i = 1; i < new_module->head.count; i++)
		if (new_module->sections[i].type == SHT_RELA || new_module->sections[i].type == SHT_SYMTAB) {
			new_module->sections[i].offset = i * 1000;
			new_module->sections[i].size = 480;
		}
	old_module->sections[symbols].size = old_module->sections[relocations].size = 2400000;
	old_module->size = 4000000;
	expect_refused(old_module, new_module, "overlap");
	old_module->size = PROA_DELTA_MAX_UNIT;
	new_module->size = PROA_DELTA_MAX_UNIT;
	expect_refused(old_module, new_module, "too large");
	new_module->size = PROA_DELTA_MAX_UNIT_MEMORY - 2 * 2400000 - 400000;
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(old_module, new_module, 4096, NULL);
	g_assert_nonnull(predict);
}

/* Sections that share a name are each other's in their order. */
static void sections_of_one_name_keep_their_order(void)
{
	g_autoptr(GByteArray) file = module_new(120, G_MAXUINT, G_MAXUINT);
	g_autoptr(ProaDeltaModule) old_module = open_module(file), new_module = open_module(file);

	/* Of 2 and 4 both are relocations of one name, and the old ones are twice as long. */
	for (guint32 i = 2; i <= 4; i += 2)
		for (guint side = 0; side < 2; side++) {
			ProaDeltaModule *module = side ? new_module : old_module;
			module->sections[i].name = ".rela.x";
			module->sections[i].type = SHT_RELA;
			module->sections[i].link = 3;
			module->sections[i].info = 1;
			module->sections[i].offset = i * 1000;
			module->sections[i].size = side ? 24 * i : 48 * i;
		}
	g_autoptr(ProaDeltaPredict) predict = proa_delta_predict_new(old_module, new_module, file->len, NULL);
	const GArray *tables = proa_delta_predict_tables(predict);
	guint found = 0;
	for (guint i = 0; i < tables->len; i++) {
		const ProaDeltaTable *table = &g_array_index(tables, ProaDeltaTable, i);
		if (table->kind != PROA_DELTA_TABLE_RELA)
			continue;
		g_assert_cmpuint(table->old_section, ==, table->new_section);
		g_assert_cmpuint(table->old_count, ==, 2 * table->new_count);
		found++;
	}
	g_assert_cmpuint(found, ==, 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-predict/records-follow-what-they-point-to",
		records_follow_what_they_point_to);
	g_test_add_func("/payload/delta-predict/relocations-of-lost-code-are-gone",
		relocations_of_lost_code_are_gone);
	g_test_add_func("/payload/delta-predict/tables-end-at-the-limit", tables_end_at_the_limit);
	g_test_add_func("/payload/delta-predict/overlapping-tables-refused", overlapping_tables_refused);
	g_test_add_func("/payload/delta-predict/memory-is-bounded", memory_is_bounded);
	g_test_add_func("/payload/delta-predict/sections-of-one-name-keep-their-order",
		sections_of_one_name_keep_their_order);
	return g_test_run();
}

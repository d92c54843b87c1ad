/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/uki-format.h"

#include "updater/payload/delta-format.h"
#include "updater/payload/wire.h"

#include <string.h>

#define TABLES (PROA_UKI_HEADER_SIZE + 2 * PROA_UKI_FRAME_ENTRY_SIZE)
#define HEAD_SIZE (TABLES + 3 * PROA_STEPS_ENTRY_SIZE)

static ProaUkiHeader header_new(void)
{
	ProaUkiHeader header = { .kind = PROA_UKI_KERNEL,
		.size = 100000,
		.old_size = 90000,
		.root_size = 8192,
		.memory = 1 << 20,
		.zstd_version = 10507,
		.old_kernel = { 500, 40000, 200000, { 1, FALSE, FALSE, FALSE } },
		.n_frames = 2,
		.frames = { { 600, 41000, 210000, { 22, TRUE, TRUE, FALSE } },
			{ 50000, 20000, 60000, { 3, FALSE, FALSE, TRUE } } },
		.delta_head_size = PROA_DELTA_HEADER_SIZE,
		.n_old_tables = 1,
		.n_new_tables = 2,
		.old_tables = { { 199992, 2, 4, 1 } },
		.new_tables = { { 700, 10, 14, 3 }, { 308936, 1, 64, 0x8000 } } };

	memset(header.sha256, 1, PROA_SHA256_SIZE);
	memset(header.old_sha256, 2, PROA_SHA256_SIZE);
	memset(header.root_hash, 3, PROA_SHA256_SIZE);
	memset(header.old_root_hash, 4, PROA_SHA256_SIZE);
	memset(header.delta_head_sha256, 5, PROA_SHA256_SIZE);
	return header;
}

static gboolean parse(const guint8 *data, ProaUkiHeader *ret_header, GError **error)
{
	return proa_uki_header_parse(data, ret_header, error) &&
	       proa_uki_rest_parse(ret_header, data + PROA_UKI_HEADER_SIZE, error);
}

static void comes_back_as_it_was(void)
{
	g_autoptr(GError) error = NULL;
	ProaUkiHeader header = header_new(), read;
	g_autoptr(GBytes) bytes = proa_uki_header_serialize(&header);

	g_assert_cmpuint(g_bytes_get_size(bytes), ==, HEAD_SIZE);
	g_assert_true(parse(g_bytes_get_data(bytes, NULL), &read, &error));
	g_autoptr(GBytes) again = proa_uki_header_serialize(&read);
	g_assert_true(g_bytes_equal(bytes, again));
	g_assert_cmpuint(proa_uki_unpacked_size(&read), ==, 100000 + 169000 + 40000);
	g_assert_cmpuint(proa_uki_source_size(&read), ==, 8192 + 90000 + 160000);
}

/* A place in the head, and a number that must not be there. */
typedef struct {
	const char *name;
	gsize at;
	guint64 value;
	guint bytes;
} Bad;

static const Bad bads[] = {
	{ "magic", 0, 0, 4 },
	{ "version-of-before", 8, 1, 4 },
	{ "version", 8, 3, 4 },
	{ "type", 12, 2, 4 },
	{ "empty", 16, 0, 8 },
	{ "too-large", 16, PROA_UKI_MAX_SIZE + 1, 8 },
	{ "kind", 24, 3, 4 },
	{ "kind-from-nothing", 24, 0, 4 },
	{ "kind-that-unpacks-nothing", 24, 1, 4 },
	{ "frames", 28, PROA_UKI_MAX_FRAMES + 1, 4 },
	{ "no-old-image", 96, 0, 8 },
	{ "no-root", 104, 0, 8 },
	{ "root-too-large", 104, G_MAXUINT64, 8 },
	{ "memory", 144, G_MAXUINT64, 8 },
	{ "memory-less-than-it-unpacks", 144, 409999, 8 },
	{ "reserved", 156, 1, 4 },
	{ "old-kernel-outside", 160, 60000, 8 },
	{ "old-kernel-overflow", 160, G_MAXUINT64, 8 },
	{ "old-kernel-empty", 168, 0, 8 },
	{ "old-kernel-bomb", 176, (guint64)PROA_REPACK_MAX_SIZE + 1, 8 },
	{ "delta-head", 192, 0, 8 },
	{ "old-tables", 264, PROA_STEPS_MAX_TABLES + 1, 4 },
	{ "old-tables-many", 264, G_MAXUINT32, 4 },
	{ "new-tables", 268, PROA_STEPS_MAX_TABLES + 1, 4 },
	{ "end", 272, 1, 8 },
	{ "old-table-outside", TABLES, 199993, 8 },
	{ "new-table-before-the-last", TABLES + 32, 839, 8 },
	{ "new-table-outside", TABLES + 32, 308937, 8 },
	{ "new-table-without-records", TABLES + 24, 0, 4 },
	{ "new-table-of-bytes", TABLES + 28, 3, 2 },
	{ "new-table-without-numbers", TABLES + 30, 0, 2 },
	{ "frame-outside", PROA_UKI_HEADER_SIZE + 32, 90000, 8 },
	{ "frames-overlap", PROA_UKI_HEADER_SIZE + 32, 41599, 8 },
	{ "frame-overflow", PROA_UKI_HEADER_SIZE + 8, G_MAXUINT64, 8 },
	{ "frame-shrinks", PROA_UKI_HEADER_SIZE + 16, 40999, 8 },
	{ "level-0", PROA_UKI_HEADER_SIZE + 24, 0, 1 },
	{ "level-23", PROA_UKI_HEADER_SIZE + 24, 23, 1 },
	{ "flags", PROA_UKI_HEADER_SIZE + 25, 8, 1 },
	{ "frame-reserved", PROA_UKI_HEADER_SIZE + 26, 1, 1 },
};

static void refused(gconstpointer user_data)
{
	const Bad *bad = user_data;
	g_autoptr(GError) error = NULL;
	ProaUkiHeader header = header_new(), read;
	g_autoptr(GBytes) bytes = proa_uki_header_serialize(&header);
	g_autofree guint8 *data = g_memdup2(g_bytes_get_data(bytes, NULL), HEAD_SIZE);

	for (guint i = 0; i < bad->bytes; i++)
		data[bad->at + i] = (guint8)(bad->value >> (8 * i));
	g_assert_false(parse(data, &read, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

/* Who is made from nothing names nothing. */
static void full_names_no_older_one(void)
{
	for (guint i = 0; i < 3; i++) {
		g_autoptr(GError) error = NULL;
		ProaUkiHeader header = header_new(), read;
		header.kind = PROA_UKI_FULL;
		header.old_size = header.n_frames = header.n_old_tables = header.n_new_tables = 0;
		header.old_kernel = (ProaRepackFrame){ 0 };
		memset(header.old_sha256, 0, PROA_SHA256_SIZE);
		memset(header.old_root_hash, 0, PROA_SHA256_SIZE);
		header.old_sha256[5] = i == 1;
		header.old_root_hash[7] = i == 2;
		g_autoptr(GBytes) bytes = proa_uki_header_serialize(&header);
		g_assert_cmpint(parse(g_bytes_get_data(bytes, NULL), &read, &error), ==, i == 0);
		if (i > 0)
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

/* Only who says so, and declares the memory for it, may pack at a level that takes much. */
static void only_a_kernel_is_heavy(void)
{
	g_autoptr(GError) error = NULL;
	ProaUkiHeader header = header_new(), read;

	header.kind = PROA_UKI_DELTA;
	header.n_old_tables = header.n_new_tables = 0;
	header.old_kernel = (ProaRepackFrame){ 0 };
	header.frames[0].params.workers = FALSE;
	header.frames[0].params.level = PROA_UKI_LIGHT_LEVEL;
	g_autoptr(GBytes) light = proa_uki_header_serialize(&header);
	g_assert_true(parse(g_bytes_get_data(light, NULL), &read, &error));
	header.frames[0].params.level = PROA_UKI_LIGHT_LEVEL + 1;
	g_autoptr(GBytes) heavy = proa_uki_header_serialize(&header);
	g_assert_false(parse(g_bytes_get_data(heavy, NULL), &read, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

/* Only a kernel that is unpacked has them. */
static void tables_are_of_a_kernel(void)
{
	for (guint i = 0; i < 3; i++) {
		g_autoptr(GError) error = NULL;
		ProaUkiHeader header = header_new(), read;
		header.kind = PROA_UKI_DELTA;
		header.old_kernel = (ProaRepackFrame){ 0 };
		header.n_frames = 0;
		header.n_old_tables = i == 1;
		header.n_new_tables = i == 2;
		g_autoptr(GBytes) bytes = proa_uki_header_serialize(&header);
		g_assert_cmpint(parse(g_bytes_get_data(bytes, NULL), &read, &error), ==, i == 0);
		if (i > 0)
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/uki-format/comes-back-as-it-was", comes_back_as_it_was);
	for (guint i = 0; i < G_N_ELEMENTS(bads); i++) {
		g_autofree char *path = g_strconcat("/payload/uki-format/refused/", bads[i].name, NULL);
		g_test_add_data_func(path, &bads[i], refused);
	}
	g_test_add_func("/payload/uki-format/only-a-kernel-is-heavy", only_a_kernel_is_heavy);
	g_test_add_func("/payload/uki-format/tables-are-of-a-kernel", tables_are_of_a_kernel);
	g_test_add_func("/payload/uki-format/full-names-no-older-one", full_names_no_older_one);
	return g_test_run();
}

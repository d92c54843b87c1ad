/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/steps.h"

#include "base/file.h"
#include "tests/unit/images/payload/delta.h"
#include "updater/payload/wire.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 5000u

static const ProaStepTable tables[] = {
	{ 3, 100, 4, 1 },
	{ 403, 50, 14, 3 },
	{ 1200, 7, 64, 0x8001 },
	{ 1700, 1, 5, 1 },
	{ 4000, 250, 4, 1 },
};

static GByteArray *run(const GByteArray *bytes, const ProaStepTable *of, guint n, gboolean undo, guint32 most)
{
	GByteArray *copy = g_byte_array_append(g_byte_array_new(), bytes->data, bytes->len);
	ProaSteps steps = proa_steps_begin(of, n, 0, undo);
	Dice dice = { most };

	for (guint at = 0, size; at < copy->len; at += size) {
		size = MIN(most <= 1 ? MAX(most, 1) : dice_roll(&dice, most) + 1, copy->len - at);
		if (most == 0)
			size = copy->len;
		proa_steps_run(&steps, copy->data + at, size);
	}
	return copy;
}

static void by_hand(void)
{
	static const ProaStepTable table = { 2, 3, 8, 1 };
	static const guint8 before[] = { 9, 9, 0xfe, 0xff, 0, 0, 1, 2, 3, 4, 1, 0, 1, 0, 5, 6, 7, 8, 0, 0, 0,
		0, 9, 9, 9, 9, 7 },
			    after[] = { 9, 9, 0xfe, 0xff, 0, 0, 1, 2, 3, 4, 3, 0, 0, 0, 5, 6, 7, 8, 0xff,
				    0xff, 0xfe, 0xff, 9, 9, 9, 9, 7 };
	g_autoptr(GByteArray) bytes = g_byte_array_append(g_byte_array_new(), before, sizeof before);
	g_autoptr(GByteArray) steps = run(bytes, &table, 1, FALSE, 0);

	g_assert_cmpmem(steps->data, steps->len, after, sizeof after);
}

/* Whatever the numbers are and however the bytes come. */
static void undone_at_every_split(void)
{
	g_autoptr(GByteArray) bytes = image_new(3, SIZE);

	for (guint32 most = 0; most < 200; most += most < 20 ? 1 : 17) {
		g_autoptr(GByteArray) steps = run(bytes, tables, G_N_ELEMENTS(tables), FALSE, most);
		g_autoptr(GByteArray) whole = run(bytes, tables, G_N_ELEMENTS(tables), FALSE, 0);
		g_autoptr(GByteArray) again = run(steps, tables, G_N_ELEMENTS(tables), TRUE, most * 3 % 41);
		g_assert_cmpmem(steps->data, steps->len, whole->data, whole->len);
		g_assert_cmpmem(again->data, again->len, bytes->data, bytes->len);
		g_assert_cmpint(memcmp(steps->data, bytes->data, SIZE), !=, 0);
		/* What is no number of a table stays. */
		g_assert_cmpmem(steps->data, 3, bytes->data, 3);
		g_assert_cmpmem(steps->data + 411, 6, bytes->data + 411, 6);
		g_assert_cmpmem(steps->data + 1705, 2295, bytes->data + 1705, 2295);
	}
}

/* All tables of a sort: where code in front of it moves, only the first step tells. */
static void moved_code_leaves_steps(void)
{
	static const ProaStepTable table = { 0, 1000, 4, 1 };
	g_autoptr(GByteArray) first = g_byte_array_new(), second = g_byte_array_new();

	g_byte_array_set_size(first, 4000);
	g_byte_array_set_size(second, 4000);
	for (guint32 i = 0; i < 1000; i++) {
		proa_put_u32(first->data + (gsize)i * 4, i * i);
		proa_put_u32(second->data + (gsize)i * 4, i * i - 777777);
	}
	g_autoptr(GByteArray) a = run(first, &table, 1, FALSE, 0), b = run(second, &table, 1, FALSE, 0);
	g_assert_cmpmem(a->data + 4, 3996, b->data + 4, 3996);
}

static void ahead(void)
{
	ProaSteps steps = proa_steps_begin(tables, 2, 0, FALSE);
	guint8 data[SIZE] = { 0 };

	g_assert_cmpuint(proa_steps_ahead(&steps), ==, 3);
	proa_steps_skip(&steps, 2);
	g_assert_cmpuint(proa_steps_ahead(&steps), ==, 1);
	proa_steps_run(&steps, data, 2);
	g_assert_cmpuint(proa_steps_ahead(&steps), ==, 0);
	proa_steps_run(&steps, data, 399 + 699);
	g_assert_cmpuint(proa_steps_ahead(&steps), ==, 0);
	proa_steps_run(&steps, data, 1);
	g_assert_cmpuint(proa_steps_ahead(&steps), ==, G_MAXUINT64);
	steps = proa_steps_begin(tables, G_N_ELEMENTS(tables), 1000 + 103, FALSE);
	g_assert_cmpuint(proa_steps_ahead(&steps), ==, 97);
}

static void of_a_file(void)
{
	g_autoptr(GByteArray) bytes = image_new(4, 200000), got = g_byte_array_new();
	const ProaStepTable large[] = { { 5, 10000, 14, 3 }, { 150000, 12500, 4, 1 } };
	g_autoptr(GByteArray) expected = run(bytes, large, 2, FALSE, 0);
	g_autoptr(GError) error = NULL;
	PROA_AUTO_FD int fd = memfd_create("steps", MFD_CLOEXEC);

	g_byte_array_set_size(got, bytes->len);
	g_assert_true(proa_pwrite_all(fd, bytes->data, bytes->len, 0, &error));
	g_assert_true(proa_steps_file(large, 2, fd, &error));
	g_assert_no_error(error);
	g_assert_true(proa_pread_all(fd, got->data, got->len, 0, &error));
	g_assert_cmpmem(got->data, got->len, expected->data, expected->len);
	/* One that is shorter than it was said to be. */
	g_assert_cmpint(ftruncate(fd, 199999), ==, 0);
	g_assert_false(proa_steps_file(large, 2, fd, &error));
	g_assert_nonnull(error);
}

static void entries_come_back(void)
{
	guint8 entries[G_N_ELEMENTS(tables) * PROA_STEPS_ENTRY_SIZE], again[sizeof entries];
	ProaStepTable read[G_N_ELEMENTS(tables)];
	g_autoptr(GError) error = NULL;

	proa_steps_serialize(tables, G_N_ELEMENTS(tables), entries);
	g_assert_true(proa_steps_parse(entries, G_N_ELEMENTS(tables), SIZE, read, &error));
	proa_steps_serialize(read, G_N_ELEMENTS(tables), again);
	g_assert_cmpmem(entries, sizeof entries, again, sizeof again);
	/* The last one ends with the bytes. */
	g_assert_false(proa_steps_parse(entries, G_N_ELEMENTS(tables), SIZE - 1, read, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void refused(void)
{
	static const ProaStepTable bad[] = { { SIZE, 1, 4, 1 }, { SIZE + 1, 1, 4, 1 },
		{ G_MAXUINT64, 1, 4, 1 }, { G_MAXUINT64 - 3, 2, 4, 1 }, { 8, 0, 4, 1 },
		{ 8, G_MAXUINT32, 64, 1 }, { 8, 1, 0, 1 }, { 8, 1, 3, 1 }, { 8, 1, 65, 1 },
		{ 8, 1, G_MAXUINT16, 1 }, { 8, 1, 4, 0 }, { 8, 1, 4, 2 }, { 8, 1, 14, 8 },
		{ 8, 1, 60, 0x8000 }, { 8, 1249, 4, 1 }, { 7, 1, 4, 1 } };
	/* The last one overlaps with what comes before it. */
	static const ProaStepTable before = { 4, 1, 4, 1 };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		const ProaStepTable both[] = { before, bad[i] };
		guint8 entries[2 * PROA_STEPS_ENTRY_SIZE];
		ProaStepTable read[2];
		g_autoptr(GError) error = NULL;
		proa_steps_serialize(both, 2, entries);
		g_assert_false(proa_steps_parse(entries, 2, SIZE, read, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/steps/by-hand", by_hand);
	g_test_add_func("/payload/steps/undone-at-every-split", undone_at_every_split);
	g_test_add_func("/payload/steps/moved-code-leaves-steps", moved_code_leaves_steps);
	g_test_add_func("/payload/steps/ahead", ahead);
	g_test_add_func("/payload/steps/of-a-file", of_a_file);
	g_test_add_func("/payload/steps/entries-come-back", entries_come_back);
	g_test_add_func("/payload/steps/refused", refused);
	return g_test_run();
}

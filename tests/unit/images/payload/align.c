/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/align.h"

#include <string.h>

static GArray *ranges(guint64 a_at, guint64 a_length, guint64 b_at, guint64 b_length)
{
	GArray *made = proa_ranges_new();

	proa_ranges_add(made, a_at, a_length);
	proa_ranges_add(made, b_at, b_length);
	return made;
}

/* Pieces make the ranges in order, without a gap, and none goes beyond a range on either side. */
static void check_cover(const GArray *pieces, const GArray *to)
{
	guint at = 0;

	for (guint i = 0; i < to->len; i++) {
		const ProaRange *range = &g_array_index(to, ProaRange, i);
		for (guint64 done = 0; done < range->length;) {
			g_assert_cmpuint(at, <, pieces->len);
			const ProaPiece *piece = &g_array_index(pieces, ProaPiece, at++);
			g_assert_cmpuint(piece->new_at, ==, range->at + done);
			done += piece->length;
			g_assert_cmpuint(done, <=, range->length);
		}
	}
	g_assert_cmpuint(at, ==, pieces->len);
}

static void finds_what_moved(void)
{
	const char *old_data = "the quick brown fox jumps over the lazy dog, and then it sleeps all day";
	const char *new_data = "and then it sleeps all day; the quick brown cat jumps over the lazy dog, ";
	g_autoptr(GArray) from = ranges(0, strlen(old_data), 0, 0), to = ranges(0, strlen(new_data), 0, 0);
	g_autoptr(GArray) pieces = proa_pieces_new();
	guint64 matched = 0;

	proa_align((const guint8 *)old_data, from, (const guint8 *)new_data, to, pieces);
	check_cover(pieces, to);
	for (guint i = 0; i < pieces->len; i++) {
		const ProaPiece *piece = &g_array_index(pieces, ProaPiece, i);
		for (guint64 j = 0; piece->matched && j < piece->length; j++)
			matched += old_data[piece->old_at + j] == new_data[piece->new_at + j];
	}
	g_assert_cmpuint(matched, >=, strlen(new_data) - 8);
}

static void pieces_stay_within_ranges(void)
{
	guint8 old_data[600], new_data[600];
	g_autoptr(GArray) from = ranges(300, 200, 10, 250), to = ranges(0, 333, 400, 117);
	g_autoptr(GArray) pieces = proa_pieces_new();

	for (guint i = 0; i < sizeof old_data; i++)
		old_data[i] = (guint8)(i * i / 7);
	memcpy(new_data, old_data + 300, 200);
	memcpy(new_data + 200, old_data + 10, 133);
	memcpy(new_data + 400, old_data + 143, 117);
	proa_align(old_data, from, new_data, to, pieces);
	check_cover(pieces, to);
	g_assert_cmpuint(pieces->len, ==, 3);
	g_array_set_size(pieces, 0);
	proa_align_equal(from, to, pieces);
	check_cover(pieces, to);
	g_assert_cmpuint(g_array_index(pieces, ProaPiece, 1).old_at, ==, 10);
}

static void nothing_old_or_new(void)
{
	g_autoptr(GArray) none = proa_ranges_new(), some = ranges(0, 5, 0, 0), pieces = proa_pieces_new();

	proa_align((const guint8 *)"", none, (const guint8 *)"hello", some, pieces);
	g_assert_cmpuint(pieces->len, ==, 1);
	g_assert_false(g_array_index(pieces, ProaPiece, 0).matched);
	g_array_set_size(pieces, 0);
	proa_align((const guint8 *)"hello", some, (const guint8 *)"", none, pieces);
	g_assert_cmpuint(pieces->len, ==, 0);
}

/* Blocks that stayed where they were, whatever ranges each side has; and what has no counterpart. */
static void in_place_takes_equal_blocks(void)
{
	g_autofree guint8 *old_data = g_malloc(30000), *new_data = g_malloc(30000);
	g_autoptr(GArray) from = ranges(100, 9000, 20000, 3000), to = ranges(0, 5000, 6000, 8000);
	g_autoptr(GArray) none = proa_ranges_new(), pieces = proa_pieces_new();

	for (guint i = 0; i < 30000; i++)
		old_data[i] = (guint8)(i * i / 7);
	memset(new_data, 1, 30000);
	memcpy(new_data, old_data + 100, 5000);
	memcpy(new_data + 6000, old_data + 5100, 4000);
	new_data[10] ^= 1;
	proa_align_in_place(old_data, from, new_data, to, pieces);
	check_cover(pieces, to);
	for (guint i = 0; i < pieces->len; i++) {
		const ProaPiece *piece = &g_array_index(pieces, ProaPiece, i);
		g_assert_cmpint(piece->matched, ==, i == 1 || i == 2);
		if (piece->matched)
			g_assert_cmpmem(new_data + piece->new_at, piece->length, old_data + piece->old_at,
				piece->length);
	}
	g_assert_cmpuint(pieces->len, ==, 4);
	g_array_set_size(pieces, 0);
	proa_align_in_place(old_data, none, new_data, to, pieces);
	check_cover(pieces, to);
	g_assert_cmpuint(pieces->len, ==, 2);
}

/*
 * The same again, but for one byte in the middle of what holds: from each byte on another place is better,
 * and not by enough.
 */
static void nearly_the_same_twice_takes_no_longer(void)
{
	gsize size = 1 << 20;
	g_autofree guint8 *old_data = g_malloc(2 * size);
	g_autoptr(GArray) from = ranges(0, 2 * size, 0, 0), to = ranges(0, size, 0, 0);
	g_autoptr(GArray) pieces = proa_pieces_new();
	guint32 state = 1;

	for (gsize i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		old_data[i] = old_data[size + i] = (guint8)(state >> 24);
	}
	old_data[size / 2] ^= 1;
	g_test_timer_start();
	proa_align(old_data, from, old_data + size, to, pieces);
	g_assert_cmpfloat(g_test_timer_elapsed(), <, 20);
	check_cover(pieces, to);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/align/finds-what-moved", finds_what_moved);
	g_test_add_func("/payload/align/pieces-stay-within-ranges", pieces_stay_within_ranges);
	g_test_add_func("/payload/align/nothing-old-or-new", nothing_old_or_new);
	g_test_add_func("/payload/align/in-place-takes-equal-blocks", in_place_takes_equal_blocks);
	g_test_add_func("/payload/align/nearly-the-same-twice-takes-no-longer",
		nearly_the_same_twice_takes_no_longer);
	return g_test_run();
}

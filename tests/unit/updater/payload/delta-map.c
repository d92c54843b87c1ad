/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-map.h"

#include <string.h>

static void expect(const ProaDeltaMap *map, guint64 old_offset, gint64 new_offset)
{
	guint64 got = 0;
	gboolean found = proa_delta_map_find(map, old_offset, &got);

	g_assert_cmpint(found, ==, new_offset >= 0);
	if (found)
		g_assert_cmpuint(got, ==, (guint64)new_offset);
}

static void finds_where_bytes_went(void)
{
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();

	proa_delta_map_add(map, 100, 500, 10);
	proa_delta_map_add(map, 110, 510, 10);
	proa_delta_map_add(map, 10, 0, 5);
	proa_delta_map_add(map, 105, 900, 30); /* some of these went there before */
	proa_delta_map_seal(map);
	expect(map, 9, -1);
	expect(map, 10, 0);
	expect(map, 14, 4);
	expect(map, 15, -1);
	expect(map, 119, 519);
	expect(map, 120, 915);
	expect(map, 134, 929);
	expect(map, 135, -1);
	g_assert_true(proa_delta_map_any(map, 0, 11));
	g_assert_false(proa_delta_map_any(map, 15, 85));
	g_assert_true(proa_delta_map_any(map, 15, 86));
	g_assert_false(proa_delta_map_any(map, 10, 0));
	g_assert_false(proa_delta_map_any(map, 135, G_MAXUINT64 - 135));
}

static void empty_map_finds_nothing(void)
{
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();

	proa_delta_map_seal(map);
	expect(map, 0, -1);
	g_assert_false(proa_delta_map_any(map, 0, G_MAXUINT64));
}

/* Whether byte @at of @made is in a run of 16 zeros or more, or of zeros up to the end. */
static gboolean says_nothing(const guint8 *made, gsize length, gsize at)
{
	gsize begin = at, end = at;

	if (made[at] != 0)
		return FALSE;
	while (begin > 0 && made[begin - 1] == 0)
		begin--;
	while (end < length && made[end] == 0)
		end++;
	return end == length || end - begin >= 16;
}

/* Both sides of a delta must learn the same: the judge looks at each byte by itself. */
static void learns_all_but_many_zeros(void)
{
	guint8 made[400];

	for (guint round = 0; round < 300; round++) {
		g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
		gsize length = (gsize)g_test_rand_int_range(0, sizeof made + 1);
		for (gsize at = 0; at < length;) {
			gsize run = (gsize)g_test_rand_int_range(1, 40), n = MIN(run, length - at);
			memset(made + at, g_test_rand_int_range(0, 2), n);
			at += n;
		}
		proa_delta_map_learn(map, 1000, 5000, made, length);
		proa_delta_map_seal(map);
		for (gsize at = 0; at < length; at++)
			expect(map, 1000 + at, says_nothing(made, length, at) ? -1 : (gint64)(5000 + at));
		expect(map, 999, -1);
		expect(map, 1000 + length, -1);
	}
}

/* It takes no more memory than is said, and tells that something is missing. */
static void runs_are_bounded(void)
{
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();

	for (guint64 i = 0; i < PROA_DELTA_MAX_RUNS; i++) {
		proa_delta_map_add(map, 2 * i, 3 * i, 1);
		g_assert_false(proa_delta_map_overflowed(map));
	}
	/* What makes the last one longer is no other one. */
	proa_delta_map_add(map, 2 * PROA_DELTA_MAX_RUNS - 1, 3 * PROA_DELTA_MAX_RUNS - 2, 1);
	g_assert_false(proa_delta_map_overflowed(map));
	proa_delta_map_add(map, 4 * PROA_DELTA_MAX_RUNS, 0, 1);
	g_assert_true(proa_delta_map_overflowed(map));
	proa_delta_map_seal(map);
	expect(map, 4 * PROA_DELTA_MAX_RUNS, -1);
	expect(map, 2 * PROA_DELTA_MAX_RUNS - 1, 3 * PROA_DELTA_MAX_RUNS - 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-map/finds-where-bytes-went", finds_where_bytes_went);
	g_test_add_func("/payload/delta-map/empty-map-finds-nothing", empty_map_finds_nothing);
	g_test_add_func("/payload/delta-map/learns-all-but-many-zeros", learns_all_but_many_zeros);
	g_test_add_func("/payload/delta-map/runs-are-bounded", runs_are_bounded);
	return g_test_run();
}

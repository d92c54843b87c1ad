/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-map.h"

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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-map/finds-where-bytes-went", finds_where_bytes_went);
	g_test_add_func("/payload/delta-map/empty-map-finds-nothing", empty_map_finds_nothing);
	return g_test_run();
}

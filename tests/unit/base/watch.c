/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include "tests/unit/scratch.h"

#define HASH "aaaaaaaabbbbccccddddeeeeeeeeeeee111111112222333344445555555555aa"
#define HOUR 3600
#define DAY (24 * HOUR)
#define FIRST 1780000000

static gint64 ends(const char *text, gboolean urgent, gint64 now, gint64 uptime)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = text ? scratch_write(&scratch, "crashes.json", text, -1) : NULL;

	return proa_watch_ends(scratch.path, HASH, urgent, now, uptime);
}

static char *document(gint64 first, gint64 hold, const char *unasked)
{
	return g_strdup_printf("{\"releases\":{\"" HASH "\":{\"first_boot\":%" G_GINT64_FORMAT
			       ",\"hold\":%" G_GINT64_FORMAT ",\"unasked\":[%s]}}}",
		first, hold, unasked);
}

static void it_ends_a_set_time_after_the_first_boot(void)
{
	g_autofree char *text = document(FIRST, DAY, "");

	g_assert_cmpint(ends(text, FALSE, FIRST, 0), ==, FIRST + DAY);
	g_assert_cmpint(ends(text, FALSE, FIRST + HOUR, 100), ==, FIRST + DAY);
	g_assert_cmpint(ends(text, FALSE, FIRST + DAY - 1, 100), ==, FIRST + DAY);
	g_assert_cmpint(ends(text, FALSE, FIRST + DAY, 100), ==, 0);
}

/* A known hole is worse than a release that has not crashed for an hour; not than one that crashes. */
static void what_is_urgent_waits_for_an_hour(void)
{
	g_autofree char *quiet = document(FIRST, DAY, ""), *crashed = document(FIRST, DAY, "1780000060");

	g_assert_cmpint(ends(quiet, TRUE, FIRST + 60, 60), ==, FIRST + HOUR);
	g_assert_cmpint(ends(quiet, TRUE, FIRST + HOUR, 60), ==, 0);
	g_assert_cmpint(ends(crashed, TRUE, FIRST + HOUR, 60), ==, FIRST + DAY);
}

static void no_clock_makes_it_longer(void)
{
	g_autofree char *text = document(FIRST, DAY, ""), *future = document(2145916800, DAY, "");
	g_autofree char *without = document(0, DAY, "");

	/* 1970, and a first boot in 2038: it lasts for as long as this boot has not lasted for it. */
	g_assert_cmpint(ends(text, FALSE, 1000, HOUR), ==, 1000 + DAY - HOUR);
	g_assert_cmpint(ends(text, FALSE, 1000, DAY), ==, 0);
	g_assert_cmpint(ends(future, FALSE, FIRST, HOUR), ==, FIRST + DAY - HOUR);
	g_assert_cmpint(ends(future, FALSE, FIRST, DAY), ==, 0);
	g_assert_cmpint(ends(without, FALSE, FIRST, HOUR), ==, 0);
}

static void no_file_keeps_a_node_from_its_updates_for_ever(void)
{
	static const char *const texts[] = { NULL, "", "[]", "{}", "{\"releases\":[]}",
		"{\"releases\":{\"" HASH "\":7}}",
		"{\"releases\":{\"" HASH "\":{\"first_boot\":\"x\",\"hold\":\"y\"}}}",
		"{\"releases\":{\"" HASH "\":{\"first_boot\":1779999999,\"hold\":-5}}}" };
	g_autofree char *long_hold = document(FIRST, G_MAXINT64, "");
	g_autofree char *others = document(FIRST, DAY, "");

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_assert_cmpint(ends(texts[i], FALSE, FIRST, 0), ==, 0);
	g_assert_cmpint(ends(long_hold, FALSE, FIRST, 0), ==, FIRST + PROA_WATCH_MAX);
	others[strlen("{\"releases\":{\"")] = 'b';
	g_assert_cmpint(ends(others, FALSE, FIRST, 0), ==, 0);
}

static void the_uptime_is_the_kernels(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_cmpint(proa_watch_uptime(""), >, 0);
	g_assert_cmpint(proa_watch_uptime(scratch.path), ==, 0);
	g_free(scratch_write(&scratch, "proc/uptime", "4711.23 9000.00\n", -1));
	g_assert_cmpint(proa_watch_uptime(scratch.path), ==, 4711);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/watch/it-ends-a-set-time-after-the-first-boot",
		it_ends_a_set_time_after_the_first_boot);
	g_test_add_func("/base/watch/what-is-urgent-waits-for-an-hour", what_is_urgent_waits_for_an_hour);
	g_test_add_func("/base/watch/no-clock-makes-it-longer", no_clock_makes_it_longer);
	g_test_add_func("/base/watch/no-file-keeps-a-node-from-its-updates-for-ever",
		no_file_keeps_a_node_from_its_updates_for_ever);
	g_test_add_func("/base/watch/the-uptime-is-the-kernels", the_uptime_is_the_kernels);
	return g_test_run();
}

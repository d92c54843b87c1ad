/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include "tests/unit/scratch.h"

#define HASH "aaaaaaaabbbbccccddddeeeeeeeeeeee111111112222333344445555555555aa"
#define HOUR 3600
#define DAY (24 * HOUR)
#define NOW 1780000000
/* Of the node's own time, when the release first booted here. */
#define BEGAN 5000

static gint64 ends(const char *text, gboolean urgent, gint64 now, gint64 uptime)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = text ? scratch_write(&scratch, "crashes.json", text, -1) : NULL;

	return proa_watch_ends(scratch.path, HASH, urgent, now, uptime);
}

/* As noted @noted seconds after the kernel's start, when the release had run here for @age. */
static char *document(gint64 age, gint64 noted, gint64 hold, const char *unasked)
{
	return g_strdup_printf("{\"time\":{\"elapsed\":%" G_GINT64_FORMAT ",\"uptime\":%" G_GINT64_FORMAT
			       "},\"releases\":{\"" HASH "\":{\"began\":%d,\"hold\":%" G_GINT64_FORMAT
			       ",\"unasked\":[%s]}}}",
		BEGAN + age, noted, BEGAN, hold, unasked);
}

static void it_ends_a_set_time_after_the_first_boot(void)
{
	g_autofree char *new = document(0, 20, DAY, ""), *older = document(DAY - HOUR, 20, DAY, "");

	g_assert_cmpint(ends(new, FALSE, NOW, 20), ==, NOW + DAY - 20);
	g_assert_cmpint(ends(new, FALSE, NOW, HOUR), ==, NOW + DAY - HOUR);
	g_assert_cmpint(ends(older, FALSE, NOW, 20), ==, NOW + HOUR);
	g_assert_cmpint(ends(older, FALSE, NOW, 20 + HOUR - 1), ==, NOW + 1);
	g_assert_cmpint(ends(older, FALSE, NOW, 20 + HOUR), ==, 0);
	/* Noted in a boot that lasted for longer than this one has. */
	g_autofree char *before = document(HOUR, HOUR, DAY, "");
	g_assert_cmpint(ends(before, FALSE, NOW, 60), ==, NOW + DAY - HOUR - 60);
}

/* A known hole is worse than a release that has not crashed for an hour; not than one that crashes. */
static void what_is_urgent_waits_for_an_hour(void)
{
	g_autofree char *quiet = document(60, 60, DAY, ""), *crashed = document(60, 60, DAY, "1780000060");

	g_assert_cmpint(ends(quiet, TRUE, NOW, 60), ==, NOW + HOUR - 60);
	g_assert_cmpint(ends(quiet, TRUE, NOW, HOUR), ==, 0);
	g_assert_cmpint(ends(crashed, TRUE, NOW, HOUR), ==, NOW + DAY - HOUR);
}

static void no_clock_makes_it_longer(void)
{
	g_autofree char *text = document(0, 0, DAY, "");
	g_autofree char *to_come = document(-5, 0, DAY, "");

	/* 1970, or 2038: nothing but the name of the end depends on it. */
	g_assert_cmpint(ends(text, FALSE, 1000, HOUR), ==, 1000 + DAY - HOUR);
	g_assert_cmpint(ends(text, FALSE, 2145916800, HOUR), ==, 2145916800 + DAY - HOUR);
	g_assert_cmpint(ends(text, FALSE, 1000, DAY), ==, 0);
	/* A first boot that is still to come is now, and a boot that has lasted for so long is enough. */
	g_assert_cmpint(ends(to_come, FALSE, NOW, HOUR), ==, NOW + DAY - HOUR);
	g_assert_cmpint(ends(to_come, FALSE, NOW, DAY), ==, 0);
}

static void no_file_keeps_a_node_from_its_updates_for_ever(void)
{
	static const char *const texts[] = { NULL, "", "[]", "{}", "{\"releases\":[]}",
		"{\"releases\":{\"" HASH "\":7}}", "{\"time\":7,\"releases\":{\"" HASH "\":{\"hold\":60}}}",
		"{\"time\":{},\"releases\":{\"" HASH "\":{\"began\":\"x\",\"hold\":\"y\"}}}",
		"{\"time\":{},\"releases\":{\"" HASH "\":{\"hold\":60}}}",
		"{\"time\":{},\"releases\":{\"" HASH "\":{\"began\":0,\"hold\":-5}}}",
		"{\"releases\":{\"" HASH "\":{\"first_boot\":1779999999,\"hold\":60}}}" };
	g_autofree char *long_hold = document(0, 0, G_MAXINT64, "");
	g_autofree char *others = document(0, 0, DAY, "");

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_assert_cmpint(ends(texts[i], FALSE, NOW, 0), ==, 0);
	g_assert_cmpint(ends(long_hold, FALSE, NOW, 0), ==, NOW + PROA_WATCH_MAX);
	char *hash = strstr(others, HASH);
	*hash = 'b';
	g_assert_cmpint(ends(others, FALSE, NOW, 0), ==, 0);
	g_assert_cmpint(ends("{\"time\":{\"elapsed\":9223372036854775807,\"uptime\":-1},\"releases\":{\"" HASH
			     "\":{\"began\":-9223372036854775807,\"hold\":9223372036854775807}}}",
				FALSE, NOW, 5),
		==, 0);
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

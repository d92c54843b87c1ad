/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/crashes.h"

#include "base/watch.h"
#include "tests/unit/boot/fixture.h"

#define DAY 86400

/* One boot: it begins at @now, may come to health, and ends asked for or not. Returns what the one before
 * came to. */
static guint boot(const char *dir, const char *root_hash, gint64 now, gboolean healthy, gboolean asked)
{
	static guint number;
	g_autofree char *id = g_strdup_printf("boot-%u", number++);
	g_auto(ProaCrash) crash = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_crashes_begin(dir, root_hash, id, now, DAY, DAY / 2, &crash, &error));
	g_assert_true(crash.count == 0 || crash.root_hash);
	if (healthy)
		g_assert_true(proa_crashes_healthy(dir, &error));
	if (asked)
		g_assert_true(proa_crashes_asked(dir, &error));
	g_assert_no_error(error);
	return crash.count;
}

static void shutdowns_that_were_asked_for_do_not_count(void)
{
	g_auto(Scratch) scratch = scratch_new();

	for (int i = 0; i < 10; i++)
		g_assert_cmpuint(boot(scratch.path, HASH_1, 1000 + i, TRUE, TRUE), ==, 0);
}

static void others_count_while_the_release_is_young(void)
{
	g_auto(Scratch) scratch = scratch_new();

	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 2000, TRUE, FALSE), ==, 1);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 3000, TRUE, TRUE), ==, 2);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 4000, TRUE, FALSE), ==, 0);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 5000, TRUE, FALSE), ==, 3);
	/* A power cut next month says nothing of the release. */
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1000 + DAY + 1, TRUE, FALSE), ==, 0);
}

/* Those are the firmware's and proa-etc's to count. */
static void boots_that_never_came_to_health_do_not_count(void)
{
	g_auto(Scratch) scratch = scratch_new();

	for (int i = 0; i < 10; i++)
		g_assert_cmpuint(boot(scratch.path, HASH_1, 1000 + i, FALSE, FALSE), ==, 0);
}

static void each_release_has_its_own_count(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_auto(ProaCrash) crash = { 0 };

	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_2, 2000, TRUE, FALSE), ==, 1);
	g_assert_cmpuint(boot(scratch.path, HASH_2, 3000, TRUE, FALSE), ==, 1);
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, "x", 4000, DAY, DAY / 2, &crash, NULL));
	g_assert_cmpuint(crash.count, ==, 2);
	g_assert_cmpstr(crash.root_hash, ==, HASH_2);
	g_assert_true(proa_crashes_forget(scratch.path, HASH_2, NULL));
	boot(scratch.path, HASH_2, 5000, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_2, 5001, TRUE, TRUE), ==, 1);
}

/* proa-bootd may be started again in the same boot. */
static void a_boot_is_judged_once(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_auto(ProaCrash) first = { 0 }, again = { 0 };

	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, "same", 2000, DAY, DAY / 2, &first, NULL));
	g_assert_true(proa_crashes_healthy(scratch.path, NULL));
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, "same", 2001, DAY, DAY / 2, &again, NULL));
	g_assert_cmpuint(first.count, ==, 1);
	g_assert_cmpuint(again.count, ==, 0);
}

static void a_clock_that_went_back_forgives_nothing(void)
{
	g_auto(Scratch) scratch = scratch_new();

	boot(scratch.path, HASH_1, 1000 * DAY, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 5, TRUE, FALSE), ==, 1);
}

/* Else it would count until the year that the clock once said. */
static void a_clock_that_was_ahead_counts_no_longer(void)
{
	g_auto(Scratch) scratch = scratch_new();

	boot(scratch.path, HASH_1, 2145916800, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000000, TRUE, FALSE), ==, 1);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000000 + DAY + 1, TRUE, FALSE), ==, 0);
}

static gint64 watch_ends(const Scratch *scratch, gint64 now)
{
	return proa_watch_ends(scratch->path, HASH_1, FALSE, now, 0);
}

/* What base/watch.c reads is what is written here. */
static void the_other_slot_is_kept_while_the_release_is_young(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_cmpint(watch_ends(&scratch, 1000), ==, 0);
	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_cmpint(watch_ends(&scratch, 1001), ==, 1000 + DAY / 2);
	boot(scratch.path, HASH_1, 2000, TRUE, FALSE);
	g_assert_cmpint(watch_ends(&scratch, 2001), ==, 1000 + DAY / 2);
	g_assert_cmpint(watch_ends(&scratch, 1000 + DAY / 2), ==, 0);
}

/* A node that sees many releases must not begin to watch the one that runs again. */
static void the_running_release_is_not_forgotten_for_others(void)
{
	g_auto(Scratch) scratch = scratch_new();

	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	for (guint i = 0; i < 20; i++) {
		g_autofree char *other = g_strdup_printf("%064u", i);
		boot(scratch.path, other, 2000 + i, FALSE, TRUE);
		boot(scratch.path, HASH_1, 2000 + i, TRUE, TRUE);
	}
	g_assert_cmpint(watch_ends(&scratch, 3000), ==, 1000 + DAY / 2);
}

static void a_broken_file_is_begun_anew(void)
{
	static const char *const texts[] = { "", "[]", "{\"running\":5,\"releases\":[]}",
		"{\"running\":{\"root_hash\":\"x\",\"healthy\":true}}",
		"{\"running\":{\"root_hash\":\"" HASH_1 "\",\"healthy\":true},\"releases\":{\"" HASH_1
		"\":{\"unasked\":7}}}" };

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *path = scratch_write(&scratch, "crashes.json", texts[i], -1);
		g_assert_nonnull(path);
		g_assert_cmpuint(boot(scratch.path, HASH_1, 1000, TRUE, FALSE), ==, i == 4 ? 1 : 0);
		g_assert_cmpuint(boot(scratch.path, HASH_1, 1001, TRUE, FALSE), ==, i == 4 ? 2 : 1);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/crashes/shutdowns-that-were-asked-for-do-not-count",
		shutdowns_that_were_asked_for_do_not_count);
	g_test_add_func(
		"/crashes/others-count-while-the-release-is-young", others_count_while_the_release_is_young);
	g_test_add_func("/crashes/boots-that-never-came-to-health-do-not-count",
		boots_that_never_came_to_health_do_not_count);
	g_test_add_func("/crashes/each-release-has-its-own-count", each_release_has_its_own_count);
	g_test_add_func("/crashes/a-boot-is-judged-once", a_boot_is_judged_once);
	g_test_add_func(
		"/crashes/a-clock-that-went-back-forgives-nothing", a_clock_that_went_back_forgives_nothing);
	g_test_add_func(
		"/crashes/a-clock-that-was-ahead-counts-no-longer", a_clock_that_was_ahead_counts_no_longer);
	g_test_add_func("/crashes/the-other-slot-is-kept-while-the-release-is-young",
		the_other_slot_is_kept_while_the_release_is_young);
	g_test_add_func("/crashes/the-running-release-is-not-forgotten-for-others",
		the_running_release_is_not_forgotten_for_others);
	g_test_add_func("/crashes/a-broken-file-is-begun-anew", a_broken_file_is_begun_anew);
	return g_test_run();
}

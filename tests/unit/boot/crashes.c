/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/crashes.h"

#include "base/watch.h"
#include "tests/unit/boot/fixture.h"

#define DAY 86400

#define NOTED 900

/* One boot: its kernel starts at @now, it may come to health at once, lasts for @seconds, of which is noted
 * what a timer notes, and ends asked for or not. Returns what the one before came to. */
static guint long_boot(
	const char *dir, const char *root_hash, gint64 now, gint64 seconds, gboolean healthy, gboolean asked)
{
	static guint number;
	ProaMoment moment = { .clock = now };
	g_auto(ProaCrash) crash = { 0 };
	g_autoptr(GError) error = NULL;

	g_snprintf(moment.boot_id, sizeof moment.boot_id, "boot-%u", number++);
	g_assert_true(proa_crashes_begin(dir, root_hash, &moment, DAY, DAY / 2, &crash, &error));
	g_assert_true(crash.count == 0 || crash.root_hash);
	if (healthy)
		g_assert_true(proa_crashes_healthy(dir, &moment, &error));
	for (gint64 passed = NOTED; passed <= seconds; passed += NOTED) {
		moment.clock = now + passed;
		moment.uptime = passed;
		g_assert_true(proa_crashes_goes_on(dir, &moment, DAY, &error));
	}
	moment.clock = now + seconds;
	moment.uptime = seconds;
	if (asked)
		g_assert_true(proa_crashes_asked(dir, &moment, &error));
	g_assert_no_error(error);
	return crash.count;
}

/* One that is over in no time. */
static guint boot(const char *dir, const char *root_hash, gint64 now, gboolean healthy, gboolean asked)
{
	return long_boot(dir, root_hash, now, 0, healthy, asked);
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
	ProaMoment moment = { "x", 4000, 0 };
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, &moment, DAY, DAY / 2, &crash, NULL));
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
	ProaMoment moment = { "same", 2000, 0 }, later = { "same", 2001, 1 };
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, &moment, DAY, DAY / 2, &first, NULL));
	g_assert_true(proa_crashes_healthy(scratch.path, &moment, NULL));
	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, &later, DAY, DAY / 2, &again, NULL));
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

/* No battery, and nobody who tells the time: each boot begins at the same one. */
static void a_clock_that_stands_still_ages_a_release_all_the_same(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *last = g_build_filename(scratch.path, "uptime.json", NULL);

	/* Five hours each, cut off by a plug: the fourth boot ends within the first day, the fifth does not.
	 */
	for (guint i = 0; i < 5; i++)
		g_assert_cmpuint(long_boot(scratch.path, HASH_1, 1780000000, 5 * 3600, TRUE, FALSE), ==, i);
	g_assert_cmpuint(long_boot(scratch.path, HASH_1, 1780000000, 5 * 3600, TRUE, FALSE), ==, 0);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000000, TRUE, FALSE), ==, 0);
	/* From then on nobody needs to know how long a boot has lasted. */
	g_assert_cmpint(g_unlink(last), ==, 0);
	long_boot(scratch.path, HASH_1, 1780000000, 5 * 3600, TRUE, FALSE);
	g_assert_false(g_file_test(last, G_FILE_TEST_EXISTS));
	/* Another release is as young as it is. */
	boot(scratch.path, HASH_2, 1780000000, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_2, 1780000000, TRUE, FALSE), ==, 1);
}

static void boots_that_end_in_good_order_age_a_release_too(void)
{
	g_auto(Scratch) scratch = scratch_new();

	/* Too short for what a timer notes. */
	for (guint i = 0; i < 200; i++)
		long_boot(scratch.path, HASH_1, 5, NOTED / 2, TRUE, TRUE);
	boot(scratch.path, HASH_1, 5, TRUE, FALSE);
	g_assert_cmpuint(boot(scratch.path, HASH_1, 5, TRUE, FALSE), ==, 0);
}

/* Set right in the middle of a release's first boot: the years between are no age of it. */
static void a_clock_that_is_set_ages_nothing(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaMoment begins = { "wrong", 5, 5 }, healthy = { "wrong", 1780000000, 60 };
	g_auto(ProaCrash) none = { 0 };

	g_assert_true(proa_crashes_begin(scratch.path, HASH_1, &begins, DAY, DAY / 2, &none, NULL));
	g_assert_true(proa_crashes_healthy(scratch.path, &healthy, NULL));
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000100, TRUE, FALSE), ==, 1);
	/* Switched off for a day, with a clock that goes on, it has aged. */
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000100 + DAY, TRUE, FALSE), ==, 0);
}

/* What an agent of before wrote, or nobody: no number makes a release older than it can be shown to be, and
 * none overflows. */
static void hostile_times_are_as_none(void)
{
	static const char *const texts[] = {
		"{\"time\":{\"elapsed\":9223372036854775807,\"uptime\":-9223372036854775807,\"clock\":-5,\"boot_id\":7}}",
		"{\"time\":[],\"releases\":{\"" HASH_1 "\":{\"began\":9223372036854775807}}}",
		"{\"time\":{\"elapsed\":-1,\"clock\":9223372036854775807},\"releases\":{\"" HASH_1
		"\":{\"began\":\"x\"}}}",
		"{\"releases\":{\"" HASH_1 "\":{\"first_boot\":1780000000,\"unasked\":[]}}}"
	};

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_free(scratch_write(&scratch, "crashes.json", texts[i], -1));
		g_free(scratch_write(&scratch, "uptime.json",
			"{\"boot_id\":\"boot-0\",\"uptime\":9223372036854775807,\"clock\":{}}", -1));
		boot(scratch.path, HASH_1, 1780000000, TRUE, FALSE);
		g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000001, TRUE, FALSE), ==, 1);
		g_assert_cmpuint(boot(scratch.path, HASH_1, G_MAXINT64, TRUE, FALSE), ==, i == 0 ? 2 : 0);
	}
}

/* Else a note of this boot would age a release that runs in the next. */
static void only_the_boot_that_runs_is_noted(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaMoment other = { "another", 1780000000, 50000 };

	boot(scratch.path, HASH_1, 1780000000, TRUE, FALSE);
	g_assert_true(proa_crashes_goes_on(scratch.path, &other, DAY, NULL));
	g_assert_cmpuint(boot(scratch.path, HASH_1, 1780000000, TRUE, TRUE), ==, 1);
	g_assert_true(proa_crashes_goes_on(scratch.path, &other, DAY, NULL));
	g_autofree char *last = g_build_filename(scratch.path, "uptime.json", NULL);
	g_assert_false(g_file_test(last, G_FILE_TEST_EXISTS));
}

static gint64 watch_ends(const Scratch *scratch, gint64 uptime)
{
	return proa_watch_ends(scratch->path, HASH_1, FALSE, 1780000000, uptime);
}

/* What base/watch.c reads is what is written here. */
static void the_other_slot_is_kept_while_the_release_is_young(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_cmpint(watch_ends(&scratch, 1), ==, 0);
	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_cmpint(watch_ends(&scratch, 1), ==, 1780000000 + DAY / 2 - 1);
	/* The clock stands still, and the release is as much older as its boot lasted. */
	long_boot(scratch.path, HASH_1, 1000, 1800, TRUE, TRUE);
	g_assert_cmpint(watch_ends(&scratch, 1800), ==, 1780000000 + DAY / 2 - 1800);
	boot(scratch.path, HASH_1, 1000, TRUE, FALSE);
	g_assert_cmpint(watch_ends(&scratch, 60), ==, 1780000000 + DAY / 2 - 1860);
	g_assert_cmpint(watch_ends(&scratch, DAY / 2 - 1800), ==, 0);
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
	g_assert_cmpint(watch_ends(&scratch, 0), ==, 1780000000 + DAY / 2 - 1019);
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
	g_test_add_func("/crashes/a-clock-that-stands-still-ages-a-release-all-the-same",
		a_clock_that_stands_still_ages_a_release_all_the_same);
	g_test_add_func("/crashes/boots-that-end-in-good-order-age-a-release-too",
		boots_that_end_in_good_order_age_a_release_too);
	g_test_add_func("/crashes/a-clock-that-is-set-ages-nothing", a_clock_that_is_set_ages_nothing);
	g_test_add_func("/crashes/hostile-times-are-as-none", hostile_times_are_as_none);
	g_test_add_func("/crashes/only-the-boot-that-runs-is-noted", only_the_boot_that_runs_is_noted);
	g_test_add_func("/crashes/the-other-slot-is-kept-while-the-release-is-young",
		the_other_slot_is_kept_while_the_release_is_young);
	g_test_add_func("/crashes/the-running-release-is-not-forgotten-for-others",
		the_running_release_is_not_forgotten_for_others);
	g_test_add_func("/crashes/a-broken-file-is-begun-anew", a_broken_file_is_begun_anew);
	return g_test_run();
}

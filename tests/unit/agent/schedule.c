/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/schedule.h"

#define NOW G_GINT64_CONSTANT(1780000000)

static void test_interval(void)
{
	g_assert_cmpint(proa_schedule_check(NOW, NOW, 3600, 0, 30, 7), ==, 3600);
	g_assert_cmpint(proa_schedule_check(NOW, NOW - 600, 3600, 0, 30, 7), ==, 3000);
	/* Overdue, and never. */
	g_assert_cmpint(proa_schedule_check(NOW, NOW - 7200, 3600, 0, 30, 7), ==, 30);
	g_assert_cmpint(proa_schedule_check(NOW, 0, 3600, 0, 30, 7), ==, 30);
	/* A clock that went back does not put the check off for years. */
	g_assert_cmpint(proa_schedule_check(NOW, NOW + 100000000, 3600, 0, 30, 7), ==, 30);
}

static void test_jitter(void)
{
	gint64 least = G_MAXINT64, most = 0;

	for (guint i = 0; i < 20000; i++) {
		gint64 wait = proa_schedule_check(NOW, NOW, 3600, 600, 30, i * 2654435761u);
		least = MIN(least, wait);
		most = MAX(most, wait);
	}
	g_assert_cmpint(least, ==, 3600);
	g_assert_cmpint(most, ==, 4200);
	g_assert_cmpint(proa_schedule_check(NOW, NOW, 3600, 600, 30, G_MAXUINT32), <=, 4200);
}

static void test_window(void)
{
	static const char *const wrong[] = { "", "always", "22:30", "22:30-", "22:30-24:00", "22:60-04:00",
		"2:30-04:00", "22:30-04:00 ", "22.30-04.00", "22:30-22:30", "-1:30-04:00", "aa:bb-cc:dd" };
	ProaWindow window = { 7, 7 };

	for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
		g_assert_false(proa_window_parse(wrong[i], &window));
	g_assert_false(proa_window_parse(NULL, &window));
	g_assert_cmpint(window.start, ==, 7);

	g_assert_true(proa_window_parse("01:00-04:30", &window));
	g_assert_cmpint(proa_window_wait(&window, 0), ==, 3600);
	g_assert_cmpint(proa_window_wait(&window, 3600), ==, 0);
	g_assert_cmpint(proa_window_wait(&window, 4 * 3600 + 30 * 60 - 1), ==, 0);
	g_assert_cmpint(proa_window_wait(&window, 4 * 3600 + 30 * 60), ==, 20 * 3600 + 30 * 60);

	g_assert_true(proa_window_parse("22:00-02:00", &window));
	g_assert_cmpint(proa_window_wait(&window, 23 * 3600), ==, 0);
	g_assert_cmpint(proa_window_wait(&window, 0), ==, 0);
	g_assert_cmpint(proa_window_wait(&window, 2 * 3600), ==, 20 * 3600);
	g_assert_cmpint(proa_window_wait(&window, 22 * 3600 - 1), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/schedule/interval-counts-from-the-last-check", test_interval);
	g_test_add_func("/schedule/jitter-covers-its-range", test_jitter);
	g_test_add_func("/schedule/window-also-over-midnight", test_window);
	return g_test_run();
}

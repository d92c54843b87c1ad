/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/pace.h"

#define SECOND ((gint64)G_USEC_PER_SEC)

static void no_limit_no_waiting(void)
{
	ProaPace pace = proa_pace_begin(0, 0);

	g_assert_cmpint(proa_pace_took(&pace, 1u << 30, 0), ==, 0);
	g_assert_cmpint(proa_pace_took(&pace, 1u << 30, 1), ==, 0);
}

/* Whatever the pieces, who waits as told gets the speed. */
static void speed_is_held(void)
{
	static const guint64 pieces[] = { 1, 100, 4096, 16384, 1000000 };

	for (guint i = 0; i < G_N_ELEMENTS(pieces); i++) {
		gint64 now = 5 * SECOND;
		ProaPace pace = proa_pace_begin(300000, now);
		guint64 done = 0;
		for (; done < 3000000; done += pieces[i])
			now += proa_pace_took(&pace, pieces[i], now) + 3; /* and a little for the work */
		gint64 wanted = (gint64)done * SECOND / 300000;
		g_assert_cmpint(now - 5 * SECOND, >=, wanted - 10);
		g_assert_cmpint(now - 5 * SECOND, <=, wanted + wanted / 10 + 10);
	}
}

/* A server that was silent does not get all that back at once. */
static void silence_is_not_saved_up(void)
{
	ProaPace pace = proa_pace_begin(100000, 0);

	g_assert_cmpint(proa_pace_took(&pace, 100000, 3600 * SECOND), ==, 3 * SECOND / 4);
}

static void huge_numbers_do_not_overflow(void)
{
	ProaPace pace = proa_pace_begin(G_MAXINT64, 0);

	for (guint i = 0; i < 1000; i++)
		g_assert_cmpint(proa_pace_took(&pace, G_MAXUINT64, i * SECOND), >=, 0);
	ProaPace slow = proa_pace_begin(1, 0);
	for (guint i = 0; i < 1000; i++)
		g_assert_cmpint(proa_pace_took(&slow, G_MAXUINT64, 0), >, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fetch/pace/no-limit-no-waiting", no_limit_no_waiting);
	g_test_add_func("/fetch/pace/speed-is-held", speed_is_held);
	g_test_add_func("/fetch/pace/silence-is-not-saved-up", silence_is_not_saved_up);
	g_test_add_func("/fetch/pace/huge-numbers-do-not-overflow", huge_numbers_do_not_overflow);
	return g_test_run();
}

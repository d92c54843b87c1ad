/* SPDX-License-Identifier: Apache-2.0 */
#include "base/until.h"

/* A day lasts to its end, and one that has gone by is a slip of the hand. */
static void test_parse(void)
{
	static const struct {
		const char *text;
		gint64 until;
	} cases[] = { { "2099-12-31", 4102444799 }, { "2099-12-31T12:00:00Z", 4102401600 },
		{ "2099-12-31T12:00:00+01:00", 4102398000 }, { "2020-01-01", 0 }, { "", 0 },
		{ "tomorrow", 0 }, { "2099-13-01", 0 }, { "99", 0 }, { "2099-12-31T25", 0 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		gint64 until = 0;
		g_assert_cmpint(proa_until_parse(cases[i].text, &until), ==, cases[i].until != 0);
		g_assert_cmpint(until, ==, cases[i].until);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/until/parse", test_parse);
	return g_test_run();
}

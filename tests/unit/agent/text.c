/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/text.h"

#include <string.h>

static void assert_text(char *text, const char *expected)
{
	g_assert_cmpstr(text, ==, expected);
	g_free(text);
}

static void test_safe(void)
{
	assert_text(proa_text_safe(NULL), "");
	assert_text(proa_text_safe("  plain  "), "plain");
	assert_text(proa_text_safe("a\033[31mb\r\nc\td\177e"), "a [31mb  c d e");
	/* C1 control, right-to-left override, line separator. */
	assert_text(proa_text_safe("a\xc2\x9b"
				   "b\xe2\x80\xae"
				   "c\xe2\x80\xa8"
				   "d"),
		"a b c d");
	assert_text(proa_text_safe("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
	g_autofree char *invalid = proa_text_safe("a\xff\xfe"
						  "b");
	g_assert_true(g_utf8_validate(invalid, -1, NULL));

	/* The cut falls into no character. */
	for (gsize lead = 0; lead < 5; lead++) {
		g_autoptr(GString) text = g_string_new(NULL);
		for (gsize i = 0; i < lead; i++)
			g_string_append_c(text, 'x');
		while (text->len < 3 * PROA_TEXT_MAX)
			g_string_append(text, "\xf0\x9f\x9b\xb6");
		g_autofree char *safe = proa_text_safe(text->str);
		g_assert_cmpuint(strlen(safe), <=, PROA_TEXT_MAX);
		g_assert_cmpuint(strlen(safe), >, PROA_TEXT_MAX - 8);
		g_assert_true(g_utf8_validate(safe, -1, NULL));
	}
}

static void test_bytes(void)
{
	assert_text(proa_text_bytes(0), "0 B");
	assert_text(proa_text_bytes(999), "999 B");
	assert_text(proa_text_bytes(1000), "1.0 kB");
	assert_text(proa_text_bytes(999949), "999.9 kB");
	assert_text(proa_text_bytes(999950), "1.0 MB");
	assert_text(proa_text_bytes(91000000), "91.0 MB");
	assert_text(proa_text_bytes(G_MAXUINT64), "18.4 EB");
}

static void test_times(void)
{
	assert_text(proa_text_span(-5), "0 s");
	assert_text(proa_text_span(59), "59 s");
	assert_text(proa_text_span(125), "2 min 5 s");
	assert_text(proa_text_span(12000), "3 h 20 min");
	assert_text(proa_text_span(4 * 86400 + 7200), "4 d 2 h");
	assert_text(proa_text_time(0), "never");
	assert_text(proa_text_time(-7), "never");
	assert_text(proa_text_time(G_MAXINT64), "never");
	assert_text(proa_text_time(1780000000), "2026-05-28 20:26:40 UTC");
	assert_text(proa_text_time_from(1780000000, 1780000180), "2026-05-28 20:26:40 UTC (3 min 0 s ago)");
	assert_text(proa_text_time_from(1780000000, 1779999960), "2026-05-28 20:26:40 UTC (in 40 s)");
	assert_text(proa_text_time_from(0, 5), "never");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/text/safe-for-a-terminal", test_safe);
	g_test_add_func("/text/bytes-round-to-the-next-unit", test_bytes);
	g_test_add_func("/text/times-and-spans", test_times);
	return g_test_run();
}

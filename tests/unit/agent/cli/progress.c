/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/progress.h"

#include "base/json.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC

static void test_meter(void)
{
	ProaMeter meter = { 0 };

	g_assert_cmpint(proa_meter_left(&meter, 0, 100), ==, -1);
	for (int i = 0; i <= 20; i++)
		proa_meter_update(&meter, (guint64)i * 1000000, (i + 1) * SECOND);
	g_assert_cmpfloat_with_epsilon(meter.rate, 1e6, 1);
	g_assert_cmpint(proa_meter_left(&meter, 20000000, 50000000), ==, 30);
	g_assert_cmpint(proa_meter_left(&meter, 50000000, 50000000), ==, 0);
	g_assert_cmpint(proa_meter_left(&meter, 51000000, 50000000), ==, -1);
	/* It stalls: the rate falls, and at last nobody can tell any more. */
	for (int i = 0; i < 60; i++)
		proa_meter_update(&meter, 20000000, (22 + i) * SECOND);
	g_assert_cmpfloat(meter.rate, <, 10);
	g_assert_cmpint(proa_meter_left(&meter, 20000000, G_MAXUINT64), ==, -1);
	/* Another file: begun anew. */
	proa_meter_update(&meter, 5, 100 * SECOND);
	g_assert_cmpfloat(meter.rate, ==, 0);
	/* Two measurements in the same microsecond divide by nothing. */
	proa_meter_update(&meter, 7, 100 * SECOND);
	g_assert_cmpfloat(meter.rate, ==, 0);
}

static void test_percent(void)
{
	g_assert_cmpint(proa_progress_percent(0, 0), ==, -1);
	g_assert_cmpint(proa_progress_percent(0, 5), ==, 0);
	g_assert_cmpint(proa_progress_percent(999, 1000), ==, 99);
	g_assert_cmpint(proa_progress_percent(5, 5), ==, 100);
	g_assert_cmpint(proa_progress_percent(6, 5), ==, 100);
	g_assert_cmpint(proa_progress_percent(G_MAXUINT64 - 1, G_MAXUINT64), <=, 100);
}

/* Draws an update of 100 MB in 100 s, four measurements a second; returns what was written. */
static char *run(ProaProgressStyle style)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	ProaProgress *progress = proa_progress_new(out, style);

	proa_progress_update(progress, "trust", 0, 0, SECOND);
	for (int i = 0; i <= 400; i++)
		proa_progress_update(
			progress, "fetch", (guint64)i * 250000, 100000000, 2 * SECOND + i * SECOND / 4);
	proa_progress_update(progress, "arm", 0, 0, 200 * SECOND);
	proa_progress_say(progress, "a sentence");
	proa_progress_free(progress);
	fclose(out);
	return text;
}

static guint count_lines(const char *text)
{
	guint count = 0;

	for (const char *p = text; *p; p++)
		count += *p == '\n';
	return count;
}

static void test_lines(void)
{
	g_autofree char *text = run(PROA_PROGRESS_LINES);

	/* trust, fetch at 0 to 100 percent, arm, and the sentence. */
	g_assert_cmpuint(count_lines(text), ==, 1 + 11 + 1 + 1);
	g_assert_nonnull(strstr(text, "fetch     50%  50.0 MB of 100.0 MB  1.0 MB/s  50 s left\n"));
	g_assert_nonnull(strstr(text, "fetch    100%  100.0 MB of 100.0 MB  1.0 MB/s\n"));
	g_assert_null(strpbrk(text, "\r\033"));
}

static void test_terminal(void)
{
	g_autofree char *text = run(PROA_PROGRESS_TERMINAL);

	/* One line a phase, drawn over and over. */
	g_assert_cmpuint(count_lines(text), ==, 4);
	g_assert_true(g_str_has_suffix(text, "\r\033[Karm\na sentence\n"));
	g_auto(GStrv) draws = g_strsplit(text, "\r\033[K", -1);
	g_assert_cmpuint(g_strv_length(draws), >, 100);
	for (guint i = 0; draws[i]; i++)
		g_assert_cmpuint(strlen(draws[i]), <, 79);
}

static void test_json(void)
{
	g_autofree char *text = run(PROA_PROGRESS_JSON);
	g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);

	g_assert_cmpuint(g_strv_length(lines), ==, 403);
	for (guint i = 0; lines[i]; i++) {
		g_autoptr(JsonObject) line =
			proa_json_parse(lines[i], strlen(lines[i]), "a line", PROA_REASON_INTERNAL, NULL);
		g_assert_nonnull(line);
	}
	g_assert_cmpstr(lines[0], ==, "{\"event\":\"phase\",\"phase\":\"trust\"}");
	g_assert_cmpstr(lines[2], ==,
		"{\"event\":\"progress\",\"phase\":\"fetch\",\"done\":250000,\"total\":100000000}");
	g_autofree char *none = run(PROA_PROGRESS_NONE);
	g_assert_cmpstr(none, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/progress/rate-follows-and-time-left-is-honest", test_meter);
	g_test_add_func("/progress/percent-stays-in-its-range", test_percent);
	g_test_add_func("/progress/plain-lines-at-each-tenth", test_lines);
	g_test_add_func("/progress/terminal-draws-one-line-a-phase", test_terminal);
	g_test_add_func("/progress/json-is-json-lines", test_json);
	return g_test_run();
}

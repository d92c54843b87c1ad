/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/ranges.h"

#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void survives_as_text(void)
{
	static const ProaByteRange ranges[] = { { 0, 1 }, { 4096, 100 }, { 5, G_MAXINT64 / 16 } };
	g_autofree char *text = proa_ranges_format(ranges, 3);
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) got = proa_ranges_parse(text, strlen(text), &error);

	g_assert_no_error(error);
	g_assert_cmpmem(got->data, got->len * sizeof *ranges, ranges, sizeof ranges);
}

static void reads_from_a_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "ranges", "1 2\n3 4\n", -1);
	g_autoptr(GError) error = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	g_autoptr(GArray) got = proa_ranges_read(fd, &error);

	close(fd);
	g_assert_no_error(error);
	g_assert_cmpuint(got->len, ==, 2);
	g_assert_cmpuint(g_array_index(got, ProaByteRange, 1).offset, ==, 3);
	g_assert_cmpuint(g_array_index(got, ProaByteRange, 1).length, ==, 4);
}

static void refuses_too_much(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "ranges", "", 0);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(truncate(path, PROA_RANGES_MAX_SIZE + 1), ==, 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	g_assert_null(proa_ranges_read(fd, &error));
	close(fd);
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

static void refuses(gconstpointer text)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_ranges_parse(text, strlen(text), &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *text;
	} bad[] = { { "nothing", "" }, { "empty-line", "\n" }, { "one-number", "1\n" },
		{ "no-newline", "1 2" }, { "sign", "-1 2\n" }, { "plus", "+1 2\n" },
		{ "two-spaces", "1  2\n" }, { "three", "1 2 3\n" }, { "no-length", "1 0\n" },
		{ "overflow", "18446744073709551616 1\n" }, { "past-the-end", "9223372036854775807 1\n" },
		{ "word", "a b\n" }, { "second", "1 2\n1\n" } };

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fetch/ranges/survives-as-text", survives_as_text);
	g_test_add_func("/fetch/ranges/reads-from-a-file", reads_from_a_file);
	g_test_add_func("/fetch/ranges/refuses-too-much", refuses_too_much);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *name = g_strconcat("/fetch/ranges/refuses-", bad[i].name, NULL);
		g_test_add_data_func(name, bad[i].text, refuses);
	}
	return g_test_run();
}

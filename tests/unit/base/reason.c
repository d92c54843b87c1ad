/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <gio/gio.h>
#include <string.h>

static void every_reason_has_a_word_of_its_own_and_a_way_out(void)
{
	g_autoptr(GHashTable) words = g_hash_table_new(g_str_hash, g_str_equal);

	for (int i = 0; i < PROA_REASON_MAX; i++) {
		const char *word = proa_reason_to_string((ProaReason)i);
		const char *hint = proa_reason_hint((ProaReason)i);

		g_assert_nonnull(word);
		g_assert_cmpuint(strlen(word), >, 1);
		g_assert_cmpuint(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), ==, strlen(word));
		g_assert_true(g_hash_table_add(words, (gpointer)(gsize)word));
		g_assert_nonnull(hint);
		g_assert_true(g_str_has_suffix(hint, "."));
		g_assert_true(g_ascii_isupper(hint[0]) || hint[0] == '`');
		g_assert_cmpint(proa_reason_from_string(word), ==, i);
		g_assert_cmpint(proa_reason_exit((ProaReason)i), !=, PROA_EXIT_OK);
	}
}

static void unknown_values_are_internal(void)
{
	g_assert_cmpstr(proa_reason_to_string(PROA_REASON_MAX), ==, "internal");
	g_assert_cmpstr(proa_reason_to_string((ProaReason)-1), ==, "internal");
	g_assert_cmpstr(proa_reason_to_string((ProaReason)G_MAXINT), ==, "internal");
	g_assert_cmpint(proa_reason_from_string("no-such-word"), ==, PROA_REASON_MAX);
	g_assert_cmpint(proa_reason_from_string(""), ==, PROA_REASON_MAX);
	g_assert_cmpint(proa_reason_from_string(NULL), ==, PROA_REASON_MAX);
}

/* Scripts branch on these. */
static void exit_statuses_are_the_documented_ones(void)
{
	g_assert_cmpint(proa_reason_exit(PROA_REASON_USAGE), ==, 2);
	g_assert_cmpint(proa_reason_exit(PROA_REASON_REJECTED_BEFORE), ==, 3);
	g_assert_cmpint(proa_reason_exit(PROA_REASON_BAD_SIGNATURE), ==, 3);
	g_assert_cmpint(proa_reason_exit(PROA_REASON_NO_UPDATE), ==, 4);
	g_assert_cmpint(proa_reason_exit(PROA_REASON_PAYLOAD_DIGEST), ==, 1);
}

static ProaReason of(GQuark domain, int code)
{
	g_autoptr(GError) error = g_error_new_literal(domain, code, "x");

	return proa_reason_of(error);
}

static void foreign_errors_get_the_nearest_reason(void)
{
	g_assert_cmpint(of(PROA_ERROR, PROA_REASON_ESP_FULL), ==, PROA_REASON_ESP_FULL);
	g_assert_cmpint(of(PROA_ERROR, PROA_REASON_MAX), ==, PROA_REASON_INTERNAL);
	g_assert_cmpint(of(PROA_ERROR, -1), ==, PROA_REASON_INTERNAL);
	g_assert_cmpint(of(G_FILE_ERROR, G_FILE_ERROR_NOENT), ==, PROA_REASON_NOT_FOUND);
	g_assert_cmpint(of(G_FILE_ERROR, G_FILE_ERROR_ACCES), ==, PROA_REASON_PERMISSION);
	g_assert_cmpint(of(G_FILE_ERROR, G_FILE_ERROR_IO), ==, PROA_REASON_IO);
	g_assert_cmpint(of(G_IO_ERROR, G_IO_ERROR_CANCELLED), ==, PROA_REASON_CANCELLED);
	g_assert_cmpint(of(G_IO_ERROR, G_IO_ERROR_FAILED), ==, PROA_REASON_IO);
	g_assert_cmpint(of(G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION), ==, PROA_REASON_USAGE);
	g_assert_cmpint(of(G_MARKUP_ERROR, 0), ==, PROA_REASON_INTERNAL);
	g_assert_cmpint(proa_reason_of(NULL), ==, PROA_REASON_INTERNAL);
}

static void failing_says_what_and_why(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_fail(&error, PROA_REASON_ESP_FULL, "%d of %s", 3, "four"));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ESP_FULL);
	g_assert_cmpstr(error->message, ==, "3 of four");
	g_clear_error(&error);
	g_assert_false(proa_fail_errno(&error, PROA_REASON_IO, ENOENT, "opening %s", "x"));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_cmpstr(error->message, ==, "opening x: No such file or directory");
	g_assert_false(proa_fail(NULL, PROA_REASON_IO, "nobody listens"));
	g_assert_false(proa_fail_errno(NULL, PROA_REASON_IO, EIO, "nobody listens"));
}

/* What a server says must not move an operator's cursor, forge a line of a log, or fill it. */
static void what_is_printed_is_one_plain_line(void)
{
	static const struct {
		const char *text, *printable;
	} cases[] = { { "plain, \u00e4 \u20ac \U0001F600", "plain, \u00e4 \u20ac \U0001F600" },
		{ "\x1b[2Jgone\a", "?[2Jgone?" }, { "one\ntwo\r\tthree", "one?two??three" },
		{ "\u202eright to left\u2028", "?right to left?" },
		{ "\xc2\x9b"
		  "31m",
			"?31m" },
		{ "\xff\xfe", "\uFFFD\uFFFD" }, { "", "" } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *printable = proa_printable(cases[i].text);
		g_assert_cmpstr(printable, ==, cases[i].printable);
	}
	g_autofree char *endless = g_strnfill(100000, 'x');
	g_autofree char *cut = proa_printable(endless);
	g_assert_cmpuint(strlen(cut), ==, PROA_PRINTABLE_MAX + 3);

	g_autoptr(GError) error = NULL;
	g_assert_false(proa_error_make_printable(&error));
	g_assert_no_error(error);
	g_assert_false(proa_error_make_printable(NULL));
	(void)proa_fail(&error, PROA_REASON_IO, "a\nb");
	g_assert_false(proa_error_make_printable(&error));
	g_assert_cmpstr(error->message, ==, "a?b");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/reason/every-reason-has-a-word-of-its-own-and-a-way-out",
		every_reason_has_a_word_of_its_own_and_a_way_out);
	g_test_add_func("/base/reason/unknown-values-are-internal", unknown_values_are_internal);
	g_test_add_func(
		"/base/reason/exit-statuses-are-the-documented-ones", exit_statuses_are_the_documented_ones);
	g_test_add_func("/base/reason/what-is-printed-is-one-plain-line", what_is_printed_is_one_plain_line);
	g_test_add_func(
		"/base/reason/foreign-errors-get-the-nearest-reason", foreign_errors_get_the_nearest_reason);
	g_test_add_func("/base/reason/failing-says-what-and-why", failing_says_what_and_why);
	return g_test_run();
}

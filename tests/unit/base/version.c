/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include <string.h>
#include <sys/wait.h>

#define ORACLE_PAIRS 400

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void order_is_the_specification_s(void)
{
	/* Each is older than the next. */
	static const char *const ladder[] = { "1~", "1~rc1", "1", "1-1", "1-2", "1^", "1^post", "1.0~rc1",
		"1.0", "1.0.1", "1.0.2", "1.0.10", "1.00.11", "1.0a", "1.0b", "1.1", "2", "10", NULL };

	for (gsize i = 0; ladder[i]; i++)
		for (gsize j = 0; ladder[j]; j++)
			g_assert_cmpint(
				sign(proa_version_compare(ladder[i], ladder[j])), ==, (i > j) - (i < j));
}

static void leading_zeros_do_not_count(void)
{
	g_assert_cmpint(proa_version_compare("1.01", "1.1"), ==, 0);
	g_assert_cmpint(proa_version_compare("007", "7"), ==, 0);
	g_assert_cmpint(proa_version_compare("1.0", "1.00000000000000000000000000000000"), ==, 0);
}

static void numbers_of_any_length_compare_by_value(void)
{
	g_assert_cmpint(
		proa_version_compare("99999999999999999999999999", "100000000000000000000000000"), <, 0);
	g_assert_cmpint(proa_version_compare("18446744073709551616", "1"), >, 0);
}

/* What systemd says of the same pair: it is systemd-boot that picks the entry to boot. */
static int oracle(const char *a, const char *b)
{
	g_autoptr(GError) error = NULL;
	const char *argv[] = { "systemd-analyze", "compare-versions", a, b, NULL };
	int status = 0;

	g_spawn_sync(NULL, (char **)(gpointer)argv, NULL,
		G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
		NULL, NULL, &status, &error);
	g_assert_no_error(error);
	g_assert_true(WIFEXITED(status));
	switch (WEXITSTATUS(status)) {
	case 0:
		return 0;
	case 11:
		return 1;
	case 12:
		return -1;
	}
	g_error("systemd-analyze compare-versions %s %s: status %d", a, b, WEXITSTATUS(status));
}

/* Few characters, so that the two versions of a pair share a beginning often. */
static void random_version(GRand *random, char *out, gsize longest)
{
	static const char alphabet[] = "0011223aabAB...~~^^--";
	gsize length = (gsize)g_rand_int_range(random, 1, (gint32)longest);

	out[0] = "019aB"[g_rand_int_range(random, 0, 5)];
	for (gsize i = 1; i < length; i++)
		out[i] = alphabet[g_rand_int_range(random, 0, sizeof alphabet - 1)];
	out[length] = '\0';
}

static void order_is_systemd_s(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(g_test_rand_int() & 0x7fffffff);

	for (int i = 0; i < ORACLE_PAIRS; i++) {
		char a[16], b[16];

		random_version(random, a, sizeof a - 1);
		random_version(random, b, sizeof b - 1);
		if (i % 3 == 0) /* a common stem, so that the end decides */
			memcpy(b, a, MIN(strlen(a), strlen(b)));
		g_assert_true(proa_version_valid(a) && proa_version_valid(b));
		int order = sign(proa_version_compare(a, b));
		if (order != oracle(a, b))
			g_error("%s and %s: %d here, systemd says otherwise", a, b, order);
	}
}

static void order_is_total(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(g_test_rand_int() & 0x7fffffff);

	for (int i = 0; i < 200000; i++) {
		char a[12], b[12], c[12];

		random_version(random, a, 8);
		random_version(random, b, 8);
		random_version(random, c, 8);
		int ab = sign(proa_version_compare(a, b)), bc = sign(proa_version_compare(b, c));
		int ac = sign(proa_version_compare(a, c));
		g_assert_cmpint(proa_version_compare(a, a), ==, 0);
		g_assert_cmpint(sign(proa_version_compare(b, a)), ==, -ab);
		if (ab <= 0 && bc <= 0 && ac > 0)
			g_error("not transitive: %s <= %s <= %s", a, b, c);
	}
}

static void validity_keeps_file_names_safe(void)
{
	static const char *const good[] = { "1", "1.0.0", "2026.11.03", "1.0~rc1", "1.0-2", "1^git", "v1",
		NULL };
	static const char *const bad[] = { "", ".1", "-1", "~1", "^1", "1+3", "1_0", "1/2", "../1", "1 0",
		"1\n", "1\t", "1*", "1%", "\xc3\xa9", "1\xff", NULL };

	for (gsize i = 0; good[i]; i++)
		g_assert_true(proa_version_valid(good[i]));
	for (gsize i = 0; bad[i]; i++)
		g_assert_false(proa_version_valid(bad[i]));
	g_assert_false(proa_version_valid(NULL));
}

static void validity_ends_at_64_characters(void)
{
	g_autofree char *longest = g_strnfill(PROA_VERSION_MAX_LENGTH, '1');
	g_autofree char *over = g_strnfill(PROA_VERSION_MAX_LENGTH + 1, '1');

	g_assert_true(proa_version_valid(longest));
	g_assert_false(proa_version_valid(over));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/version/order-is-the-specification-s", order_is_the_specification_s);
	g_test_add_func("/base/version/leading-zeros-do-not-count", leading_zeros_do_not_count);
	g_test_add_func("/base/version/numbers-of-any-length-compare-by-value",
		numbers_of_any_length_compare_by_value);
	g_test_add_func("/base/version/order-is-systemd-s", order_is_systemd_s);
	g_test_add_func("/base/version/order-is-total", order_is_total);
	g_test_add_func("/base/version/validity-keeps-file-names-safe", validity_keeps_file_names_safe);
	g_test_add_func("/base/version/validity-ends-at-64-characters", validity_ends_at_64_characters);
	return g_test_run();
}

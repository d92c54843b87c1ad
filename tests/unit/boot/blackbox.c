/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/blackbox.h"

#include "tests/unit/boot/fixture.h"

static ProaStateRelease bad = { (char *)(gsize) "2.0.0", (char *)(gsize)HASH_2, NULL };

static guint count_pages(const Scratch *scratch)
{
	g_autofree char *folder = scratch_file(scratch, "blackbox");
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	guint count = 0;

	while (dir && (name = g_dir_read_name(dir)))
		count += g_str_has_suffix(name, ".txt") ? 1 : 0;
	return count;
}

static void remembers_a_verdict(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_null(proa_blackbox_verdict(scratch.path, HASH_2));
	g_assert_true(
		proa_blackbox_set_verdict(scratch.path, &bad, "unit-failed", "x.service \xff", NULL, NULL));
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(scratch.path, HASH_2);
	g_assert_cmpstr(verdict->reason, ==, "unit-failed");
	g_assert_true(g_str_has_prefix(verdict->detail, "x.service"));
	g_assert_null(proa_blackbox_verdict(scratch.path, HASH_1));
}

static void broken_verdict_is_none(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(
		&scratch, "blackbox/verdict.json", "{\"root_hash\":\"" HASH_2 "\",\"reason\":\"?\"}", -1);

	g_assert_null(proa_blackbox_verdict(scratch.path, HASH_2));
}

static void page_keeps_the_end_of_the_text(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *text = g_strnfill(2 * PROA_BLACKBOX_MAX_TEXT, 'a');
	g_autofree char *folder = scratch_file(&scratch, "blackbox");

	text[2 * PROA_BLACKBOX_MAX_TEXT - 1] = 'z';
	g_assert_true(proa_blackbox_write(scratch.path, &bad, "unit-failed", "x.service", text, NULL));
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	g_autofree char *path = g_build_filename(folder, g_dir_read_name(dir), NULL);
	g_autofree char *page = proa_file_read(path, 1 << 20, NULL, NULL);
	g_assert_cmpuint(strlen(page), <, PROA_BLACKBOX_MAX_TEXT + 1024);
	g_assert_true(g_str_has_prefix(page, "Release 2.0.0 failed: unit-failed\n"));
	g_assert_nonnull(strstr(page, HASH_2));
	g_assert_nonnull(strstr(page, "x.service"));
	g_assert_true(g_str_has_suffix(page, "az"));
}

static void keeps_the_newest_pages(void)
{
	g_auto(Scratch) scratch = scratch_new();

	for (int i = 0; i < PROA_BLACKBOX_PAGES + 5; i++) {
		g_autofree char *name = g_strdup_printf("blackbox/10000000%02d-1.txt", i);
		g_autofree char *path = scratch_write(&scratch, name, "x", -1);
		g_assert_nonnull(path);
	}
	g_assert_true(proa_blackbox_write(scratch.path, &bad, "unit-failed", NULL, NULL, NULL));
	g_assert_cmpuint(count_pages(&scratch), ==, PROA_BLACKBOX_PAGES);
	g_autofree char *oldest = scratch_file(&scratch, "blackbox/1000000000-1.txt");
	g_autofree char *newest = scratch_file(&scratch, "blackbox/1000000012-1.txt");
	g_assert_false(g_file_test(oldest, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(newest, G_FILE_TEST_EXISTS));
}

/* What failed last is what an operator asks for, whatever the clock said. */
static void a_page_of_1970_is_the_newest_all_the_same(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *newest = scratch_file(&scratch, "blackbox/4000000008-2.0.0.txt");

	for (int i = 0; i < PROA_BLACKBOX_PAGES; i++) {
		g_autofree char *name = g_strdup_printf("blackbox/40000000%02d-1.txt", i);
		g_free(scratch_write(&scratch, name, "x", -1));
	}
	g_assert_true(proa_blackbox_write(scratch.path, &bad, "unit-failed", NULL, NULL, NULL));
	g_assert_true(g_file_test(newest, G_FILE_TEST_EXISTS));
	g_assert_cmpuint(count_pages(&scratch), ==, PROA_BLACKBOX_PAGES);
}

static void that_there_are_no_messages_is_said(void)
{
	g_autofree char *without = proa_blackbox_evidence(NULL, NULL, NULL, NULL);
	g_autofree char *with = proa_blackbox_evidence(NULL, NULL, NULL, "boot 1\nx\n");

	g_assert_nonnull(strstr(without, "Last messages of that boot:\nnone: "));
	g_assert_cmpstr(with, ==, "\nLast messages of that boot:\nboot 1\nx\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/blackbox/remembers-a-verdict", remembers_a_verdict);
	g_test_add_func("/blackbox/broken-verdict-is-none", broken_verdict_is_none);
	g_test_add_func("/blackbox/page-keeps-the-end-of-the-text", page_keeps_the_end_of_the_text);
	g_test_add_func("/blackbox/keeps-the-newest-pages", keeps_the_newest_pages);
	g_test_add_func("/blackbox/a-page-of-1970-is-the-newest-all-the-same",
		a_page_of_1970_is_the_newest_all_the_same);
	g_test_add_func("/blackbox/that-there-are-no-messages-is-said", that_there_are_no_messages_is_said);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include "tests/unit/scratch.h"

#include <string.h>

static const ProaConfigKey keys[] = {
	{ "feed", "url", PROA_CONFIG_STRING, "http://feed.example/", 0, 0, NULL },
	{ "feed", "note", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ "feed", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "feed", "interval", PROA_CONFIG_DURATION, "6h", 60, 604800, NULL },
	{ "feed", "limit", PROA_CONFIG_BYTES, "10M", 1024, G_GINT64_CONSTANT(1) << 41, NULL },
	{ "feed", "tries", PROA_CONFIG_INTEGER, "3", 1, 100, NULL },
	{ "update", "reboot", PROA_CONFIG_CHOICE, "ask", 0, 0, "ask|now|never" },
	{ NULL, NULL, PROA_CONFIG_STRING, NULL, 0, 0, NULL },
};

static ProaConfig *load(const Scratch *scratch, const char *text)
{
	g_autofree char *path = scratch_write(scratch, "etc/proa/update.conf", text, -1);

	return proa_config_load(scratch->path, "update", keys);
}

static guint problems(const ProaConfig *config)
{
	guint count = 0;

	while (proa_config_problems(config)[count])
		count++;
	return count;
}

static void without_files_the_defaults_hold(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaConfig) config = proa_config_load(scratch.path, "update", keys);

	g_assert_cmpuint(problems(config), ==, 0);
	g_assert_cmpstr(proa_config_string(config, "feed", "url"), ==, "http://feed.example/");
	g_assert_cmpstr(proa_config_string(config, "feed", "note"), ==, "");
	g_assert_true(proa_config_boolean(config, "feed", "enabled"));
	g_assert_cmpint(proa_config_integer(config, "feed", "interval"), ==, 6 * 3600);
	g_assert_cmpint(proa_config_integer(config, "feed", "limit"), ==, 10 << 20);
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
	g_assert_cmpstr(proa_config_string(config, "update", "reboot"), ==, "ask");
}

static void later_files_win(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *shipped = scratch_write(
		&scratch, "usr/lib/proa/update.conf", "[feed]\nurl=shipped\nnote=shipped\ntries=4\n", -1);
	g_autofree char *local =
		scratch_write(&scratch, "etc/proa/update.conf", "[feed]\nnote=local\ntries=5\n", -1);
	g_autofree char *late =
		scratch_write(&scratch, "etc/proa/update.conf.d/20-b.conf", "[feed]\ntries=7\n", -1);
	g_autofree char *early =
		scratch_write(&scratch, "etc/proa/update.conf.d/10-a.conf", "[feed]\ntries=6\n", -1);
	g_autofree char *other =
		scratch_write(&scratch, "etc/proa/update.conf.d/90-c.bak", "[feed]\ntries=8\n", -1);
	g_autofree char *hidden =
		scratch_write(&scratch, "etc/proa/update.conf.d/.x.conf", "[feed]\ntries=9\n", -1);
	g_autoptr(ProaConfig) config = proa_config_load(scratch.path, "update", keys);

	g_assert_cmpuint(problems(config), ==, 0);
	g_assert_cmpstr(proa_config_string(config, "feed", "url"), ==, "shipped");
	g_assert_cmpstr(proa_config_string(config, "feed", "note"), ==, "local");
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 7);
}

static void spaces_comments_and_equals_signs_are_handled(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaConfig) config = load(&scratch,
		"# comment\r\n; comment\n\n  [feed]  \n url = http://a/?x=1&y=2 \r\n\t tries\t=\t9\nenabled=off");

	g_assert_cmpuint(problems(config), ==, 0);
	g_assert_cmpstr(proa_config_string(config, "feed", "url"), ==, "http://a/?x=1&y=2");
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 9);
	g_assert_false(proa_config_boolean(config, "feed", "enabled"));
}

static void units_are_understood(void)
{
	static const struct {
		const char *key, *text;
		gint64 value;
	} cases[] = {
		{ "interval", "60", 60 },
		{ "interval", "90s", 90 },
		{ "interval", "90 sec", 90 },
		{ "interval", "5min", 300 },
		{ "interval", "1h", 3600 },
		{ "interval", "2d", 172800 },
		{ "interval", "1w", 604800 },
		{ "limit", "4096", 4096 },
		{ "limit", "64K", 65536 },
		{ "limit", "2G", G_GINT64_CONSTANT(1) << 31 },
		{ "limit", "1T", G_GINT64_CONSTANT(1) << 40 },
		{ "tries", "100", 100 },
		{ "tries", "001", 1 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *text = g_strdup_printf("[feed]\n%s=%s\n", cases[i].key, cases[i].text);
		g_autoptr(ProaConfig) config = load(&scratch, text);
		g_assert_cmpuint(problems(config), ==, 0);
		g_assert_cmpint(proa_config_integer(config, "feed", cases[i].key), ==, cases[i].value);
	}
}

/* Each: one problem that names file and line, and the value before holds. */
static void bad_values_are_named_and_the_default_holds(void)
{
	static const char *const bad[] = { "interval=", "interval=-1", "interval=5 parsecs", "interval=59",
		"interval=2w", "interval=1e3", "interval=0x100", "interval=99999999999999999999",
		"interval=9223372036854775807w", "interval= 6 h x", "limit=1k", "limit=1023",
		"limit=9223372036854775807T", "limit=10MB", "tries=0", "tries=101", "tries=3.5", "tries=+3",
		"tries=18446744073709551617", "enabled=maybe", "enabled=", "enabled=YES", "nonsense=1",
		"Url=x", "=x", "just words", "[feed", "feed]", NULL };

	for (gsize i = 0; bad[i]; i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *text = g_strdup_printf("[feed]\n%s\nnote=after\n", bad[i]);
		g_autoptr(ProaConfig) config = load(&scratch, text);

		g_assert_cmpuint(problems(config), ==, 1);
		g_assert_nonnull(strstr(proa_config_problems(config)[0], "etc/proa/update.conf:2: "));
		g_assert_cmpint(proa_config_integer(config, "feed", "interval"), ==, 6 * 3600);
		g_assert_cmpint(proa_config_integer(config, "feed", "limit"), ==, 10 << 20);
		g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
		g_assert_true(proa_config_boolean(config, "feed", "enabled"));
		g_assert_cmpstr(proa_config_string(config, "feed", "note"), ==, "after");
	}
}

static void a_choice_is_one_of_its_words(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaConfig) good = load(&scratch, "[update]\nreboot=never\n");
	g_autoptr(ProaConfig) bad = load(&scratch, "[update]\nreboot=ask|now\n");

	g_assert_cmpstr(proa_config_string(good, "update", "reboot"), ==, "never");
	g_assert_cmpuint(problems(bad), ==, 1);
	g_assert_cmpstr(proa_config_string(bad, "update", "reboot"), ==, "ask");
}

static void a_key_outside_its_group_does_not_count(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaConfig) config = load(&scratch, "tries=9\n[update]\ntries=9\n[]\ntries=9\n");

	g_assert_cmpuint(problems(config), ==, 3);
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
}

static void files_that_are_no_text_are_ignored_whole(void)
{
	static const struct {
		const char *bytes;
		gssize size;
	} files[] = {
		{ "[feed]\ntries=9\n\xff\n", 17 },
		{ "[feed]\ntries=9\n\0x\n", 18 },
		{ "[feed]\ntries=9\nnote=\xc3\x28\n", 23 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *path =
			scratch_write(&scratch, "etc/proa/update.conf", files[i].bytes, files[i].size);
		g_autoptr(ProaConfig) config = proa_config_load(scratch.path, "update", keys);
		g_assert_cmpuint(problems(config), ==, 1);
		g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
	}
}

static void a_file_over_the_cap_is_ignored_whole(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *noise = g_strnfill(PROA_CONFIG_MAX_SIZE, '#');
	g_autofree char *text = g_strdup_printf("[feed]\ntries=9\n%s", noise);
	g_autoptr(ProaConfig) config = load(&scratch, text);

	g_assert_cmpuint(problems(config), ==, 1);
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
}

static void a_folder_in_place_of_a_file_stops_nothing(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *inner = scratch_write(&scratch, "etc/proa/update.conf/x", "", 0);
	g_autoptr(ProaConfig) config = proa_config_load(scratch.path, "update", keys);

	g_assert_cmpuint(problems(config), ==, 1);
	g_assert_cmpint(proa_config_integer(config, "feed", "tries"), ==, 3);
}

/* Random bytes between pieces of real syntax: whatever is in the file, every value stays in its range. */
static void hostile_files_never_break_the_ranges(void)
{
	static const char *const pieces[] = { "[feed]", "[update]", "[", "]", "=", "\n", "\n\n", "tries",
		"interval", "limit", "enabled", "reboot", "9", "99999999999999999999", "-", "K", "w", "now",
		"yes", " ", "\t", "#", ";", "\r", "\xc3\xa9", "%s%n", "\\", "\xf0\x9f\x9b\xb6" };
	g_auto(Scratch) scratch = scratch_new();

	for (int round = 0; round < 2000; round++) {
		g_autoptr(GString) text = g_string_new(g_test_rand_bit() ? "[feed]\n" : NULL);
		for (int i = g_test_rand_int_range(0, 60); i > 0; i--)
			g_string_append(text, pieces[g_test_rand_int_range(0, G_N_ELEMENTS(pieces))]);
		g_autoptr(ProaConfig) config = load(&scratch, text->str);
		gint64 tries = proa_config_integer(config, "feed", "tries");
		gint64 interval = proa_config_integer(config, "feed", "interval");
		gint64 limit = proa_config_integer(config, "feed", "limit");
		const char *reboot = proa_config_string(config, "update", "reboot");

		g_assert_true(tries >= 1 && tries <= 100);
		g_assert_true(interval >= 60 && interval <= 604800);
		g_assert_true(limit >= 1024 && limit <= G_GINT64_CONSTANT(1) << 41);
		g_assert_true(strcmp(reboot, "ask") == 0 || strcmp(reboot, "now") == 0 ||
			      strcmp(reboot, "never") == 0);
		for (guint i = 0; i < problems(config); i++)
			g_assert_nonnull(strstr(proa_config_problems(config)[i], "update.conf:"));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/config/without-files-the-defaults-hold", without_files_the_defaults_hold);
	g_test_add_func("/base/config/later-files-win", later_files_win);
	g_test_add_func("/base/config/spaces-comments-and-equals-signs-are-handled",
		spaces_comments_and_equals_signs_are_handled);
	g_test_add_func("/base/config/units-are-understood", units_are_understood);
	g_test_add_func("/base/config/bad-values-are-named-and-the-default-holds",
		bad_values_are_named_and_the_default_holds);
	g_test_add_func("/base/config/a-choice-is-one-of-its-words", a_choice_is_one_of_its_words);
	g_test_add_func("/base/config/a-key-outside-its-group-does-not-count",
		a_key_outside_its_group_does_not_count);
	g_test_add_func("/base/config/files-that-are-no-text-are-ignored-whole",
		files_that_are_no_text_are_ignored_whole);
	g_test_add_func(
		"/base/config/a-file-over-the-cap-is-ignored-whole", a_file_over_the_cap_is_ignored_whole);
	g_test_add_func("/base/config/a-folder-in-place-of-a-file-stops-nothing",
		a_folder_in_place_of_a_file_stops_nothing);
	g_test_add_func(
		"/base/config/hostile-files-never-break-the-ranges", hostile_files_never_break_the_ranges);
	return g_test_run();
}

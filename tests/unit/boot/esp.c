/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/esp.h"

#include "tests/unit/boot/fixture.h"

#include <unistd.h>

static void makes_its_directories(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, &error);
	g_autofree char *entries = scratch_file(&scratch, PROA_ESP_ENTRY_DIR);
	g_autofree char *proa = scratch_file(&scratch, PROA_ESP_PROA_DIR);

	g_assert_no_error(error);
	g_assert_true(g_file_test(entries, G_FILE_TEST_IS_DIR));
	g_assert_true(g_file_test(proa, G_FILE_TEST_IS_DIR));
}

static void refuses_what_is_not_there(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "missing");
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_esp_open(path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ESP_MISSING);
}

/* Someone who can write the ESP must not lead us out of it. */
static void refuses_links_on_the_way(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *esp_path = scratch_file(&scratch, "esp"), *link = scratch_file(&scratch, "esp/EFI");
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(g_mkdir(esp_path, 0755), ==, 0);
	g_assert_cmpint(symlink(scratch.path, link), ==, 0);
	g_assert_null(proa_esp_open(esp_path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ESP_MISSING);
}

static void replaces_and_removes_files(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_autofree char *path = scratch_file(&scratch, PROA_ESP_PROA_DIR "/x");
	int dir = proa_esp_proa_fd(esp);

	g_assert_true(proa_esp_replace_file(esp, dir, "x", "one", 3, NULL));
	g_assert_true(proa_esp_replace_file(esp, dir, "x", "second", 6, NULL));
	g_autofree char *text = proa_file_read(path, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "second");
	g_assert_true(proa_esp_remove_file(esp, dir, "x", NULL));
	g_assert_true(proa_esp_remove_file(esp, dir, "x", NULL));
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void tells_free_space(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	guint64 bytes = 0;

	g_assert_true(proa_esp_free_bytes(esp, &bytes, NULL));
	g_assert_cmpuint(bytes, >, 0);
}

static void locks_one_at_a_time(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *run = scratch_file(&scratch, "run");
	g_autoptr(GError) error = NULL;
	PROA_AUTO_FD int first = proa_esp_lock(run, 0, &error);

	g_assert_no_error(error);
	g_assert_cmpint(first, >=, 0);
	g_assert_cmpint(proa_esp_lock(run, 0, &error), ==, -1);
	g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
	proa_close_fd(&first);
	PROA_AUTO_FD int second = proa_esp_lock(run, 0, NULL);
	g_assert_cmpint(second, >=, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/esp/makes-its-directories", makes_its_directories);
	g_test_add_func("/esp/refuses-what-is-not-there", refuses_what_is_not_there);
	g_test_add_func("/esp/refuses-links-on-the-way", refuses_links_on_the_way);
	g_test_add_func("/esp/replaces-and-removes-files", replaces_and_removes_files);
	g_test_add_func("/esp/tells-free-space", tells_free_space);
	g_test_add_func("/esp/locks-one-at-a-time", locks_one_at_a_time);
	return g_test_run();
}

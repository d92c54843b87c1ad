/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pstore.h"

#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void add(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(scratch, name, text, -1);

	g_assert_nonnull(path);
}

static void what_the_kernel_still_holds_comes_first(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_null(proa_pstore_read(scratch.path, 0, 1000));
	add(&scratch, "var/lib/systemd/pstore/1700/dmesg.txt", "old\n");
	add(&scratch, "sys/fs/pstore/dmesg-efi-2", "panic\n");
	add(&scratch, "sys/fs/pstore/dmesg-efi-1", "before");
	add(&scratch, "sys/fs/pstore/console-ramoops-0", "console\n");
	g_autofree char *text = proa_pstore_read(scratch.path, 0, 1000);
	g_assert_cmpstr(text, ==, "before\npanic\n");
}

static void then_the_newest_that_systemd_kept(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, "var/lib/systemd/pstore/1700/dmesg.txt", "old\n");
	add(&scratch, "var/lib/systemd/pstore/1800/dmesg.txt", "new\n");
	add(&scratch, "var/lib/systemd/pstore/1900/console.txt", "no dump\n");
	g_autofree char *text = proa_pstore_read(scratch.path, 0, 1000);
	g_assert_cmpstr(text, ==, "new\n");
}

static void date(const Scratch *scratch, const char *name, time_t when)
{
	g_autofree char *path = scratch_file(scratch, name);
	struct timespec times[2] = { { when, 0 }, { when, 0 } };

	g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

/* An old panic is no reason of a failure that came later. */
static void older_ones_are_of_another_failure(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, "var/lib/systemd/pstore/1700/001/dmesg.txt", "old\n");
	date(&scratch, "var/lib/systemd/pstore/1700/001/dmesg.txt", 1700);
	g_assert_null(proa_pstore_read(scratch.path, 1750, 1000));
	add(&scratch, "var/lib/systemd/pstore/1800/001/dmesg.txt", "new\n");
	date(&scratch, "var/lib/systemd/pstore/1800/001/dmesg.txt", 1800);
	g_autofree char *kept = proa_pstore_read(scratch.path, 1750, 1000);
	g_assert_cmpstr(kept, ==, "new\n");
	g_autofree char *any = proa_pstore_read(scratch.path, 0, 1000);
	g_assert_cmpstr(any, ==, "new\n");
	/* The kernel may hold one that nobody could keep; without a time it is believed. */
	add(&scratch, "sys/fs/pstore/dmesg-efi-1", "held\n");
	date(&scratch, "sys/fs/pstore/dmesg-efi-1", 1700);
	g_autofree char *newer = proa_pstore_read(scratch.path, 1750, 1000);
	g_assert_cmpstr(newer, ==, "new\n");
	date(&scratch, "sys/fs/pstore/dmesg-efi-1", 0);
	g_autofree char *held = proa_pstore_read(scratch.path, 1750, 1000);
	g_assert_cmpstr(held, ==, "held\n");
}

static void its_end_is_kept_and_made_valid(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, "sys/fs/pstore/dmesg-efi-1",
		"0123456789\xff"
		"abc\n");
	g_autofree char *text = proa_pstore_read(scratch.path, 0, 6);
	g_assert_true(g_utf8_validate(text, -1, NULL));
	g_assert_true(g_str_has_suffix(text, "abc\n"));
	g_assert_null(strstr(text, "8"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func(
		"/pstore/what-the-kernel-still-holds-comes-first", what_the_kernel_still_holds_comes_first);
	g_test_add_func("/pstore/then-the-newest-that-systemd-kept", then_the_newest_that_systemd_kept);
	g_test_add_func("/pstore/older-ones-are-of-another-failure", older_ones_are_of_another_failure);
	g_test_add_func("/pstore/its-end-is-kept-and-made-valid", its_end_is_kept_and_made_valid);
	return g_test_run();
}

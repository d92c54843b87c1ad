/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/fingerprint.h"

#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH 8

/* A change can be told from none once the clock's tick has gone by. */
static char *when_settled(const char *path)
{
	for (guint i = 0; i < 100; i++) {
		char *seen = proa_fingerprint(path, DEPTH);
		if (seen)
			return seen;
		g_usleep(G_USEC_PER_SEC / 10);
	}
	g_assert_not_reached();
}

static void set_mtime(const char *path, gint64 seconds)
{
	struct timespec times[] = { { .tv_sec = seconds }, { .tv_sec = seconds } };

	g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static void what_has_just_changed_has_none(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "etc/hostname", "one\n", -1);
	g_autofree char *etc = scratch_file(&scratch, "etc"), *missing = scratch_file(&scratch, "none");

	g_assert_null(proa_fingerprint(etc, DEPTH));
	g_assert_null(proa_fingerprint(missing, DEPTH));
	g_assert_null(proa_fingerprint(path, DEPTH));
}

/* Its size and its time of modification are what they were: the inode has changed all the same. */
static void a_change_is_seen(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "etc/deep/hostname", "one\n", -1);
	g_autofree char *etc = scratch_file(&scratch, "etc");

	set_mtime(path, 1000);
	g_autofree char *first = when_settled(etc), *again = when_settled(etc);
	g_assert_cmpstr(first, ==, again);
	g_autofree char *same = scratch_write(&scratch, "etc/deep/hostname", "two\n", -1);
	set_mtime(path, 1000);
	g_autofree char *second = when_settled(etc);
	g_assert_cmpstr(first, !=, second);
	g_assert_cmpint(chmod(path, 0600), ==, 0);
	g_autofree char *third = when_settled(etc);
	g_assert_cmpstr(second, !=, third);
	g_assert_cmpint(unlink(path), ==, 0);
	g_autofree char *fourth = when_settled(etc);
	g_assert_cmpstr(third, !=, fourth);
}

static void depth_is_bounded(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "etc/a/b/c", "", -1);
	g_autofree char *etc = scratch_file(&scratch, "etc"), *seen = when_settled(etc);

	g_assert_nonnull(path);
	g_assert_cmpuint(strlen(seen), ==, 64);
	g_autofree char *just = proa_fingerprint(etc, 3);
	g_assert_cmpstr(just, ==, seen);
	g_assert_null(proa_fingerprint(etc, 2));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fingerprint/just-changed", what_has_just_changed_has_none);
	g_test_add_func("/fingerprint/change", a_change_is_seen);
	g_test_add_func("/fingerprint/depth", depth_is_bounded);
	return g_test_run();
}

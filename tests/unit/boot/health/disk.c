/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/volatile.h"
#include "tests/unit/boot/health/context.h"

#include <sys/mount.h>
#include <unistd.h>

static ProaHealthResult check(const Scratch *scratch, const char *text)
{
	return context_check(scratch, &proa_health_disk, text, NULL);
}

static gboolean hangs;

/* In the place of libc's: a disk that does not answer. */
int fsync(int fd)
{
	while (hangs)
		pause();
	return fdatasync(fd);
}

/* Other checks, and the end of a trial, must have their turn. */
static void one_that_does_not_answer_is_told(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_write(&scratch, "var/x", "", 0);
	static const char text[] = "[disk]\nfree=1K\ninodes=1\ntimeout=1s\n";
	gint64 began = g_get_monotonic_time();

	g_assert_nonnull(var);
	hangs = TRUE;
	context_expect_node(check(&scratch, text), PROA_REASON_IO, "/var: no answer within 1 s");
	hangs = FALSE;
	g_assert_cmpint(g_get_monotonic_time() - began, <, 30 * G_USEC_PER_SEC);
	context_expect_ok(check(&scratch, text));
}

static void room_enough_is_right(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_write(&scratch, "var/x", "", 0);

	g_assert_nonnull(var);
	context_expect_ok(check(&scratch, "[disk]\nfree=1K\ninodes=1\n"));
}

static void a_full_one_is_told_by_name(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_write(&scratch, "var/x", "", 0);

	g_assert_nonnull(var);
	context_expect_node(check(&scratch, "[disk]\nfree=1048576G\n"), PROA_REASON_DISK_SPACE, "/var has");
}

static void a_missing_one_is_not_writable(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_node(check(&scratch, "[disk]\nwritable=/var\n"), PROA_REASON_READ_ONLY, "/var");
	context_expect_ok(check(&scratch, "[disk]\nwritable=\n"));
	context_expect_skipped(check(&scratch, "[disk]\nenabled=no\n"), "enabled=no");
}

static void a_var_in_memory_is_told(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_write(&scratch, "var/x", "", 0);
	g_autofree char *mark = scratch_write(&scratch, PROA_VOLATILE_VAR, "", 0);

	g_assert_true(var && mark);
	context_expect(check(&scratch, "[disk]\nfree=1K\n"), PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE,
		PROA_REASON_READ_ONLY, "/var is in memory");
	context_expect_skipped(check(&scratch, "[disk]\nenabled=no\n"), "enabled=no");
}

/* A trial must not be blessed with the operator's configuration only seen, or not there at all. */
static void an_etc_in_memory_is_told(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_write(&scratch, "var/x", "", 0);
	g_autofree char *mark = scratch_write(&scratch, PROA_VOLATILE_ETC, "", 0);

	g_assert_true(var && mark);
	context_expect(check(&scratch, "[disk]\nfree=1K\n"), PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE,
		PROA_REASON_READ_ONLY, "/etc is in memory");
}

/* Real file systems: one mounted read-only, one without a free inode. */
static void read_only_and_no_inodes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_file(&scratch, "var");
	g_autofree char *file = scratch_file(&scratch, "var/one");

	g_assert_cmpint(g_mkdir(var, 0755), ==, 0);
	if (geteuid() != 0 || mount("none", var, "tmpfs", MS_RDONLY, "size=32m") < 0) {
		g_test_skip("cannot mount");
		return;
	}
	context_expect(check(&scratch, ""), PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE, PROA_REASON_READ_ONLY,
		"/var is mounted read-only");
	g_assert_cmpint(umount(var), ==, 0);
	g_assert_cmpint(mount("none", var, "tmpfs", 0, "size=32m,nr_inodes=2"), ==, 0);
	g_assert_true(g_file_set_contents(file, "", 0, NULL));
	context_expect_node(check(&scratch, "[disk]\nfree=1K\n"), PROA_REASON_DISK_SPACE, "inodes");
	g_assert_cmpint(umount(var), ==, 0);
}

/* A real ext4 whose kernel was told that it met damage: its flags still say that it can be written. */
static void one_that_met_damage_cannot_be_written(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *var = scratch_file(&scratch, "var"), *image = scratch_file(&scratch, "image");
	g_autofree char *line = g_strdup_printf(
		"truncate -s 16M '%s' && mke2fs -q -F -t ext4 '%s' && mount -o loop,errors=remount-ro '%s' '%s' && "
		"echo probe >/sys/fs/ext4/$(basename $(findmnt -n -o SOURCE '%s'))/trigger_fs_error",
		image, image, image, var, var);

	g_assert_cmpint(g_mkdir(var, 0755), ==, 0);
	if (geteuid() != 0 || system(line) != 0) {
		umount2(var, MNT_DETACH);
		g_test_skip("cannot mount");
		return;
	}
	ProaHealthResult result = check(&scratch, "[disk]\nfree=1K\n");
	g_assert_cmpint(umount2(var, MNT_DETACH), ==, 0);
	context_expect(result, PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE, PROA_REASON_READ_ONLY, "/var");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/health/disk/one-that-does-not-answer-is-told", one_that_does_not_answer_is_told);
	g_test_add_func("/disk/room-enough-is-right", room_enough_is_right);
	g_test_add_func("/disk/a-full-one-is-told-by-name", a_full_one_is_told_by_name);
	g_test_add_func("/disk/a-var-in-memory-is-told", a_var_in_memory_is_told);
	g_test_add_func("/disk/an-etc-in-memory-is-told", an_etc_in_memory_is_told);
	g_test_add_func("/disk/a-missing-one-is-not-writable", a_missing_one_is_not_writable);
	g_test_add_func("/disk/read-only-and-no-inodes", read_only_and_no_inodes);
	g_test_add_func("/disk/one-that-met-damage-cannot-be-written", one_that_met_damage_cannot_be_written);
	return g_test_run();
}

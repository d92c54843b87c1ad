/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/generation.h"

#include "boot/copy.h"
#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAME_1 "11111111111111111111111111111111"
#define NAME_2 "22222222222222222222222222222222"
#define NAME_3 "33333333333333333333333333333333"

static void prepare(const char *etc_dir, const char *name)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_generation_prepare(etc_dir, name, -1, &error));
	g_assert_no_error(error);
}

static char *last_of(const char *etc_dir)
{
	g_autofree char *path = g_build_filename(etc_dir, "last", NULL);

	return g_strchomp(proa_file_read(path, 100, NULL, NULL));
}

static void prepare_on(const Scratch *scratch, const char *name, const char *shipped)
{
	g_autofree char *path = scratch_file(scratch, shipped), *etc = scratch_file(scratch, "etc");
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(GError) error = NULL;

	g_assert_true(fd >= 0);
	g_assert_true(proa_generation_prepare(etc, name, fd, &error));
	g_assert_no_error(error);
}

static void add(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(scratch, name, text, -1);

	g_assert_nonnull(path);
}

static void expect_file(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *path = scratch_file(scratch, name);
	g_autofree char *seen = proa_file_read(path, 1000, NULL, NULL);

	g_assert_cmpstr(seen, ==, text);
}

/* The operator's change stays, the release's comes through, both: the operator's, and it is told. */
static void three_sides_meet(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *etc = scratch_file(&scratch, "etc");

	add(&scratch, "old/both", "shipped 1");
	add(&scratch, "old/mine", "shipped");
	add(&scratch, "old/sub/touched", "shipped 1");
	add(&scratch, "new/both", "shipped 2");
	add(&scratch, "new/mine", "shipped");
	add(&scratch, "new/sub/touched", "shipped 2");
	prepare_on(&scratch, NAME_1, "old");
	add(&scratch, "etc/" NAME_1 "/upper/both", "operator");
	add(&scratch, "etc/" NAME_1 "/upper/mine", "operator");
	add(&scratch, "etc/" NAME_1 "/upper/own", "operator");
	/* Written to, and put back as it was: copied up by the overlay, but no change. */
	add(&scratch, "etc/" NAME_1 "/upper/sub/touched", "shipped 1");
	prepare_on(&scratch, NAME_2, "new");
	expect_file(&scratch, "etc/" NAME_2 "/upper/both", "operator");
	expect_file(&scratch, "etc/" NAME_2 "/upper/mine", "operator");
	expect_file(&scratch, "etc/" NAME_2 "/upper/own", "operator");
	expect_file(&scratch, "etc/" NAME_2 "/upper/sub/touched", NULL);
	g_auto(GStrv) conflicts = proa_generation_conflicts(etc, NAME_2);
	g_assert_cmpuint(g_strv_length(conflicts), ==, 1);
	g_assert_cmpstr(conflicts[0], ==, "both");
	/* What the old release goes back to is as it was. */
	expect_file(&scratch, "etc/" NAME_1 "/upper/sub/touched", "shipped 1");
	g_auto(GStrv) none = proa_generation_conflicts(etc, NAME_1);
	g_assert_cmpuint(g_strv_length(none), ==, 0);
}

/* A generation of a release that did not remember what it shipped: all in it is the operator's. */
static void what_is_not_known_is_the_operators(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *etc = scratch_file(&scratch, "etc");

	add(&scratch, "new/file", "shipped");
	prepare(etc, NAME_1);
	add(&scratch, "etc/" NAME_1 "/upper/file", "shipped");
	prepare_on(&scratch, NAME_2, "new");
	expect_file(&scratch, "etc/" NAME_2 "/upper/file", "shipped");
	/* It is remembered from now on, also for the one that is there already. */
	g_autofree char *shipped = scratch_file(&scratch, "etc/" NAME_1 "/shipped");
	g_assert_false(g_file_test(shipped, G_FILE_TEST_EXISTS));
	prepare_on(&scratch, NAME_1, "new");
	g_assert_true(g_file_test(shipped, G_FILE_TEST_EXISTS));
}

static void first_is_empty(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *upper = scratch_file(&scratch, NAME_1 "/upper");
	g_autofree char *work = scratch_file(&scratch, NAME_1 "/work");

	prepare(scratch.path, NAME_1);
	g_autofree char *last = last_of(scratch.path);
	g_assert_cmpstr(last, ==, NAME_1);
	g_assert_true(g_file_test(upper, G_FILE_TEST_IS_DIR));
	g_assert_true(g_file_test(work, G_FILE_TEST_IS_DIR));
}

static void next_starts_from_the_last(void)
{
	g_auto(Scratch) scratch = scratch_new();

	prepare(scratch.path, NAME_1);
	g_autofree char *id = scratch_write(&scratch, NAME_1 "/upper/machine-id", "abc\n", -1);
	g_autofree char *key = scratch_write(&scratch, NAME_1 "/upper/ssh/key", "secret", -1);
	prepare(scratch.path, NAME_2);
	g_autofree char *copy_path = scratch_file(&scratch, NAME_2 "/upper/ssh/key");
	g_autofree char *copy = proa_file_read(copy_path, 100, NULL, NULL);
	g_assert_cmpstr(copy, ==, "secret");
	g_autofree char *last = last_of(scratch.path);
	g_assert_cmpstr(last, ==, NAME_2);
}

/* Going back brings that release's own configuration back, not a copy of the newer one's. */
static void going_back_keeps_its_own(void)
{
	g_auto(Scratch) scratch = scratch_new();

	prepare(scratch.path, NAME_1);
	g_autofree char *one = scratch_write(&scratch, NAME_1 "/upper/setting", "one", -1);
	prepare(scratch.path, NAME_2);
	g_autofree char *two = scratch_write(&scratch, NAME_2 "/upper/setting", "two", -1);
	g_assert_nonnull(two);
	prepare(scratch.path, NAME_1);
	g_autofree char *setting = proa_file_read(one, 100, NULL, NULL);
	g_autofree char *last = last_of(scratch.path);
	g_assert_cmpstr(setting, ==, "one");
	g_assert_cmpstr(last, ==, NAME_1);
}

/* What stands in the way of both files: each is written under another name first. */
static void block(const Scratch *scratch, const char *name)
{
	g_autofree char *path = scratch_file(scratch, name);

	g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
	g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
}

/* /var is full: what only remembers cannot be written, what is there is used. */
static void one_that_is_whole_needs_no_room(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *etc = scratch_file(&scratch, "etc");
	g_autofree char *pointer = scratch_file(&scratch, "etc/last.tmp");

	prepare(etc, NAME_1);
	add(&scratch, "etc/" NAME_1 "/upper/setting", "one");
	add(&scratch, "shipped/file", "x");
	prepare(etc, NAME_2);
	block(&scratch, "etc/last.tmp");
	block(&scratch, "etc/" NAME_1 "/shipped.tmp");
	prepare_on(&scratch, NAME_1, "shipped");
	g_autofree char *last = last_of(etc);
	g_assert_cmpstr(last, ==, NAME_2);
	/* With room again it is noted, and the next release starts from it. */
	g_assert_cmpint(g_rmdir(pointer), ==, 0);
	g_assert_true(proa_generation_use(etc, NAME_1, NULL));
	prepare(etc, NAME_3);
	expect_file(&scratch, "etc/" NAME_3 "/upper/setting", "one");
	/* One that is not there is not noted. */
	g_assert_true(proa_generation_use(etc, "44444444444444444444444444444444", NULL));
	g_autofree char *now = last_of(etc);
	g_assert_cmpstr(now, ==, NAME_3);
}

static void the_upper_layer_to_read_is_its_own_or_the_last(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *upper_1 = scratch_file(&scratch, NAME_1 "/upper");
	g_autofree char *upper_2 = scratch_file(&scratch, NAME_2 "/upper");

	g_assert_null(proa_generation_upper(scratch.path, NAME_1));
	prepare(scratch.path, NAME_1);
	prepare(scratch.path, NAME_2);
	g_autofree char *own = proa_generation_upper(scratch.path, NAME_1);
	g_autofree char *last = proa_generation_upper(scratch.path, NAME_3);
	g_assert_cmpstr(own, ==, upper_1);
	g_assert_cmpstr(last, ==, upper_2);
}

static void half_made_is_made_anew(void)
{
	g_auto(Scratch) scratch = scratch_new();

	prepare(scratch.path, NAME_1);
	g_autofree char *id = scratch_write(&scratch, NAME_1 "/upper/machine-id", "abc\n", -1);
	g_autofree char *left = scratch_write(&scratch, NAME_2 ".new/upper/half", "x", -1);
	prepare(scratch.path, NAME_2);
	g_autofree char *copied = scratch_file(&scratch, NAME_2 "/upper/machine-id");
	g_autofree char *half = scratch_file(&scratch, NAME_2 "/upper/half");
	g_assert_true(g_file_test(copied, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(half, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
}

static void broken_pointer_means_none(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *pointer = scratch_write(&scratch, "last", "../../../etc\n", -1);

	prepare(scratch.path, NAME_1);
	g_autofree char *last = last_of(scratch.path);
	g_assert_cmpstr(last, ==, NAME_1);
}

static void refuses_other_names(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_false(proa_generation_prepare(scratch.path, "../x", -1, NULL));
	g_assert_false(proa_generation_prepare(scratch.path, "", -1, NULL));
}

static void copies_everything_of_a_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *upper = scratch_file(&scratch, NAME_1 "/upper");
	struct stat st;

	if (geteuid() != 0) {
		g_test_skip("needs root: owners, devices and trusted attributes");
		return;
	}
	prepare(scratch.path, NAME_1);
	g_autofree char *file = scratch_write(&scratch, NAME_1 "/upper/d/file", "x", -1);
	g_autofree char *folder = scratch_file(&scratch, NAME_1 "/upper/d");
	g_autofree char *whiteout = scratch_file(&scratch, NAME_1 "/upper/gone");
	g_autofree char *link = scratch_file(&scratch, NAME_1 "/upper/link");
	struct timespec times[2] = { { 1000, 5 }, { 2000, 6 } };
	g_assert_cmpint(mknod(whiteout, S_IFCHR, makedev(0, 0)), ==, 0);
	g_assert_cmpint(symlink("/nowhere", link), ==, 0);
	g_assert_cmpint(chown(file, 12, 34), ==, 0);
	g_assert_cmpint(chmod(file, 04640), ==, 0);
	g_assert_cmpint(setxattr(file, "trusted.overlay.origin", "o", 1, 0), ==, 0);
	g_assert_cmpint(setxattr(folder, "trusted.overlay.opaque", "y", 1, 0), ==, 0);
	g_assert_cmpint(chmod(folder, 0710), ==, 0);
	g_assert_cmpint(utimensat(AT_FDCWD, folder, times, 0), ==, 0);

	prepare(scratch.path, NAME_2);
	g_autofree char *new_file = scratch_file(&scratch, NAME_2 "/upper/d/file");
	g_autofree char *new_folder = scratch_file(&scratch, NAME_2 "/upper/d");
	g_autofree char *new_whiteout = scratch_file(&scratch, NAME_2 "/upper/gone");
	g_autofree char *new_link = scratch_file(&scratch, NAME_2 "/upper/link");
	char target[32] = { 0 }, value = 0;
	g_assert_cmpint(lstat(new_file, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04640);
	g_assert_cmpuint(st.st_uid, ==, 12);
	g_assert_cmpuint(st.st_gid, ==, 34);
	g_assert_cmpint(lstat(new_folder, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0710);
	g_assert_cmpint(st.st_mtim.tv_sec, ==, 2000);
	g_assert_cmpint(lstat(new_whiteout, &st), ==, 0);
	g_assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	g_assert_cmpint(readlink(new_link, target, sizeof target - 1), ==, (int)strlen("/nowhere"));
	g_assert_cmpint(getxattr(new_folder, "trusted.overlay.opaque", &value, 1), ==, 1);
	g_assert_cmpint(getxattr(new_file, "trusted.overlay.origin", &value, 1), ==, -1);
}

static void refuses_a_bottomless_tree(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GString) path = g_string_new(NAME_1 "/upper");
	g_autoptr(GError) error = NULL;

	prepare(scratch.path, NAME_1);
	for (int i = 0; i < PROA_GENERATION_MAX_DEPTH + 2; i++)
		g_string_append(path, "/d");
	g_autofree char *deep = scratch_write(&scratch, path->str, "x", -1);
	g_assert_false(proa_generation_prepare(scratch.path, NAME_2, -1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	g_autofree char *last = last_of(scratch.path);
	g_assert_cmpstr(last, ==, NAME_1);
}

static void prunes_what_no_slot_needs(void)
{
	static const char *const keep[] = { NAME_1, NULL };
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	prepare(scratch.path, NAME_1);
	prepare(scratch.path, NAME_2);
	prepare(scratch.path, NAME_3);
	g_autofree char *half = scratch_write(&scratch, NAME_1 ".new/upper/x", "x", -1);
	g_autofree char *other = scratch_write(&scratch, "note", "x", -1);
	g_assert_true(proa_generation_prune(scratch.path, keep, &error));
	g_assert_no_error(error);
	g_autofree char *one = scratch_file(&scratch, NAME_1), *two = scratch_file(&scratch, NAME_2);
	g_autofree char *three = scratch_file(&scratch, NAME_3);
	g_assert_true(g_file_test(one, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(two, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(three, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(half, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(other, G_FILE_TEST_EXISTS));
}

static void removes_links_not_their_targets(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *kept = scratch_write(&scratch, "kept/file", "x", -1);
	g_autofree char *folder = scratch_file(&scratch, "tree"), *link = scratch_file(&scratch, "tree/link");
	g_autofree char *target = scratch_file(&scratch, "kept");
	PROA_AUTO_FD int fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
	g_assert_cmpint(symlink(target, link), ==, 0);
	g_assert_true(proa_remove_tree(fd, "tree", 8, NULL));
	g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(kept, G_FILE_TEST_EXISTS));
}

/* A restore that the power ended: the copy is in the middle of it, too, and one of a whole generation is not.
 */
static void a_copy_of_one_half_restored_knows_that_it_is(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *etc = scratch_file(&scratch, "etc");
	static const char *const keep[] = { NAME_2, NULL };

	prepare(etc, NAME_1);
	add(&scratch, "etc/restore-" NAME_1, NAME_1 " a b\n");
	prepare(etc, NAME_2);
	expect_file(&scratch, "etc/restore-" NAME_2, NAME_1 " a b\n");
	expect_file(&scratch, "etc/restore-" NAME_1, NAME_1 " a b\n");
	g_assert_true(proa_generation_prune(etc, keep, NULL));
	expect_file(&scratch, "etc/restore-" NAME_1, NULL);
	expect_file(&scratch, "etc/restore-" NAME_2, NAME_1 " a b\n");
	g_autofree char *note = proa_generation_restore_note(etc, NAME_2);
	g_assert_cmpint(unlink(note), ==, 0);
	add(&scratch, "etc/restore-" NAME_3, NAME_1 " a b\n");
	prepare(etc, NAME_3);
	expect_file(&scratch, "etc/restore-" NAME_3, NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/generation/first-is-empty", first_is_empty);
	g_test_add_func("/generation/a-copy-of-one-half-restored-knows-that-it-is",
		a_copy_of_one_half_restored_knows_that_it_is);
	g_test_add_func("/generation/next-starts-from-the-last", next_starts_from_the_last);
	g_test_add_func("/generation/going-back-keeps-its-own", going_back_keeps_its_own);
	g_test_add_func("/generation/one-that-is-whole-needs-no-room", one_that_is_whole_needs_no_room);
	g_test_add_func("/generation/the-upper-layer-to-read-is-its-own-or-the-last",
		the_upper_layer_to_read_is_its_own_or_the_last);
	g_test_add_func("/generation/half-made-is-made-anew", half_made_is_made_anew);
	g_test_add_func("/generation/broken-pointer-means-none", broken_pointer_means_none);
	g_test_add_func("/generation/refuses-other-names", refuses_other_names);
	g_test_add_func("/generation/copies-everything-of-a-file", copies_everything_of_a_file);
	g_test_add_func("/generation/refuses-a-bottomless-tree", refuses_a_bottomless_tree);
	g_test_add_func("/generation/prunes-what-no-slot-needs", prunes_what_no_slot_needs);
	g_test_add_func("/copy/removes-links-not-their-targets", removes_links_not_their_targets);
	g_test_add_func("/generation/three-sides-meet", three_sides_meet);
	g_test_add_func("/generation/what-is-not-known-is-the-operators", what_is_not_known_is_the_operators);
	return g_test_run();
}

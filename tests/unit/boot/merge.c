/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/merge.h"

#include "base/file.h"
#include "base/reason.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_below(const Scratch *scratch, const char *name)
{
	g_autofree char *path = scratch_file(scratch, name);

	g_mkdir_with_parents(path, 0755);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_assert_true(fd >= 0);
	return fd;
}

static GHashTable *list(const Scratch *scratch, const char *name)
{
	PROA_AUTO_FD int fd = open_below(scratch, name);
	g_autoptr(GError) error = NULL;
	GHashTable *result = proa_merge_list(fd, 10, &error);

	g_assert_no_error(error);
	return result;
}

/* Every combination of what a file is on the three sides: absent, or one of two contents; in the upper layer
 * also removed. */
static void every_case_of_the_table(void)
{
	static const char *const contents[] = { NULL, "1", "2" };

	for (int base = 0; base < 3; base++)
		for (int lower = 0; lower < 3; lower++)
			for (int upper = 0; upper < 3; upper++) {
				g_auto(Scratch) scratch = scratch_new();
				g_autofree char *a =
					base ? scratch_write(&scratch, "b/f", contents[base], -1) : NULL;
				g_autofree char *b =
					lower ? scratch_write(&scratch, "l/f", contents[lower], -1) : NULL;
				g_autofree char *path =
					scratch_write(&scratch, "u/f", upper ? contents[upper] : "", -1);
				if (upper == 0) {
					g_assert_cmpint(unlink(path), ==, 0);
					if (mknod(path, S_IFCHR, makedev(0, 0)) < 0)
						continue; /* only root may make a whiteout */
				}
				g_autoptr(GHashTable) bases = list(&scratch, "b");
				g_autoptr(GHashTable) lowers = list(&scratch, "l");
				PROA_AUTO_FD int fd = open_below(&scratch, "u");
				g_auto(GStrv) conflicts = NULL;
				g_assert_true(proa_merge_upper(fd, bases, lowers, 10, &conflicts, NULL));
				struct stat st;
				gboolean kept = lstat(path, &st) == 0;
				/* Unchanged by the operator, or the same as what is shipped now. */
				gboolean drop = upper == lower || (base && upper == base);
				gboolean conflict = !drop && base != lower;
				g_assert_cmpint(kept, ==, !drop);
				g_assert_cmpuint(g_strv_length(conflicts), ==, conflict ? 1 : 0);
			}
}

/* What upper/f is, a file that an operator put in place of a directory or the mark that it was removed, meets
 * f/a with these contents (NULL: none) on the other sides. */
static void expect_in_place_of_a_directory(
	const char *base, const char *upper, const char *lower, gboolean kept, gboolean conflict)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = base ? scratch_write(&scratch, "b/f/d/a", base, -1) : NULL;
	g_autofree char *b = lower ? scratch_write(&scratch, "l/f/d/a", lower, -1) : NULL;
	g_autofree char *beside = scratch_write(&scratch, "l/f-beside", "x", -1);
	g_autofree char *path = scratch_write(&scratch, "u/f", upper ? upper : "", -1);
	g_auto(GStrv) conflicts = NULL;
	struct stat st;

	g_assert_nonnull(beside);
	if (!upper) {
		g_assert_cmpint(unlink(path), ==, 0);
		if (mknod(path, S_IFCHR, makedev(0, 0)) < 0)
			return; /* only root may make a whiteout */
	}
	g_autoptr(GHashTable) bases = list(&scratch, "b");
	g_autoptr(GHashTable) lowers = list(&scratch, "l");
	PROA_AUTO_FD int fd = open_below(&scratch, "u");
	g_assert_true(proa_merge_upper(fd, bases, lowers, 10, &conflicts, NULL));
	g_assert_cmpint(lstat(path, &st) == 0, ==, kept);
	g_assert_cmpuint(g_strv_length(conflicts), ==, conflict ? 1 : 0);
	if (conflict)
		g_assert_cmpstr(conflicts[0], ==, "f");
}

/* overlayfs marks a whole directory with one whiteout, and the lists name files alone. */
static void a_removed_directory_stays_removed(void)
{
	expect_in_place_of_a_directory("1", NULL, "1", TRUE, FALSE);
	expect_in_place_of_a_directory("1", NULL, "2", TRUE, TRUE);
	expect_in_place_of_a_directory("1", NULL, NULL, FALSE, FALSE);
	expect_in_place_of_a_directory(NULL, NULL, NULL, FALSE, FALSE);
}

static void a_replaced_directory_stays_replaced(void)
{
	expect_in_place_of_a_directory("1", "mine", "1", TRUE, FALSE);
	expect_in_place_of_a_directory("1", "mine", "2", TRUE, TRUE);
	expect_in_place_of_a_directory("1", "mine", NULL, TRUE, TRUE);
	expect_in_place_of_a_directory(NULL, "mine", "1", TRUE, TRUE);
	expect_in_place_of_a_directory(NULL, "mine", NULL, TRUE, FALSE);
}

/* Removed and made anew with the same files: the release's do not show through, so these must not go. */
static void a_directory_made_anew_keeps_what_is_in_it(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_write(&scratch, "b/f/d/a", "1", -1);
	g_autofree char *b = scratch_write(&scratch, "l/f/d/a", "1", -1);
	g_autofree char *path = scratch_write(&scratch, "u/f/d/a", "1", -1);
	g_autofree char *folder = scratch_file(&scratch, "u/f");
	g_auto(GStrv) conflicts = NULL;
	struct stat st;

	g_assert_true(a && b);
	if (setxattr(folder, "trusted.overlay.opaque", "y", 1, 0) < 0) {
		g_test_skip("needs root: trusted attributes");
		return;
	}
	g_autoptr(GHashTable) base = list(&scratch, "b");
	g_autoptr(GHashTable) lower = list(&scratch, "l");
	PROA_AUTO_FD int fd = open_below(&scratch, "u");
	g_assert_true(proa_merge_upper(fd, base, lower, 10, &conflicts, NULL));
	g_assert_cmpint(lstat(path, &st), ==, 0);
	g_assert_cmpuint(g_strv_length(conflicts), ==, 0);
}

/* Permissions are a change too: a secret that the operator locked stays locked. */
static void a_mode_is_a_change(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_write(&scratch, "b/key", "k", -1),
			*b = scratch_write(&scratch, "l/key", "k", -1),
			*c = scratch_write(&scratch, "u/key", "k", -1);
	g_auto(GStrv) conflicts = NULL;
	struct stat st;

	g_assert_true(a && b && chmod(c, 0600) == 0);
	g_autoptr(GHashTable) base = list(&scratch, "b");
	g_autoptr(GHashTable) lower = list(&scratch, "l");
	PROA_AUTO_FD int fd = open_below(&scratch, "u");
	g_assert_true(proa_merge_upper(fd, base, lower, 10, &conflicts, NULL));
	g_assert_cmpint(stat(c, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

static void odd_names_and_links_survive_the_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_write(&scratch, "t/with space\nand line\\", "x", -1);
	g_autofree char *link = scratch_file(&scratch, "t/link"), *path = scratch_file(&scratch, "list");

	g_assert_true(a && symlink("target of it", link) == 0);
	g_autoptr(GHashTable) before = list(&scratch, "t");
	g_assert_true(proa_merge_save(path, before, NULL));
	g_autoptr(GHashTable) after = proa_merge_load(path);
	g_assert_cmpuint(g_hash_table_size(after), ==, 2);
	GHashTableIter iter;
	gpointer key, value;
	g_hash_table_iter_init(&iter, before);
	while (g_hash_table_iter_next(&iter, &key, &value))
		g_assert_cmpstr(g_hash_table_lookup(after, key), ==, value);
}

static void a_broken_file_is_an_empty_list_or_less(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "list", "nonsense\n \n x\n\\", -1);
	g_autoptr(GHashTable) loaded = proa_merge_load(path);
	g_autoptr(GHashTable) missing = proa_merge_load("/nonexistent/list");

	g_assert_cmpuint(g_hash_table_size(loaded), ==, 0);
	g_assert_cmpuint(g_hash_table_size(missing), ==, 0);
}

static void a_tree_without_end_is_refused(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *deep = scratch_write(&scratch, "t/1/2/3/4/f", "x", -1);
	PROA_AUTO_FD int fd = open_below(&scratch, "t");
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(deep);
	g_assert_null(proa_merge_list(fd, 3, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/merge/every-case-of-the-table", every_case_of_the_table);
	g_test_add_func("/merge/a-removed-directory-stays-removed", a_removed_directory_stays_removed);
	g_test_add_func("/merge/a-replaced-directory-stays-replaced", a_replaced_directory_stays_replaced);
	g_test_add_func("/merge/a-directory-made-anew-keeps-what-is-in-it",
		a_directory_made_anew_keeps_what_is_in_it);
	g_test_add_func("/merge/a-mode-is-a-change", a_mode_is_a_change);
	g_test_add_func("/merge/odd-names-and-links-survive-the-file", odd_names_and_links_survive_the_file);
	g_test_add_func(
		"/merge/a-broken-file-is-an-empty-list-or-less", a_broken_file_is_an_empty_list_or_less);
	g_test_add_func("/merge/a-tree-without-end-is-refused", a_tree_without_end_is_refused);
	return g_test_run();
}

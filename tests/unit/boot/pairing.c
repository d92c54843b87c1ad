/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pairing.h"

#include "base/file.h"
#include "boot/generation.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD "11111111111111111111111111111111"
#define NEW "22222222222222222222222222222222"
#define VAR "var/lib/extensions/"
#define IMAGES "var/lib/proa/extensions/"
#define ETC "var/lib/proa/etc/"
#define LEFT "var/lib/proa/extensions-left/"

typedef struct {
	Scratch scratch;
	char *etc;
} Node;

static void node_clear(Node *node)
{
	scratch_clear(&node->scratch);
	g_free(node->etc);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Node, node_clear)

/* As who brings an image does: under another name first. */
static void put(const Node *node, const char *name, const char *text)
{
	g_autofree char *whole = g_strconcat(name, ".tmp", NULL);
	g_autofree char *from = scratch_write(&node->scratch, whole, text, -1);
	g_autofree char *to = scratch_file(&node->scratch, name);

	g_assert_cmpint(rename(from, to), ==, 0);
}

static void drop(const Node *node, const char *name)
{
	g_autofree char *path = scratch_file(&node->scratch, name);

	g_assert_cmpint(unlink(path), ==, 0);
}

static void expect(const Node *node, const char *name, const char *text)
{
	g_autofree char *path = scratch_file(&node->scratch, name);
	g_autofree char *seen = proa_file_read(path, 1000, NULL, NULL);

	g_assert_cmpstr(seen, ==, text);
}

static void keep(const Node *node, const char *name)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_pairing_keep(node->scratch.path, node->etc, name, &error));
	g_assert_no_error(error);
}

/* As a boot of that release does. */
static void bring_back(const Node *node, const char *name)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_pairing_bring_back(node->scratch.path, node->etc, name, &error));
	g_assert_no_error(error);
	g_assert_true(proa_generation_use(node->etc, name, &error));
	g_assert_no_error(error);
}

/* Both releases have a generation; the old one has two images, one of each kind, and the new one ran last. */
static Node node_new(void)
{
	Node node = { .scratch = scratch_new() };

	node.etc = scratch_file(&node.scratch, "var/lib/proa/etc");
	g_free(scratch_write(&node.scratch, ETC OLD "/upper/x", "", 0));
	g_free(scratch_write(&node.scratch, ETC NEW "/upper/x", "", 0));
	put(&node, VAR "tool.raw", "old tool");
	put(&node, IMAGES "gpu.raw", "old gpu");
	keep(&node, OLD);
	g_assert_true(proa_generation_use(node.etc, NEW, NULL));
	return node;
}

/* What the new one replaced, removed and added; then back, and forward again. */
static void each_release_has_its_own(void)
{
	g_auto(Node) node = node_new();

	bring_back(&node, NEW);
	expect(&node, VAR "tool.raw", "old tool");
	put(&node, VAR "tool.raw", "new tool");
	put(&node, VAR "more.raw", "new");
	drop(&node, IMAGES "gpu.raw");
	keep(&node, NEW);

	bring_back(&node, OLD);
	expect(&node, VAR "tool.raw", "old tool");
	expect(&node, VAR "more.raw", NULL);
	expect(&node, IMAGES "gpu.raw", "old gpu");
	keep(&node, OLD);

	bring_back(&node, NEW);
	expect(&node, VAR "tool.raw", "new tool");
	expect(&node, VAR "more.raw", "new");
	expect(&node, LEFT "more.raw", NULL);
	/* Without a link in /etc/extensions it is not active. */
	expect(&node, IMAGES "gpu.raw", "old gpu");
}

/* Its generation goes with a release that failed, and held the last link. */
static void images_of_a_release_that_failed_are_not_lost(void)
{
	static const char *const keep_old[] = { OLD, NULL };
	g_auto(Node) node = node_new();

	for (int i = 0; i < 2; i++) {
		put(&node, VAR "tool.raw", i == 0 ? "new tool" : "newer tool");
		put(&node, VAR "more.raw", i == 0 ? "new" : "newer");
		put(&node, IMAGES "gpu.raw", i == 0 ? "new gpu" : "newer gpu");
		g_free(scratch_write(&node.scratch, ETC NEW "/upper/x", "", 0));
		g_assert_true(proa_generation_use(node.etc, NEW, NULL));
		keep(&node, NEW);
		bring_back(&node, OLD);
		g_assert_true(proa_generation_prune(node.etc, keep_old, NULL));
		expect(&node, ETC NEW "/extensions/var/more.raw", NULL);
		expect(&node, VAR "tool.raw", "old tool");
		expect(&node, VAR "more.raw", NULL);
		expect(&node, IMAGES "gpu.raw", "old gpu");
		expect(&node, LEFT "tool.raw", "new tool");
		expect(&node, LEFT "more.raw", "new");
		expect(&node, LEFT "gpu.raw", "new gpu");
	}
	g_autofree char *folder = scratch_file(&node.scratch, LEFT);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	guint count = 0;
	for (const char *name; (name = g_dir_read_name(dir)); count++) {
		g_autofree char *path = g_build_filename(LEFT, name, NULL);
		if (g_str_has_suffix(name, "-more.raw"))
			expect(&node, path, "newer");
	}
	g_assert_cmpuint(count, ==, 6);
}

/* A folder that is full takes no more, and nothing is removed for that. */
static void no_more_is_moved_than_is_bounded(void)
{
	g_auto(Node) node = node_new();
	g_autoptr(GError) error = NULL;

	for (int i = 0; i < PROA_PAIRING_MAX; i++) {
		g_autofree char *name = g_strdup_printf(LEFT "%d.raw", i);
		g_free(scratch_write(&node.scratch, name, "", 0));
	}
	put(&node, VAR "more.raw", "new");
	keep(&node, NEW);
	drop(&node, VAR "tool.raw");
	g_assert_false(proa_pairing_bring_back(node.scratch.path, node.etc, OLD, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	expect(&node, VAR "more.raw", "new");
	expect(&node, VAR "tool.raw", "old tool");
	expect(&node, LEFT "0.raw", "");
}

/* The node crashed before that could be remembered: the only copy must not go. */
static void what_no_generation_holds_stays(void)
{
	g_auto(Node) node = node_new();

	put(&node, VAR "tool.raw", "brought since");
	put(&node, VAR "more.raw", "brought since");
	put(&node, IMAGES "gpu.raw", "brought since");
	bring_back(&node, OLD);
	expect(&node, VAR "tool.raw", "brought since");
	expect(&node, VAR "more.raw", "brought since");
	expect(&node, IMAGES "gpu.raw", "brought since");
}

/* The power went before a shutdown could remember what the operator did. */
static void a_boot_of_the_same_release_undoes_nothing(void)
{
	g_auto(Node) node = node_new();

	bring_back(&node, OLD);
	drop(&node, IMAGES "gpu.raw");
	drop(&node, VAR "tool.raw");
	put(&node, IMAGES "tool.raw", "moved");
	bring_back(&node, OLD);
	expect(&node, IMAGES "gpu.raw", NULL);
	expect(&node, VAR "tool.raw", NULL);
	expect(&node, IMAGES "tool.raw", "moved");
}

/* It costs no room, keeps the mode, and goes with its generation. */
static void images_are_linked_and_not_copied(void)
{
	g_auto(Node) node = node_new();
	g_autofree char *image = scratch_file(&node.scratch, VAR "tool.raw");
	g_autofree char *kept = scratch_file(&node.scratch, ETC OLD "/extensions/var/tool.raw");
	struct stat a, b;

	g_assert_cmpint(chmod(image, 0600), ==, 0);
	keep(&node, OLD);
	keep(&node, OLD);
	g_assert_cmpint(stat(image, &a), ==, 0);
	g_assert_cmpint(stat(kept, &b), ==, 0);
	g_assert_cmpuint(a.st_ino, ==, b.st_ino);
	g_assert_cmpuint(a.st_nlink, ==, 2);
	drop(&node, VAR "tool.raw");
	bring_back(&node, OLD);
	g_assert_cmpint(stat(image, &a), ==, 0);
	g_assert_cmpuint(a.st_mode & 07777, ==, 0600);
}

/* The power went while a set was made, or exchanged: the former one, or the new one, counts. */
static void a_set_that_is_half_made_counts_for_nothing(void)
{
	g_auto(Node) node = node_new();

	g_free(scratch_write(&node.scratch, ETC OLD "/extensions.new/var/half.raw", "half", -1));
	drop(&node, VAR "tool.raw");
	bring_back(&node, OLD);
	expect(&node, VAR "tool.raw", "old tool");
	expect(&node, VAR "half.raw", NULL);
	keep(&node, OLD);
	expect(&node, ETC OLD "/extensions.new/var/half.raw", NULL);
	expect(&node, ETC OLD "/extensions/var/tool.raw", "old tool");
}

static ino_t inode_of(const Node *node, const char *name)
{
	g_autofree char *path = scratch_file(&node->scratch, name);
	struct stat st;

	g_assert_cmpint(stat(path, &st), ==, 0);
	return st.st_ino;
}

/* At each shutdown: a syncfs() takes as long as whatever else is not written yet. */
static void a_set_that_is_the_same_is_not_made_again(void)
{
	g_auto(Node) node = node_new();
	ino_t before = inode_of(&node, ETC OLD "/extensions");

	keep(&node, OLD);
	g_assert_cmpuint(inode_of(&node, ETC OLD "/extensions"), ==, before);
	put(&node, VAR "tool.raw", "replaced");
	keep(&node, OLD);
	expect(&node, ETC OLD "/extensions/var/tool.raw", "replaced");
	drop(&node, IMAGES "gpu.raw");
	keep(&node, OLD);
	expect(&node, ETC OLD "/extensions/images/gpu.raw", NULL);
	/* To have had none is something to remember, too. */
	drop(&node, VAR "tool.raw");
	keep(&node, NEW);
	before = inode_of(&node, ETC NEW "/extensions/var");
	keep(&node, NEW);
	g_assert_cmpuint(inode_of(&node, ETC NEW "/extensions/var"), ==, before);
}

/* As for the agent, whose unit has a mount of its own for what it may write. */
static void across_mounts_the_former_set_stays(void)
{
	g_auto(Node) node = node_new();

	put(&node, VAR "tool.raw", "new tool");
	if (mount(node.etc, node.etc, NULL, MS_BIND, NULL) < 0) {
		g_test_skip("no right to mount");
		return;
	}
	g_autoptr(GError) error = NULL;
	gboolean kept = proa_pairing_keep(node.scratch.path, node.etc, OLD, &error);
	g_assert_cmpint(umount2(node.etc, MNT_DETACH), ==, 0);
	g_assert_no_error(error);
	g_assert_true(kept);
	g_autofree char *half_made = scratch_file(&node.scratch, ETC OLD "/extensions.new");
	g_assert_false(g_file_test(half_made, G_FILE_TEST_EXISTS));
	expect(&node, ETC OLD "/extensions/var/tool.raw", "old tool");
}

static void an_image_that_takes_no_link_is_left_out(void)
{
	g_auto(Node) node = node_new();
	int flags = FS_IMMUTABLE_FL;

	put(&node, VAR "fixed.raw", "x");
	put(&node, VAR "more.raw", "more");
	g_autofree char *path = scratch_file(&node.scratch, VAR "fixed.raw");
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
		g_test_skip("nothing can be made immutable here");
		return;
	}
	g_autoptr(GError) error = NULL;
	gboolean kept = proa_pairing_keep(node.scratch.path, node.etc, OLD, &error);
	flags = 0;
	g_assert_cmpint(ioctl(fd, FS_IOC_SETFLAGS, &flags), ==, 0);
	g_assert_no_error(error);
	g_assert_true(kept);
	expect(&node, ETC OLD "/extensions/var/fixed.raw", NULL);
	expect(&node, ETC OLD "/extensions/var/more.raw", "more");
}

static void what_is_no_image_is_left_alone(void)
{
	g_auto(Node) node = node_new();
	g_autofree char *link = scratch_file(&node.scratch, VAR "link.raw");

	put(&node, VAR "notes.txt", "x");
	g_free(scratch_write(&node.scratch, VAR "folder.raw/x", "x", -1));
	g_assert_cmpint(symlink("/nowhere", link), ==, 0);
	keep(&node, OLD);
	bring_back(&node, OLD);
	expect(&node, VAR "notes.txt", "x");
	expect(&node, VAR "folder.raw/x", "x");
	expect(&node, ETC OLD "/extensions/var/notes.txt", NULL);
	g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
	/* A generation that is not there is not made by this. */
	g_autofree char *none = scratch_file(&node.scratch, ETC "33333333333333333333333333333333");
	keep(&node, "33333333333333333333333333333333");
	bring_back(&node, "33333333333333333333333333333333");
	g_assert_false(g_file_test(none, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pairing/each-release-has-its-own", each_release_has_its_own);
	g_test_add_func("/pairing/what-no-generation-holds-stays", what_no_generation_holds_stays);
	g_test_add_func("/pairing/a-boot-of-the-same-release-undoes-nothing",
		a_boot_of_the_same_release_undoes_nothing);
	g_test_add_func("/pairing/images-of-a-release-that-failed-are-not-lost",
		images_of_a_release_that_failed_are_not_lost);
	g_test_add_func("/pairing/no-more-is-moved-than-is-bounded", no_more_is_moved_than_is_bounded);
	g_test_add_func("/pairing/images-are-linked-and-not-copied", images_are_linked_and_not_copied);
	g_test_add_func("/pairing/a-set-that-is-half-made-counts-for-nothing",
		a_set_that_is_half_made_counts_for_nothing);
	g_test_add_func("/pairing/a-set-that-is-the-same-is-not-made-again",
		a_set_that_is_the_same_is_not_made_again);
	g_test_add_func("/pairing/across-mounts-the-former-set-stays", across_mounts_the_former_set_stays);
	g_test_add_func(
		"/pairing/an-image-that-takes-no-link-is-left-out", an_image_that_takes_no_link_is_left_out);
	g_test_add_func("/pairing/what-is-no-image-is-left-alone", what_is_no_image_is_left_alone);
	return g_test_run();
}

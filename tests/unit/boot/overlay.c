/* SPDX-License-Identifier: Apache-2.0 */
/* Real mounts: /var as memory that is full, or that can only be read. */
#include "boot/overlay.h"

#include "base/file.h"
#include "base/reason.h"
#include "boot/generation.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAME_1 "11111111111111111111111111111111"
#define NAME_2 "22222222222222222222222222222222"

/* A node whose release ships two files of /etc; the operator added one, removed one and made one folder anew.
 */
typedef struct {
	Scratch scratch;
	char *var, *etc, *etc_dir, *memory;
} Node;

static void node_clear(Node *node)
{
	if (node->etc)
		umount2(node->etc, MNT_DETACH);
	if (node->var)
		umount2(node->var, MNT_DETACH);
	scratch_clear(&node->scratch);
	g_free(node->var);
	g_free(node->etc);
	g_free(node->etc_dir);
	g_free(node->memory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Node, node_clear)

static void add(const Node *node, const char *name)
{
	g_autofree char *path = scratch_write(&node->scratch, name, name, -1);

	g_assert_nonnull(path);
}

static gboolean there(const Node *node, const char *name)
{
	g_autofree char *path = g_build_filename(node->etc, name, NULL);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* FALSE: this machine lets nobody mount, and the test is skipped. */
static gboolean node_make(Node *node)
{
	node->scratch = scratch_new();
	node->etc = scratch_file(&node->scratch, "etc");
	node->etc_dir = scratch_file(&node->scratch, "var/etc");
	node->memory = scratch_file(&node->scratch, "run/etc");
	g_autofree char *var = scratch_file(&node->scratch, "var");
	g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
	g_assert_cmpint(g_mkdir(var, 0755), ==, 0);
	if (geteuid() != 0 || mount("none", var, "tmpfs", 0, "size=256k") < 0) {
		g_test_skip("cannot mount");
		return FALSE;
	}
	node->var = g_steal_pointer(&var);
	add(node, "etc/shipped");
	add(node, "etc/unwanted");
	add(node, "etc/foo.d/shipped");
	g_assert_true(proa_generation_prepare(node->etc_dir, NAME_1, -1, NULL));
	add(node, "var/etc/" NAME_1 "/upper/network");
	add(node, "var/etc/" NAME_1 "/upper/foo.d/own");
	g_autofree char *gone = scratch_file(&node->scratch, "var/etc/" NAME_1 "/upper/unwanted");
	g_autofree char *anew = scratch_file(&node->scratch, "var/etc/" NAME_1 "/upper/foo.d");
	g_assert_cmpint(mknod(gone, S_IFCHR, makedev(0, 0)), ==, 0);
	g_assert_cmpint(setxattr(anew, "trusted.overlay.opaque", "y", 1, 0), ==, 0);
	return TRUE;
}

static void fill_var(const Node *node)
{
	static char block[4096];
	g_autofree char *path = scratch_file(&node->scratch, "var/filler");
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	g_assert_true(fd >= 0);
	while (write(fd, block, sizeof block) > 0)
		;
}

static void expect_operators_etc(const Node *node)
{
	g_assert_true(there(node, "shipped"));
	g_assert_true(there(node, "network"));
	g_assert_false(there(node, "unwanted"));
	g_assert_true(there(node, "foo.d/own"));
	g_assert_false(there(node, "foo.d/shipped"));
}

/* The release that filled /var ran last; the one that the node comes back to has its /etc. */
static void a_full_var_keeps_the_operators_etc(void)
{
	g_auto(Node) node = { 0 };
	g_autoptr(GError) error = NULL;

	if (!node_make(&node))
		return;
	g_assert_true(proa_generation_prepare(node.etc_dir, NAME_2, -1, NULL));
	fill_var(&node);
	PROA_AUTO_FD int shipped = open(node.etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_assert_true(proa_generation_prepare(node.etc_dir, NAME_1, shipped, &error));
	g_assert_no_error(error);
	g_autofree char *generation = g_build_filename(node.etc_dir, NAME_1, NULL);
	g_assert_true(proa_overlay_mount(node.etc, generation, &error));
	g_assert_no_error(error);
	expect_operators_etc(&node);
}

/* overlayfs takes no upper layer that can't be written; as a lower one it says what it said. */
static void a_read_only_var_keeps_the_operators_etc(void)
{
	g_auto(Node) node = { 0 };
	g_autoptr(GError) error = NULL;

	if (!node_make(&node))
		return;
	g_assert_cmpint(mount(NULL, node.var, NULL, MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
	g_autofree char *generation = g_build_filename(node.etc_dir, NAME_1, NULL);
	g_assert_true(proa_generation_prepare(node.etc_dir, NAME_1, -1, NULL));
	g_assert_false(proa_overlay_mount(node.etc, generation, NULL));
	g_autofree char *kept = proa_generation_upper(node.etc_dir, NAME_1);
	g_assert_true(proa_overlay_mount_volatile(node.etc, node.memory, kept, &error));
	g_assert_no_error(error);
	expect_operators_etc(&node);
	add(&node, "etc/new");
	add(&node, "etc/network");
	g_assert_true(there(&node, "new"));
}

/* Nothing there, or nothing that can be used: /etc as shipped, and it can be written. */
static void without_a_generation_it_is_as_shipped(void)
{
	static const char *const keeps[] = { NULL, "/nonexistent/upper" };

	for (gsize i = 0; i < G_N_ELEMENTS(keeps); i++) {
		g_auto(Node) node = { 0 };
		g_autoptr(GError) error = NULL;
		if (!node_make(&node))
			return;
		g_assert_true(proa_overlay_mount_volatile(node.etc, node.memory, keeps[i], &error));
		g_assert_no_error(error);
		g_assert_true(there(&node, "unwanted"));
		g_assert_false(there(&node, "network"));
		add(&node, "etc/new");
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/overlay/a-full-var-keeps-the-operators-etc", a_full_var_keeps_the_operators_etc);
	g_test_add_func(
		"/overlay/a-read-only-var-keeps-the-operators-etc", a_read_only_var_keeps_the_operators_etc);
	g_test_add_func(
		"/overlay/without-a-generation-it-is-as-shipped", without_a_generation_it_is_as_shipped);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/paths.h"

#include "base/file.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <sys/file.h>

static void expect_command(
	const ProaPaths *paths, const char *program, const char *verb, const char *version, const char *line)
{
	g_auto(GStrv) argv = proa_paths_command(paths, program, verb, version);
	g_autofree char *joined = g_strjoinv(" ", argv);

	g_assert_cmpstr(joined, ==, line);
}

static void a_nodes_own_root_needs_no_option(void)
{
	g_autoptr(ProaPaths) paths = proa_paths_new(NULL, NULL);

	g_assert_cmpstr(paths->root, ==, "");
	g_assert_cmpstr(paths->state_dir, ==, "/var/lib/proa");
	g_assert_cmpstr(paths->lock, ==, "/run/proa/install.lock");
	expect_command(paths, "proa-install", NULL, NULL, "/usr/lib/proa/proa-install");
	expect_command(paths, "proa-bootd", "rollback", "", "/usr/lib/proa/proa-bootd rollback");
}

/* Children may run in another directory. */
static void relative_folders_become_absolute(void)
{
	g_autoptr(ProaPaths) paths = proa_paths_new("a/../b", "libexec");
	g_autofree char *here = g_get_current_dir();
	g_autofree char *line =
		g_strdup_printf("%s/libexec/proa-bootd reject --root %s/b --to 1.0.0", here, here);

	expect_command(paths, "proa-bootd", "reject", "1.0.0", line);
}

/* What root decides for once is for proa-install; proa-bootd knows no such option. */
static void decisions_are_for_proa_install_alone(void)
{
	g_autoptr(ProaPaths) paths = proa_paths_new("", NULL);

	paths->decision = g_strsplit("--token /t", " ", -1);
	expect_command(
		paths, "proa-install", NULL, "1.0.0", "/usr/lib/proa/proa-install --to 1.0.0 --token /t");
	expect_command(paths, "proa-bootd", "status", NULL, "/usr/lib/proa/proa-bootd status");
}

static void a_transaction_is_known_by_its_lock(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, NULL);

	g_assert_false(proa_paths_install_running(paths));
	g_autofree char *path = scratch_write(&scratch, "run/proa/install.lock", "", 0);
	g_assert_false(proa_paths_install_running(paths));
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	/* Others who merely ask are no transaction. */
	g_assert_cmpint(flock(fd, LOCK_SH), ==, 0);
	g_assert_false(proa_paths_install_running(paths));
	g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
	g_assert_true(proa_paths_install_running(paths));
	g_assert_cmpint(flock(fd, LOCK_UN), ==, 0);
	g_assert_false(proa_paths_install_running(paths));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/paths/a-nodes-own-root-needs-no-option", a_nodes_own_root_needs_no_option);
	g_test_add_func("/paths/relative-folders-become-absolute", relative_folders_become_absolute);
	g_test_add_func("/paths/decisions-are-for-proa-install-alone", decisions_are_for_proa_install_alone);
	g_test_add_func("/paths/a-transaction-is-known-by-its-lock", a_transaction_is_known_by_its_lock);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * killed: a process that ends at one of its renames, unlinks or rmdirs, for tests of what it leaves. The
 * program's own calls come through here by the linker's --wrap, so this header is for one file of a test that
 * is linked so.
 */
#pragma once

#include "tests/unit/images/feed/fixture.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the process at the rename or rmdir after so many, if PROA_TEST_RENAMES says how many. */
static void count_down(void)
{
	const char *limit = g_getenv("PROA_TEST_RENAMES");
	static guint64 done;

	if (limit && done++ == g_ascii_strtoull(limit, NULL, 10))
		_exit(77);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	count_down();
	return __real_rename(from, to);
}

/* With PROA_TEST_NO_EXCHANGE the file system has no rename that exchanges. */
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (flags && g_getenv("PROA_TEST_NO_EXCHANGE")) {
		errno = EINVAL;
		return -1;
	}
	count_down();
	return __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __wrap_rmdir(const char *path)
{
	count_down();
	return __real_rmdir(path);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
	count_down();
	return __real_unlink(path);
}

/* Whether a process that does this, killed at the rename or unlink after so many, came to its end. */
static inline gboolean survives(void (*act)(const Fixture *fixture), const Fixture *fixture, guint limit)
{
	pid_t child = fork();
	int status = 0;

	g_assert_cmpint(child, >=, 0);
	if (child == 0) {
		g_autofree char *text = g_strdup_printf("%u", limit);
		g_setenv("PROA_TEST_RENAMES", text, TRUE);
		act(fixture);
		_exit(0);
	}
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void rotate(const Fixture *fixture, const char *role)
{
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(fixture);
	const ProaCeremonyRotation rotation = { .role = role,
		.keys_dir = fixture->keys,
		.algorithm = "ed25519",
		.lifetimes = &fixture->lifetimes };
	g_autoptr(ProaChange) change = proa_ceremony_rotate(feed, &rotation, signers, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(change);
	gboolean ok = proa_commit(change, signers, &fixture->lifetimes, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

/* A new key for the timestamp, so that the old one would not do under the new root. */
static inline void rotate_timestamp(const Fixture *fixture)
{
	rotate(fixture, "timestamp");
}

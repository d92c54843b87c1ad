/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/copy.h"

#include "base/file.h"
#include "base/reason.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The kernel's own limits. */
#define MAX_XATTR_NAMES 65536
#define MAX_XATTR_VALUE 65536
#define MAX_COPY (1 << 20)

static gboolean fail_on(GError **error, const char *doing, const char *name)
{
	return proa_fail_errno(error, PROA_REASON_IO, errno, "%s %s", doing, name);
}

/*
 * Where overlayfs found the lower file: in the release left, so wrong for the next. It makes a new mark when
 * it needs one.
 */
static gboolean is_stale(const char *attribute)
{
	return strcmp(attribute, "trusted.overlay.origin") == 0 ||
	       strcmp(attribute, "trusted.overlay.uuid") == 0;
}

/* A path of @name below @fd that the calls for extended attributes take; they have no variant with a
 * descriptor. */
static char *proc_path(int fd, const char *name)
{
	return g_strdup_printf("/proc/self/fd/%d/%s", fd, name);
}

static gboolean copy_attributes(int from, int to, const char *name, GError **error)
{
	g_autofree char *source = proc_path(from, name), *target = proc_path(to, name);
	g_autofree char *names = g_malloc(MAX_XATTR_NAMES);
	ssize_t size = llistxattr(source, names, MAX_XATTR_NAMES);

	if (size < 0 && errno == ENOTSUP)
		return TRUE;
	if (size < 0)
		return fail_on(error, "reading the attributes of", name);
	g_autofree char *value = size > 0 ? g_malloc(MAX_XATTR_VALUE) : NULL;
	for (const char *p = names; p < names + size; p += strlen(p) + 1) {
		if (is_stale(p))
			continue;
		ssize_t length = lgetxattr(source, p, value, MAX_XATTR_VALUE);
		if (length < 0 || lsetxattr(target, p, value, (gsize)length, 0) < 0)
			return proa_fail_errno(
				error, PROA_REASON_IO, errno, "copying the attribute %s of %s", p, name);
	}
	return TRUE;
}

/* Owner before mode: changing the owner takes set-user-ID bits away. Times last. */
static gboolean copy_metadata(int from, int to, const char *name, const struct stat *st, GError **error)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_on(error, "setting the owner of", name);
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return fail_on(error, "setting the mode of", name);
	if (!copy_attributes(from, to, name, error))
		return FALSE;
	if (utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_on(error, "setting the times of", name);
	return TRUE;
}

static gboolean copy_file(int from, int to, const char *name, GError **error)
{
	PROA_AUTO_FD int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	PROA_AUTO_FD int out =
		in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (out < 0)
		return fail_on(error, "opening", name);
	for (;;) {
		ssize_t n = sendfile(out, in, NULL, MAX_COPY);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_on(error, "copying", name);
		if (n == 0)
			return TRUE;
	}
}

static gboolean copy_link(int from, int to, const char *name, GError **error)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from, name, target, sizeof target - 1);

	if (length < 0)
		return fail_on(error, "reading the link", name);
	target[length] = '\0';
	return symlinkat(target, to, name) == 0 || fail_on(error, "making the link", name);
}

static gboolean copy_dir(int from, int to, const char *name, guint max_depth, GError **error)
{
	if (max_depth == 0)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "directories are nested too deep at %s", name);
	if (mkdirat(to, name, 0700) < 0)
		return fail_on(error, "making the directory", name);
	PROA_AUTO_FD int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	PROA_AUTO_FD int out =
		in < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (out < 0)
		return fail_on(error, "opening the directory", name);
	return proa_copy_tree(in, out, max_depth - 1, error);
}

static gboolean copy_entry(int from, int to, const char *name, guint max_depth, GError **error)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_on(error, "looking at", name);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR: /* it sets its own metadata, when nothing is added to it any more */
		return copy_dir(from, to, name, max_depth, error);
	case S_IFREG:
		if (!copy_file(from, to, name, error))
			return FALSE;
		break;
	case S_IFLNK:
		if (!copy_link(from, to, name, error))
			return FALSE;
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		if (mknodat(to, name, st.st_mode & S_IFMT, st.st_rdev) < 0)
			return fail_on(error, "making the node", name);
		break;
	default:
		return TRUE;
	}
	return copy_metadata(from, to, name, &st, error);
}

/* A stream over a descriptor of its own, so that the caller's stays open. */
static DIR *open_stream(int fd)
{
	PROA_AUTO_FD int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);

	if (dir)
		proa_steal_fd(&own);
	return dir;
}

static gboolean is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

gboolean proa_copy_tree(int from, int to, guint max_depth, GError **error)
{
	DIR *dir = open_stream(from);
	gboolean ok = TRUE;
	struct stat st;

	if (!dir)
		return fail_on(error, "reading", "a directory");
	/* cppcheck-suppress readdirCalled ; each stream is this function's own */
	for (struct dirent *found; ok && (found = readdir(dir));)
		ok = is_dot(found->d_name) || copy_entry(from, to, found->d_name, max_depth, error);
	closedir(dir);
	if (ok && fstat(from, &st) < 0)
		return fail_on(error, "looking at", "a directory");
	return ok && copy_metadata(from, to, ".", &st, error);
}

static gboolean remove_contents(int fd, guint max_depth, GError **error)
{
	DIR *dir = open_stream(fd);
	gboolean ok = TRUE;

	if (!dir)
		return fail_on(error, "reading", "a directory");
	/* cppcheck-suppress readdirCalled ; each stream is this function's own */
	for (struct dirent *found; ok && (found = readdir(dir));)
		ok = is_dot(found->d_name) || proa_remove_tree(fd, found->d_name, max_depth, error);
	closedir(dir);
	return ok;
}

gboolean proa_remove_tree(int dir_fd, const char *name, guint max_depth, GError **error)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return TRUE;
	if (errno != EISDIR)
		return fail_on(error, "removing", name);
	if (max_depth == 0)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "directories are nested too deep at %s", name);
	PROA_AUTO_FD int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail_on(error, "opening", name);
	if (!remove_contents(fd, max_depth - 1, error))
		return FALSE;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || fail_on(error, "removing", name);
}

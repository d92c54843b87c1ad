/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pairing.h"

#include "base/file.h"
#include "boot/copy.h"
#include "boot/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "extensions"
#define HALF_MADE "extensions.new"
#define TEMPORARY ".proa-pairing.tmp"
#define SUFFIX ".raw"
#define MAX_DEPTH 3
/* What st_blocks counts in. */
#define BLOCK 512
#define LEFT "/var/lib/proa/extensions-left"

static const struct {
	const char *kept, *path;
	gboolean exact; /* what is not remembered is not to be there */
} folders[] = { { "var", "/var/lib/extensions", TRUE }, { "images", "/var/lib/proa/extensions", FALSE } };

static int open_folder(const char *root, const char *path)
{
	g_autofree char *full = g_strconcat(root, path, NULL);

	return open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_below(int fd, const char *name)
{
	return openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The images in the folder at @fd; an empty array if there are none, or no folder. */
static GPtrArray *list_images(int fd)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(GDir) dir = fd >= 0 ? g_dir_open(path, 0, NULL) : NULL;
	const char *name;
	struct stat st;

	while (dir && names->len < PROA_PAIRING_MAX && (name = g_dir_read_name(dir)))
		if (g_str_has_suffix(name, SUFFIX) && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			g_ptr_array_add(names, g_strdup(name));
	return names;
}

static gboolean is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static gboolean has_image(int fd, const char *name, const struct stat *image)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&st, image);
}

/* Whether the set at @fd is that of the images there are. */
static gboolean is_kept(int fd, const char *root)
{
	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		PROA_AUTO_FD int from = open_folder(root, folders[i].path);
		PROA_AUTO_FD int kept = open_below(fd, folders[i].kept);
		g_autoptr(GPtrArray) names = list_images(from);
		g_autoptr(GPtrArray) kept_names = list_images(kept);
		if (kept < 0 || names->len != kept_names->len)
			return FALSE;
		for (guint n = 0; n < names->len; n++) {
			struct stat st;
			const char *name = g_ptr_array_index(names, n);
			if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !has_image(kept, name, &st))
				return FALSE;
		}
	}
	return TRUE;
}

/* Of @root's images, into the empty folder @to_fd. *@ret_apart: they are on another mount, as for a unit
 * whose folders are bind mounts. */
static gboolean fill(int to_fd, const char *root, gboolean *ret_apart, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		PROA_AUTO_FD int from = open_folder(root, folders[i].path);
		g_autoptr(GPtrArray) names = list_images(from);
		if (mkdirat(to_fd, folders[i].kept, 0700) < 0)
			return proa_fail_errno(
				error, PROA_REASON_IO, errno, "remembering the system extensions");
		PROA_AUTO_FD int to = open_below(to_fd, folders[i].kept);
		for (guint n = 0; n < names->len; n++) {
			const char *name = g_ptr_array_index(names, n);
			/* One that went meanwhile is not there; an immutable one takes no link. */
			if (linkat(from, name, to, name, 0) == 0 || errno == ENOENT || errno == EPERM ||
				errno == EMLINK)
				continue;
			*ret_apart = errno == EXDEV;
			return proa_fail_errno(
				error, PROA_REASON_IO, errno, "remembering the system extension %s", name);
		}
	}
	return TRUE;
}

/* All of it first, then its name: a power cut leaves the former set or this one. */
static gboolean name_set(int fd, const char *path, GError **error)
{
	if (syncfs(fd) == 0 &&
		(renameat2(fd, HALF_MADE, fd, FOLDER, RENAME_EXCHANGE) == 0 ||
			(errno == ENOENT && renameat(fd, HALF_MADE, fd, FOLDER) == 0)) &&
		fsync(fd) == 0)
		return TRUE;
	return proa_fail_errno(error, PROA_REASON_IO, errno, "naming %s/" FOLDER, path);
}

/*
 * Nobody writes into an image any more, which would change it for every generation that holds it: with
 * fs-verity (Linux, Documentation/filesystems/fsverity.rst) it opens to read only. It can still be replaced
 * and removed. A file system that has no such thing, or can only be read, leaves it as it is; so does whoever
 * writes it just now.
 */
static void seal(int fd, const char *name)
{
	struct fsverity_enable_arg how = {
		.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096
	};
	PROA_AUTO_FD int image = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (image < 0 || ioctl(image, FS_IOC_ENABLE_VERITY, &how) == 0 || errno == EEXIST ||
		errno == EOPNOTSUPP || errno == ENOTTY || errno == EROFS || errno == ETXTBSY)
		return;
	g_warning(
		"system extension %s: it can't be kept from being written over: %s", name, g_strerror(errno));
}

/* The images of the set at @fd. */
static void seal_set(int fd)
{
	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		PROA_AUTO_FD int kept = open_below(fd, folders[i].kept);
		g_autoptr(GPtrArray) names = list_images(kept);
		for (guint n = 0; n < names->len; n++)
			seal(kept, g_ptr_array_index(names, n));
	}
}

gboolean proa_pairing_keep(const char *root, const char *etc_dir, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(etc_dir, name, NULL);
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(GError) inner = NULL;
	gboolean apart = FALSE;

	if (fd < 0 && errno == ENOENT)
		return TRUE;
	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", path);
	if (!proa_remove_tree(fd, HALF_MADE, MAX_DEPTH, error))
		return FALSE;
	PROA_AUTO_FD int former = open_below(fd, FOLDER);
	if (former >= 0 && is_kept(former, root)) {
		seal_set(former);
		return TRUE;
	}
	if (mkdirat(fd, HALF_MADE, 0700) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making %s/" HALF_MADE, path);
	PROA_AUTO_FD int half_made = open_below(fd, HALF_MADE);
	gboolean named = fill(half_made, root, &apart, &inner) && name_set(fd, path, &inner);
	if (named)
		seal_set(half_made);
	/* Now the former set, or what became of this one. */
	if (!proa_remove_tree(fd, HALF_MADE, MAX_DEPTH, named ? error : NULL))
		return FALSE;
	if (named || apart)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}

/* The folder of what is out of the way, made if missing; -1 if it can't be. */
static int open_left(const char *root)
{
	g_autofree char *path = g_strconcat(root, LEFT, NULL);

	return proa_file_make_dirs(path, NULL) ? open_folder(root, LEFT) : -1;
}

guint proa_pairing_left(const char *root, guint64 *ret_bytes)
{
	PROA_AUTO_FD int left = open_folder(root, LEFT);
	g_autoptr(GPtrArray) names = list_images(left);
	struct stat st;

	*ret_bytes = 0;
	for (guint i = 0; i < names->len; i++)
		if (fstatat(left, g_ptr_array_index(names, i), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_nlink == 1)
			*ret_bytes += (guint64)st.st_blocks * BLOCK;
	return names->len;
}

/* Links the image @name of the folder @from to where nothing merges it: the generation that holds it may go,
 * as that of a release that failed does. Never in the place of another. */
static gboolean put_out_of_the_way(int left, int from, const char *name, GError **error)
{
	g_autoptr(GPtrArray) names = list_images(left);
	struct stat own, there;

	if (names->len >= PROA_PAIRING_MAX)
		return proa_fail(error, PROA_REASON_TOO_LARGE,
			LEFT " holds %u images: remove those that nobody needs", names->len);
	if (left < 0 || fstatat(from, name, &own, AT_SYMLINK_NOFOLLOW) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "moving %s to " LEFT, name);
	g_autofree char *numbered = g_strdup_printf("%" G_GUINT64_FORMAT "-%s", (guint64)own.st_ino, name);
	const char *free_names[] = { name, numbered };
	for (gsize i = 0; i < G_N_ELEMENTS(free_names); i++) {
		if (linkat(from, name, left, free_names[i], 0) == 0) {
			g_message("system extension %s: not of this release; kept as " LEFT "/%s", name,
				free_names[i]);
			return TRUE;
		}
		if (errno == EEXIST && fstatat(left, free_names[i], &there, AT_SYMLINK_NOFOLLOW) == 0 &&
			is_same(&there, &own))
			return TRUE;
	}
	return proa_fail_errno(error, PROA_REASON_IO, errno, "moving %s to " LEFT, name);
}

/* What is at its place again needs no second one. */
static void forget_left(int left, const struct stat *own)
{
	g_autoptr(GPtrArray) names = list_images(left);
	struct stat there;

	for (guint i = 0; i < names->len; i++)
		if (fstatat(left, g_ptr_array_index(names, i), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
			is_same(&there, own))
			unlinkat(left, g_ptr_array_index(names, i), 0);
}

/* The image at its place again, in one step. */
static gboolean bring_one(int kept, int to, int left, const char *name, GError **error)
{
	struct stat own, there;
	gboolean is_there = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;

	if (fstatat(kept, name, &own, AT_SYMLINK_NOFOLLOW) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "looking at the system extension %s", name);
	/* The one that it was; or one that no generation holds. */
	if (is_there && (is_same(&there, &own) || there.st_nlink == 1))
		return TRUE;
	if (is_there && !put_out_of_the_way(left, to, name, error))
		return FALSE;
	if (unlinkat(to, TEMPORARY, 0) < 0 && errno != ENOENT)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "removing " TEMPORARY);
	if (linkat(kept, name, to, TEMPORARY, 0) < 0 || renameat(to, TEMPORARY, to, name) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "bringing the system extension %s back", name);
	forget_left(left, &own);
	return TRUE;
}

/* What this release did not have, and another generation holds. */
static gboolean remove_others(int kept, int from, int left, GError **error)
{
	g_autoptr(GPtrArray) names = list_images(from);
	gboolean done = TRUE;

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		struct stat there;
		if (faccessat(kept, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
			fstatat(from, name, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_nlink == 1)
			continue;
		if (put_out_of_the_way(left, from, name, done ? error : NULL))
			unlinkat(from, name, 0);
		else
			done = FALSE;
	}
	return done;
}

gboolean proa_pairing_bring_back(const char *root, const char *etc_dir, const char *name, GError **error)
{
	g_autofree char *last = proa_generation_last(etc_dir);
	g_autofree char *path = g_build_filename(etc_dir, name, FOLDER, NULL);
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	gboolean done = TRUE;

	/* What changed since its last boot is its operator's doing. */
	if (!last || strcmp(last, name) == 0)
		return TRUE;
	PROA_AUTO_FD int left = fd >= 0 ? open_left(root) : -1;
	for (gsize i = 0; fd >= 0 && i < G_N_ELEMENTS(folders); i++) {
		PROA_AUTO_FD int kept = open_below(fd, folders[i].kept);
		g_autoptr(GPtrArray) names = list_images(kept);
		g_autofree char *full = g_strconcat(root, folders[i].path, NULL);
		if (kept < 0 || (names->len > 0 && !proa_file_make_dirs(full, done ? error : NULL))) {
			done = FALSE;
			continue;
		}
		PROA_AUTO_FD int to = open_folder(root, folders[i].path);
		for (guint n = 0; to >= 0 && n < names->len; n++)
			done = bring_one(kept, to, left, g_ptr_array_index(names, n), done ? error : NULL) &&
			       done;
		if (to >= 0 && folders[i].exact)
			done = remove_others(kept, to, left, done ? error : NULL) && done;
	}
	if (!done && error && !*error)
		proa_fail(error, PROA_REASON_IO, "%s is not whole", path);
	return done;
}

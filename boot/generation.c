/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/generation.h"

#include "base/digest.h"
#include "base/file.h"
#include "boot/copy.h"
#include "boot/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTER "last"
#define MAX_POINTER 64
#define SHIPPED "shipped"
#define CONFLICTS "conflicts"
#define MAX_CONFLICTS (64 * 1024)
/* No generation's name, so that whatever a crash leaves is known for what it is. */
#define NOTE_PREFIX "restore-"
#define HALF_MADE_SUFFIX ".new"

gboolean proa_generation_name_valid(const char *name)
{
	return proa_hex_valid(name, PROA_GENERATION_NAME_LENGTH);
}

char *proa_generation_name(const char *root_hash)
{
	return g_strndup(root_hash, PROA_GENERATION_NAME_LENGTH);
}

static void warn(const char *doing, GError **error)
{
	g_warning("%s: %s", doing, (*error)->message);
	g_clear_error(error);
}

char *proa_generation_last(const char *etc_dir)
{
	g_autofree char *path = g_build_filename(etc_dir, POINTER, NULL);
	g_autofree char *text = proa_file_read(path, MAX_POINTER, NULL, NULL);

	if (!text || !proa_generation_name_valid(g_strchomp(text)))
		return NULL;
	return g_steal_pointer(&text);
}

static int open_dir_at(int fd, const char *name)
{
	return openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Fills the new generation @fd: an upper layer, copied or empty, and overlayfs's empty work directory. */
static gboolean fill(int etc_fd, int fd, const char *last, GError **error)
{
	g_autofree char *last_upper = last ? g_build_filename(last, "upper", NULL) : NULL;
	PROA_AUTO_FD int from = last_upper ? open_dir_at(etc_fd, last_upper) : -1;

	if (mkdirat(fd, "upper", 0755) < 0 || mkdirat(fd, "work", 0700) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making a generation of /etc");
	if (from < 0)
		return TRUE;
	PROA_AUTO_FD int to = open_dir_at(fd, "upper");
	if (to < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening the new generation of /etc");
	if (!proa_copy_tree(from, to, PROA_GENERATION_MAX_DEPTH, error)) {
		g_prefix_error(error, "copying the generation %s of /etc: ", last);
		return FALSE;
	}
	return TRUE;
}

/* A list is larger than it could be in a generation's own words; nobody would read it. */
static gboolean save_conflicts(const char *folder, char **conflicts, GError **error)
{
	g_autofree char *path = g_build_filename(folder, CONFLICTS, NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	for (char **conflict = conflicts; *conflict && text->len < MAX_CONFLICTS / 2; conflict++) {
		g_autofree char *escaped = g_strescape(*conflict, NULL);
		g_string_append_printf(text, "%s\n", escaped);
	}
	return proa_file_replace(path, text->str, text->len, 0644, error);
}

/* Takes out of the copy what need not go along to this release, and remembers what it ships for the next
 * time. */
static gboolean merge(
	const char *etc_dir, const char *half_made, int fd, const char *last, int shipped_fd, GError **error)
{
	g_autofree char *folder = g_build_filename(etc_dir, half_made, NULL);
	g_autofree char *own = g_build_filename(folder, SHIPPED, NULL);
	g_autofree char *before = g_build_filename(etc_dir, last ? last : "", SHIPPED, NULL);
	g_autoptr(GHashTable) lower = proa_merge_list(shipped_fd, PROA_GENERATION_MAX_DEPTH, error);
	g_auto(GStrv) conflicts = NULL;

	if (!lower || !proa_merge_save(own, lower, error))
		return FALSE;
	PROA_AUTO_FD int upper = open_dir_at(fd, "upper");
	g_autoptr(GHashTable) base = proa_merge_load(before);
	/* Without it nobody knows what the operator changed: all of it is the operator's. */
	if (upper < 0 || !last || g_hash_table_size(base) == 0)
		return TRUE;
	return proa_merge_upper(upper, base, lower, PROA_GENERATION_MAX_DEPTH, &conflicts, error) &&
	       (!*conflicts || save_conflicts(folder, conflicts, error));
}

char **proa_generation_conflicts(const char *etc_dir, const char *name)
{
	g_autofree char *path = g_build_filename(etc_dir, name, CONFLICTS, NULL);
	g_autofree char *text = proa_file_read(path, MAX_CONFLICTS, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	g_autoptr(GStrvBuilder) paths = g_strv_builder_new();

	for (char **line = lines; *line; line++)
		if (**line)
			g_strv_builder_take(paths, g_strcompress(*line));
	return g_strv_builder_end(paths);
}

/* A generation made by a release that did not know of this yet. */
static gboolean remember_shipped(const char *etc_dir, const char *name, int shipped_fd, GError **error)
{
	g_autofree char *path = g_build_filename(etc_dir, name, SHIPPED, NULL);

	if (shipped_fd < 0 || g_file_test(path, G_FILE_TEST_EXISTS))
		return TRUE;
	g_autoptr(GHashTable) lower = proa_merge_list(shipped_fd, PROA_GENERATION_MAX_DEPTH, error);
	return lower && proa_merge_save(path, lower, error);
}

char *proa_generation_restore_note(const char *etc_dir, const char *name)
{
	g_autofree char *file = g_strconcat(NOTE_PREFIX, name, NULL);

	return g_build_filename(etc_dir, file, NULL);
}

/* A copy of one in the middle of a restore is in the middle of it, too; one of a whole one is whole. */
static gboolean take_note_along(const char *etc_dir, const char *last, const char *name, GError **error)
{
	g_autofree char *from = proa_generation_restore_note(etc_dir, last ? last : "");
	g_autofree char *to = proa_generation_restore_note(etc_dir, name);
	g_autofree char *text = last ? proa_file_read(from, PROA_GENERATION_MAX_NOTE, NULL, NULL) : NULL;

	return text ? proa_file_replace(to, text, strlen(text), 0600, error) : proa_file_remove(to, error);
}

static gboolean make(const char *etc_dir, int etc_fd, const char *name, int shipped_fd, GError **error)
{
	g_autofree char *half_made = g_strconcat(name, HALF_MADE_SUFFIX, NULL);
	g_autofree char *last = proa_generation_last(etc_dir);

	if (!proa_remove_tree(etc_fd, half_made, PROA_GENERATION_MAX_DEPTH, error))
		return FALSE;
	if (mkdirat(etc_fd, half_made, 0755) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making %s/%s", etc_dir, half_made);
	PROA_AUTO_FD int fd = open_dir_at(etc_fd, half_made);
	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s/%s", etc_dir, half_made);
	if (!fill(etc_fd, fd, last, error) ||
		(shipped_fd >= 0 && !merge(etc_dir, half_made, fd, last, shipped_fd, error)) ||
		!take_note_along(etc_dir, last, name, error))
		return FALSE;
	/* Everything in it first, then its name: a power cut leaves the generation whole or not there. */
	if (syncfs(fd) < 0 || renameat(etc_fd, half_made, etc_fd, name) < 0 || fsync(etc_fd) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "naming the generation %s/%s", etc_dir, name);
	return TRUE;
}

static gboolean point_to(const char *etc_dir, const char *name, GError **error)
{
	g_autofree char *last = proa_generation_last(etc_dir);
	g_autofree char *path = g_build_filename(etc_dir, POINTER, NULL);
	g_autofree char *text = g_strconcat(name, "\n", NULL);

	return g_strcmp0(last, name) == 0 || proa_file_replace(path, text, strlen(text), 0644, error);
}

gboolean proa_generation_prepare(const char *etc_dir, const char *name, int shipped_fd, GError **error)
{
	struct stat st;

	if (!proa_generation_name_valid(name))
		return proa_fail(error, PROA_REASON_INTERNAL, "no name of a generation: %s", name);
	if (!proa_file_make_dirs(etc_dir, error))
		return FALSE;
	PROA_AUTO_FD int etc_fd = open(etc_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (etc_fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", etc_dir);
	gboolean there = fstatat(etc_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there && !make(etc_dir, etc_fd, name, shipped_fd, error))
		return FALSE;
	/* A full disk must not cost a node that comes back the configuration that it has. */
	g_autoptr(GError) unwritten = NULL;
	if (there && !remember_shipped(etc_dir, name, shipped_fd, &unwritten))
		warn("remembering what this release ships in /etc", &unwritten);
	if (!point_to(etc_dir, name, &unwritten))
		warn("noting which generation of /etc is in use", &unwritten);
	return TRUE;
}

gboolean proa_generation_use(const char *etc_dir, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(etc_dir, name, NULL);

	return !g_file_test(path, G_FILE_TEST_IS_DIR) || point_to(etc_dir, name, error);
}

char *proa_generation_upper(const char *etc_dir, const char *name)
{
	g_autofree char *last = proa_generation_last(etc_dir);
	const char *names[] = { name, last };

	for (gsize i = 0; i < G_N_ELEMENTS(names) && names[i]; i++) {
		g_autofree char *path = g_build_filename(etc_dir, names[i], "upper", NULL);
		PROA_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			return g_steal_pointer(&path);
	}
	return NULL;
}

gboolean proa_generation_prune(const char *etc_dir, const char *const *keep, GError **error)
{
	g_autofree char *last = proa_generation_last(etc_dir);
	PROA_AUTO_FD int etc_fd = open(etc_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(GDir) dir = etc_fd < 0 ? NULL : g_dir_open(etc_dir, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		gboolean note = g_str_has_prefix(name, NOTE_PREFIX);
		const char *noted = note ? name + strlen(NOTE_PREFIX) : "";
		if (note && !g_strv_contains(keep, noted) && g_strcmp0(last, noted) != 0 &&
			unlinkat(etc_fd, name, 0) < 0)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s/%s", etc_dir, name);
		g_autofree char *bare = g_strndup(name, PROA_GENERATION_NAME_LENGTH);
		const char *rest = name + strlen(bare);
		gboolean half_made = strcmp(rest, HALF_MADE_SUFFIX) == 0;
		if (!proa_generation_name_valid(bare) || (*rest && !half_made))
			continue;
		if (!half_made && (g_strv_contains(keep, name) || g_strcmp0(last, name) == 0))
			continue;
		if (!proa_remove_tree(etc_fd, name, PROA_GENERATION_MAX_DEPTH, error))
			return FALSE;
	}
	return TRUE;
}

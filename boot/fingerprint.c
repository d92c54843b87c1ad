/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/fingerprint.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLED_SECONDS 2

typedef struct {
	GChecksum *sum;
	gint64 now;
	guint max_depth;
} Walk;

static gboolean take(Walk *walk, const char *path, const struct stat *st)
{
	/* An overlay gives a directory another number with each boot. */
	g_autofree char *line = g_strdup_printf("%" G_GUINT64_FORMAT " %o %u %u %" G_GINT64_FORMAT
						" %" G_GINT64_FORMAT ".%ld %" G_GINT64_FORMAT ".%ld ",
		S_ISDIR(st->st_mode) ? 0 : (guint64)st->st_ino, (guint)st->st_mode, (guint)st->st_uid,
		(guint)st->st_gid, (gint64)st->st_size, (gint64)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		(gint64)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);

	g_checksum_update(walk->sum, (const guchar *)line, -1);
	g_checksum_update(walk->sum, (const guchar *)path, (gssize)strlen(path) + 1);
	/* Also what is to come: the clock was set back. */
	return st->st_ctim.tv_sec < walk->now - SETTLED_SECONDS;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *names_in(int fd)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *entry;

	if (!dir) {
		if (again >= 0)
			close(again);
		return NULL;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			g_ptr_array_add(names, g_strdup(entry->d_name));
	closedir(dir);
	g_ptr_array_sort(names, compare_names);
	return g_steal_pointer(&names);
}

static gboolean walk_below(Walk *walk, int fd, const char *path, guint depth)
{
	g_autoptr(GPtrArray) names = depth <= walk->max_depth ? names_in(fd) : NULL;

	for (guint i = 0; names && i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *below = g_strconcat(path, "/", name, NULL);
		struct stat st;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !take(walk, below, &st))
			return FALSE;
		if (!S_ISDIR(st.st_mode))
			continue;
		PROA_AUTO_FD int child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0 || !walk_below(walk, child, below, depth + 1))
			return FALSE;
	}
	return names != NULL;
}

char *proa_fingerprint(const char *path, guint max_depth)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	Walk walk = { sum, g_get_real_time() / G_USEC_PER_SEC, max_depth };
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !take(&walk, "", &st) || !walk_below(&walk, fd, "", 1))
		return NULL;
	return g_strdup(g_checksum_get_string(sum));
}

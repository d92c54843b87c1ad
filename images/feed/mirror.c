/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/mirror.h"

#include "base/file.h"
#include "images/feed/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ROOTS 100000

/* Fetches a file of content under another name, and gives it its own when it is whole. */
static gboolean fetch(ProaWalk *walk, const ProaWalkFile *file, const char *to, GError **error)
{
	g_autofree char *temporary = g_strconcat(to, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);
	if (!proa_walk_check(walk, file, fd, error)) {
		unlink(temporary);
		return FALSE;
	}
	if (fsync(fd) < 0 || rename(temporary, to) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "writing %s", to);
	return TRUE;
}

static gboolean bring_file(
	ProaWalk *walk, const char *dir, const ProaWalkFile *file, ProaMirrored *mirrored, GError **error)
{
	g_autofree char *to = g_build_filename(dir, file->path, NULL);
	g_autofree char *parent = g_path_get_dirname(to);
	struct stat st;

	mirrored->files++;
	/* Its name is its digest, and it got that when it was whole. */
	if (stat(to, &st) == 0 && st.st_size == file->size)
		return TRUE;
	if (!proa_file_make_dirs(parent, error))
		return FALSE;
	mirrored->fetched++;
	mirrored->bytes += file->size;
	return file->bytes ? proa_feed_write(dir, file->path, file->bytes, error)
			   : fetch(walk, file, to, error);
}

/* Every root from the first on: a node may come with any. */
static gboolean bring_roots(ProaWalk *walk, const char *dir, gint64 newest, GError **error)
{
	for (gint64 version = 1; version <= newest && version < MAX_ROOTS; version++) {
		g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".root.json", version);
		g_autofree char *path = g_strconcat("metadata/", name, NULL);
		g_autoptr(GBytes) bytes = proa_source_read(walk->metadata, name, PROA_ROOT_MAX_SIZE, error);
		if (!bytes || !proa_feed_write(dir, path, bytes, error))
			return FALSE;
	}
	return TRUE;
}

/* A role's file, as the store got it and verified it. */
static gboolean bring_role(
	ProaWalk *walk, const char *dir, const ProaTrustRole *role, const char *name, GError **error)
{
	g_autofree char *from = g_strdup_printf("%s/%s.json", walk->store, role->name);
	g_autofree char *path = g_strconcat("metadata/", name, NULL);
	gsize size;
	char *text = proa_file_read(from, PROA_TARGETS_MAX_SIZE, &size, error);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;

	return bytes && proa_feed_write(dir, path, bytes, error);
}

static gboolean bring_metadata(ProaWalk *walk, const char *dir, GError **error)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(walk->trust);
	const ProaTrustRole *timestamp = NULL;

	for (guint i = 0; i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		g_autofree char *name =
			g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", role->version, role->name);
		if (strcmp(role->name, "timestamp") == 0)
			timestamp = role;
		else if (strcmp(role->name, "root") == 0 ? !bring_roots(walk, dir, role->version, error)
							 : !bring_role(walk, dir, role, name, error))
			return FALSE;
	}
	return timestamp && bring_role(walk, dir, timestamp, "timestamp.json", error);
}

gboolean proa_mirror_run(ProaWalk *walk, const char *dir, ProaMirrored *ret_mirrored, GError **error)
{
	ProaMirrored mirrored = { 0 };

	if (walk->problems->len > 0) {
		const ProaWalkProblem *problem = walk->problems->pdata[0];
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"the feed is not whole: %s: %s (`proa-feed audit` tells all)", problem->path,
			problem->message);
	}
	for (guint i = 0; i < walk->files->len; i++) {
		if (!bring_file(walk, dir, walk->files->pdata[i], &mirrored, error))
			return FALSE;
		proa_walk_progress("mirroring", i, walk->files->len);
	}
	if (!bring_metadata(walk, dir, error))
		return FALSE;
	*ret_mirrored = mirrored;
	return TRUE;
}

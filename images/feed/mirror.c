/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/mirror.h"

#include "base/file.h"
#include "images/feed/feed.h"
#include "images/feed/prune.h"
#include "images/feed/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ROOTS 100000
#define MAX_COMMIT ((gsize)1024 * 1024)

/* A mirror at work. */
typedef struct {
	ProaWalk *walk;
	const char *dir;
	GHashTable *keep; /* paths below the mirror that the feed names */
	ProaMirrored mirrored;
} Mirror;

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

static void keep(Mirror *mirror, const char *path)
{
	g_hash_table_add(mirror->keep, g_strdup(path));
}

static gboolean bring_file(Mirror *mirror, const ProaWalkFile *file, GError **error)
{
	g_autofree char *to = g_build_filename(mirror->dir, file->path, NULL);
	g_autofree char *parent = g_path_get_dirname(to);
	struct stat st;

	keep(mirror, file->path);
	mirror->mirrored.files++;
	/* Its name is its digest, and it got that when it was whole. */
	if (stat(to, &st) == 0 && st.st_size == file->size)
		return TRUE;
	if (!proa_file_make_dirs(parent, error))
		return FALSE;
	mirror->mirrored.fetched++;
	mirror->mirrored.bytes += file->size;
	return file->bytes ? proa_feed_write(mirror->dir, file->path, file->bytes, error)
			   : fetch(mirror->walk, file, to, error);
}

static gboolean bring_files(Mirror *mirror, GError **error)
{
	const GPtrArray *files = mirror->walk->files;

	for (guint i = 0; i < files->len; i++) {
		if (!bring_file(mirror, files->pdata[i], error))
			return FALSE;
		proa_walk_progress("mirroring", i, files->len);
	}
	return TRUE;
}

/* Whether the feed has this tree: one that was added with --no-trees has not. */
static gboolean has_tree(ProaWalk *walk, const ProaWalkTree *tree, gboolean *ret_has, GError **error)
{
	g_autofree char *path =
		g_strdup_printf("trees/objects/%.2s/%s.commit", tree->commit, tree->commit + 2);
	g_autoptr(GError) inner = NULL;
	g_autoptr(GBytes) bytes = proa_source_read(walk->source, path, MAX_COMMIT, &inner);

	*ret_has = bytes != NULL;
	if (bytes || g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}

static gboolean bring_trees(Mirror *mirror, GHashTable *refs, GError **error)
{
	ProaWalk *walk = mirror->walk;
	g_autofree char *from = g_strconcat(proa_source_place(walk->source), "/trees", NULL);
	g_autofree char *to = g_build_filename(mirror->dir, "trees", NULL);

	for (guint i = 0; i < walk->trees->len; i++) {
		const ProaWalkTree *tree = walk->trees->pdata[i];
		gboolean has;
		if (!has_tree(walk, tree, &has, error))
			return FALSE;
		if (!has)
			continue;
		if (!proa_trees_pull(to, from, tree->commit, tree->ref, error))
			return FALSE;
		g_hash_table_add(refs, tree->ref);
		mirror->mirrored.trees++;
		proa_walk_progress("mirroring trees", i, walk->trees->len);
	}
	return TRUE;
}

static gboolean write_metadata(Mirror *mirror, const char *name, GBytes *bytes, GError **error)
{
	g_autofree char *path = g_strconcat("metadata/", name, NULL);

	keep(mirror, path);
	return proa_feed_write(mirror->dir, path, bytes, error);
}

/* Every root from the first on: a node may come with any. */
static gboolean bring_roots(Mirror *mirror, gint64 newest, GError **error)
{
	for (gint64 version = 1; version <= newest && version < MAX_ROOTS; version++) {
		g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".root.json", version);
		g_autoptr(GBytes) bytes =
			proa_source_read(mirror->walk->metadata, name, PROA_ROOT_MAX_SIZE, error);
		if (!bytes || !write_metadata(mirror, name, bytes, error))
			return FALSE;
	}
	return TRUE;
}

/* A role's file, as the store got it and verified it. */
static gboolean bring_role(Mirror *mirror, const ProaTrustRole *role, const char *name, GError **error)
{
	g_autofree char *from = g_strdup_printf("%s/%s.json", mirror->walk->store, role->name);
	gsize size;
	char *text = proa_file_read(from, PROA_TARGETS_MAX_SIZE, &size, error);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;

	return bytes && write_metadata(mirror, name, bytes, error);
}

static gboolean bring_metadata(Mirror *mirror, GError **error)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(mirror->walk->trust);
	const ProaTrustRole *timestamp = NULL;

	for (guint i = 0; i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		g_autofree char *name =
			g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", role->version, role->name);
		if (strcmp(role->name, "timestamp") == 0)
			timestamp = role;
		else if (strcmp(role->name, "root") == 0 ? !bring_roots(mirror, role->version, error)
							 : !bring_role(mirror, role, name, error))
			return FALSE;
	}
	return timestamp && bring_role(mirror, timestamp, "timestamp.json", error);
}

static gboolean prune(Mirror *mirror, GHashTable *refs, GError **error)
{
	g_autofree char *trees = g_build_filename(mirror->dir, "trees", NULL);
	ProaPruned pruned;

	if (!proa_prune_run(mirror->dir, mirror->keep, &pruned, error) ||
		!proa_trees_prune(trees, refs, error))
		return FALSE;
	mirror->mirrored.removed = pruned.files;
	mirror->mirrored.freed = pruned.bytes;
	return TRUE;
}

/* The mirror's directory, made and locked: two who write the same temporary file would mix their bytes. */
static int open_mirror(const char *dir, GError **error)
{
	g_autofree char *ours = g_build_filename(dir, PROA_FEED_OURS, NULL);

	if (g_file_test(ours, G_FILE_TEST_EXISTS)) {
		proa_fail(error, PROA_REASON_BAD_STATE,
			"%s is a feed that is published from; a mirror needs a directory of its own", dir);
		return -1;
	}
	if (!proa_file_make_dirs(dir, error))
		return -1;
	PROA_AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", dir);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		proa_fail(error, PROA_REASON_BUSY, "another proa-feed mirrors into %s", dir);
		return -1;
	}
	return proa_steal_fd(&fd);
}

gboolean proa_mirror_run(ProaWalk *walk, const char *dir, const ProaMirrorOptions *options,
	ProaMirrored *ret_mirrored, GError **error)
{
	g_autoptr(GHashTable) paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) refs = g_hash_table_new(g_str_hash, g_str_equal); /* owned by the walk */
	Mirror mirror = { .walk = walk, .dir = dir, .keep = paths };

	if (walk->problems->len > 0) {
		const ProaWalkProblem *problem = walk->problems->pdata[0];
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"the feed is not whole: %s: %s (`proa-feed audit` tells all)", problem->path,
			problem->message);
	}
	PROA_AUTO_FD int lock = open_mirror(dir, error);
	if (lock < 0 || !bring_files(&mirror, error) ||
		(options->trees && !bring_trees(&mirror, refs, error)) || !bring_metadata(&mirror, error) ||
		(options->prune && !prune(&mirror, refs, error)))
		return FALSE;
	*ret_mirrored = mirror.mirrored;
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/mirror.h"

#include "base/file.h"
#include "images/feed/exchange.h"
#include "images/feed/feed.h"
#include "images/feed/prune.h"
#include "images/feed/trees.h"
#include "updater/trust/root.h"
#include "updater/trust/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define METADATA "metadata"
#define MAX_ROOTS 100000
#define MAX_COMMIT ((gsize)1024 * 1024)

/* A mirror at work. */
typedef struct {
	ProaWalk *walk;
	const char *dir;
	const char *metadata; /* the folder below it that metadata is written to */
	GHashTable *keep;     /* paths below the mirror that the feed names */
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

/* Whether the mirror has the file, whole: a medium rots, and it was whole when it got its name. */
static gboolean has_file(Mirror *mirror, const ProaWalkFile *file, const char *path)
{
	g_auto(ProaContent) content = { 0 };
	struct stat st;

	if (stat(path, &st) < 0)
		return FALSE;
	/* What can't be read is no better than what is altered. */
	if (st.st_size == file->size && proa_content_of_file(path, &content, NULL) &&
		g_strcmp0(content.sha256, file->sha256) == 0)
		return TRUE;
	mirror->mirrored.damaged++;
	return FALSE;
}

static gboolean bring_file(Mirror *mirror, const ProaWalkFile *file, GError **error)
{
	g_autofree char *to = g_build_filename(mirror->dir, file->path, NULL);
	g_autofree char *parent = g_path_get_dirname(to);

	keep(mirror, file->path);
	mirror->mirrored.files++;
	if (has_file(mirror, file, to))
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
	g_autofree char *path = g_strdup_printf("%s/%s", mirror->metadata, name),
			*later = g_strdup_printf("%s/%s", METADATA, name);

	keep(mirror, later);
	return proa_feed_write(mirror->dir, path, bytes, error);
}

static GBytes *read_file(const char *dir, const char *name, gsize max, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	gsize size;
	char *text = proa_file_read(path, max, &size, error);

	return text ? g_bytes_new_take(text, size) : NULL;
}

static char *root_name(gint64 version)
{
	return g_strdup_printf("%" G_GINT64_FORMAT ".root.json", version);
}

/* What the mirror holds of its metadata already; NULL if it is not there. */
static GBytes *read_mirrored(const Mirror *mirror, const char *name, gsize max)
{
	g_autofree char *folder = g_build_filename(mirror->dir, METADATA, NULL);

	return read_file(folder, name, max, NULL);
}

/* A root of the feed: as it was verified, or, if it is older than the one that the walk began with, as it is.
 */
static GBytes *root_bytes(const Mirror *mirror, gint64 version, GError **error)
{
	g_autofree char *name = root_name(version), *kept = g_strconcat("root_history/", name, NULL);
	GBytes *bytes = read_file(mirror->walk->store, kept, PROA_ROOT_MAX_SIZE, NULL);

	return bytes ? bytes : proa_source_read(mirror->walk->metadata, name, PROA_ROOT_MAX_SIZE, error);
}

static ProaRoot *root_of(const Mirror *mirror, gint64 version, GError **error)
{
	g_autofree char *name = root_name(version);
	g_autoptr(GBytes) bytes = root_bytes(mirror, version, error);

	return bytes ? proa_root_parse(bytes, name, error) : NULL;
}

/* Every root from the first on: a node may come with any. */
static gboolean bring_roots(Mirror *mirror, gint64 newest, GError **error)
{
	for (gint64 version = 1; version <= newest && version < MAX_ROOTS; version++) {
		g_autofree char *name = root_name(version);
		g_autoptr(GBytes) bytes = root_bytes(mirror, version, error);
		if (!bytes || !write_metadata(mirror, name, bytes, error))
			return FALSE;
	}
	return TRUE;
}

/* A role's file, as the store got it and verified it. */
static GBytes *verified(const Mirror *mirror, const char *role, GError **error)
{
	g_autofree char *name = g_strconcat(role, ".json", NULL);

	return read_file(mirror->walk->store, name, PROA_TARGETS_MAX_SIZE, error);
}

static gboolean bring_role(Mirror *mirror, const char *role, const char *name, GError **error)
{
	g_autoptr(GBytes) bytes = verified(mirror, role, error);

	return bytes && write_metadata(mirror, name, bytes, error);
}

/* Roots and all else first: whoever sees the timestamp finds what it names. */
static gboolean bring_metadata(Mirror *mirror, GError **error)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(mirror->walk->trust);

	for (guint i = 0; i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		g_autofree char *name =
			g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", role->version, role->name);
		if (strcmp(role->name, "root") == 0 ? !bring_roots(mirror, role->version, error)
						    : strcmp(role->name, "timestamp") != 0 &&
							      !bring_role(mirror, role->name, name, error))
			return FALSE;
	}
	return bring_role(mirror, "timestamp", "timestamp.json", error);
}

/*
 * All of it at once: no order of files is good for everybody. The newest timestamp need not be signed with
 * keys that the mirror's old root knows, and the old one need not be with keys of the new root.
 */
static gboolean exchange_metadata(Mirror *mirror, GError **error)
{
	g_autofree char *folder = g_build_filename(mirror->dir, METADATA, NULL);
	g_autofree char *new = proa_exchange_begin(folder, error);
	gboolean done = FALSE;

	if (!new)
		return FALSE;
	mirror->metadata = METADATA ".new";
	if (!bring_metadata(mirror, error) || !proa_exchange_end(folder, &done, error))
		return FALSE;
	mirror->metadata = METADATA;
	/* A file system that can't: one by one. A kill after a new root leaves the rest to the next run. */
	return done || (bring_metadata(mirror, error) && proa_exchange_drop(folder, error));
}

/* Whether the mirror in the directory is one of this feed. */
static gboolean check_same_feed(const Mirror *mirror, GError **error)
{
	g_autoptr(GBytes) there = read_mirrored(mirror, "1.root.json", PROA_ROOT_MAX_SIZE);
	g_autoptr(GBytes) first = there ? root_bytes(mirror, 1, error) : NULL;

	if (!there)
		return TRUE;
	if (!first)
		return FALSE;
	return g_bytes_equal(first, there) ||
	       proa_fail(error, PROA_REASON_BAD_STATE,
		       "%s is a mirror of another feed than %s (their first roots differ): it needs a directory of its own",
		       mirror->dir, proa_source_place(mirror->walk->source));
}

/* And not newer. New keys undo the numbers of a thief, here as on a node (TUF 5.3.11). */
static gboolean check_not_newer(const Mirror *mirror, gint64 newest_root, gint64 version, GError **error)
{
	g_autoptr(GBytes) bytes = read_mirrored(mirror, "timestamp.json", PROA_TIMESTAMP_MAX_SIZE);
	g_autoptr(ProaTimestamp) there = bytes ? proa_timestamp_parse(bytes, "timestamp.json", NULL) : NULL;

	if (!there || there->head.version <= version)
		return TRUE;
	g_autoptr(ProaRoot) root = root_of(mirror, newest_root, error);
	if (!root)
		return FALSE;
	return !proa_signed_check(there->file, root->roles[PROA_ROLE_TIMESTAMP], "timestamp.json", NULL) ||
	       proa_fail(error, PROA_REASON_METADATA_ROLLBACK,
		       "%s has timestamp version %" G_GINT64_FORMAT ", %s only version %" G_GINT64_FORMAT
		       ": that is an older copy of the feed",
		       mirror->dir, there->head.version, proa_source_place(mirror->walk->source), version);
}

static gboolean check_mirrored(const Mirror *mirror, GError **error)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(mirror->walk->trust);
	const ProaTrustRole *root = roles->pdata[0], *timestamp = roles->pdata[1];

	return check_same_feed(mirror, error) &&
	       check_not_newer(mirror, root->version, timestamp->version, error);
}

/* Nothing that names a file is on the disk before the file and its name are. */
static gboolean settle(int dir_fd, const char *dir, GError **error)
{
	return syncfs(dir_fd) == 0 || proa_fail_errno(error, PROA_REASON_IO, errno, "syncing %s", dir);
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
	Mirror mirror = { .walk = walk, .dir = dir, .metadata = METADATA, .keep = paths };

	if (walk->problems->len > 0) {
		const ProaWalkProblem *problem = walk->problems->pdata[0];
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"the feed is not whole: %s: %s (`proa-feed audit` tells all)", problem->path,
			problem->message);
	}
	PROA_AUTO_FD int lock = open_mirror(dir, error);
	if (lock < 0 || !check_mirrored(&mirror, error) || !bring_files(&mirror, error) ||
		(options->trees && !bring_trees(&mirror, refs, error)) || !settle(lock, dir, error) ||
		!exchange_metadata(&mirror, error) || (options->prune && !prune(&mirror, refs, error)))
		return FALSE;
	*ret_mirrored = mirror.mirrored;
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/prune.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders within folders of targets: a channel, and a release in it. */
#define MAX_DEPTH 16

static gboolean prune_folder(const char *dir, const char *folder, guint depth, GHashTable *keep,
	ProaPruned *pruned, GError **error);

static gboolean prune_entry(
	const char *dir, const char *path, guint depth, GHashTable *keep, ProaPruned *pruned, GError **error)
{
	g_autofree char *full = g_build_filename(dir, path, NULL);
	struct stat st;

	if (lstat(full, &st) < 0)
		return errno == ENOENT || proa_fail_errno(error, PROA_REASON_IO, errno, "reading %s", full);
	if (S_ISDIR(st.st_mode)) {
		if (!prune_folder(dir, path, depth + 1, keep, pruned, error))
			return FALSE;
		(void)rmdir(full); /* if nothing is left in it */
		return TRUE;
	}
	if (g_hash_table_contains(keep, path))
		return TRUE;
	if (unlink(full) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", full);
	pruned->files++;
	pruned->bytes += st.st_size;
	return TRUE;
}

static gboolean prune_folder(const char *dir, const char *folder, guint depth, GHashTable *keep,
	ProaPruned *pruned, GError **error)
{
	g_autofree char *full = g_build_filename(dir, folder, NULL);
	g_autoptr(GDir) entries = depth < MAX_DEPTH ? g_dir_open(full, 0, NULL) : NULL;
	const char *name;

	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		if (!prune_entry(dir, path, depth, keep, pruned, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_prune_run(const char *dir, GHashTable *keep, ProaPruned *ret_pruned, GError **error)
{
	static const char *const folders[] = { "metadata", "targets", "payloads", "sbom" };
	ProaPruned pruned = { 0 };

	for (guint i = 0; i < G_N_ELEMENTS(folders); i++)
		if (!prune_folder(dir, folders[i], 0, keep, &pruned, error))
			return FALSE;
	*ret_pruned = pruned;
	return TRUE;
}

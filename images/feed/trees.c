/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/trees.h"

#include "base/file.h"

#include <ostree.h>

/* The name that a repository on another machine has while it is pulled from. */
#define REMOTE "proa-mirrored"

static OstreeRepo *open_repository(const char *path, GError **error)
{
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(OstreeRepo) repository = ostree_repo_new(file);

	return ostree_repo_open(repository, NULL, error) ? g_steal_pointer(&repository) : NULL;
}

static OstreeRepo *open_or_create(const char *path, GError **error)
{
	g_autofree char *config = g_build_filename(path, "config", NULL);

	if (!g_file_test(config, G_FILE_TEST_EXISTS)) {
		g_autoptr(GFile) file = g_file_new_for_path(path);
		g_autoptr(OstreeRepo) repository = ostree_repo_new(file);
		if (!proa_file_make_dirs(path, error) ||
			!ostree_repo_create(repository, OSTREE_REPO_MODE_ARCHIVE, NULL, error))
			return NULL;
	}
	return open_repository(path, error);
}

static gboolean is_url(const char *place)
{
	return g_str_has_prefix(place, "http://") || g_str_has_prefix(place, "https://");
}

/* libostree pulls over HTTP from what its configuration knows alone; so it knows it for as long as that
 * takes. */
static gboolean name_remote(OstreeRepo *repository, const char *url, GError **error)
{
	g_auto(GVariantDict) options = G_VARIANT_DICT_INIT(NULL);

	g_variant_dict_insert(&options, "gpg-verify", "b", FALSE);
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_dict_end(&options));
	return ostree_repo_remote_change(repository, NULL,
		url ? OSTREE_REPO_REMOTE_CHANGE_REPLACE : OSTREE_REPO_REMOTE_CHANGE_DELETE_IF_EXISTS, REMOTE,
		url, url ? variant : NULL, NULL, error);
}

static gboolean pull(OstreeRepo *repository, const char *from, const char *tree, GError **error)
{
	g_autofree char *absolute = g_canonicalize_filename(from, NULL);
	gboolean remote = is_url(from);
	g_autofree char *url = remote ? g_strdup(REMOTE) : g_filename_to_uri(absolute, NULL, error);
	const char *refs[] = { tree, NULL };
	GVariantBuilder options;

	if (!url || (remote && !name_remote(repository, from, error)))
		return FALSE;
	g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
	g_variant_builder_add(&options, "{sv}", "refs", g_variant_new_strv(refs, -1));
	g_variant_builder_add(
		&options, "{sv}", "flags", g_variant_new_int32(OSTREE_REPO_PULL_FLAGS_UNTRUSTED));
	/* What signs a tree is the TUF metadata of the manifest that names it. */
	g_variant_builder_add(&options, "{sv}", "gpg-verify", g_variant_new_boolean(FALSE));
	g_variant_builder_add(&options, "{sv}", "gpg-verify-summary", g_variant_new_boolean(FALSE));
	g_variant_builder_add(&options, "{sv}", "disable-verify-bindings", g_variant_new_boolean(TRUE));
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_builder_end(&options));
	return ostree_repo_pull_with_options(repository, url, variant, NULL, NULL, error) &&
	       (!remote || name_remote(repository, NULL, error));
}

/* Whether the repository in the directory @from holds the commit; libostree's own words for that are no help.
 */
static gboolean check_there(const char *from, const char *tree, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autoptr(OstreeRepo) source = open_repository(from, &inner);
	gboolean there = FALSE;

	if (!source || !ostree_repo_has_object(source, OSTREE_OBJECT_TYPE_COMMIT, tree, &there, NULL, &inner))
		return proa_fail(
			error, PROA_REASON_NOT_FOUND, "the OSTree repository %s: %s", from, inner->message);
	return there || proa_fail(error, PROA_REASON_NOT_FOUND, "the OSTree repository %s has no commit %s",
				from, tree);
}

gboolean proa_trees_pull(const char *to, const char *from, const char *tree, const char *ref, GError **error)
{
	g_autoptr(GError) inner = NULL;

	if (!is_url(from) && !check_there(from, tree, error))
		return FALSE;
	g_autoptr(OstreeRepo) repository = open_or_create(to, &inner);
	if (!repository || !pull(repository, from, tree, &inner) ||
		!ostree_repo_set_ref_immediate(repository, NULL, ref, tree, NULL, &inner) ||
		!ostree_repo_regenerate_summary(repository, NULL, NULL, &inner))
		return proa_fail(
			error, PROA_REASON_IO, "bringing tree %s into %s: %s", tree, to, inner->message);
	return TRUE;
}

static gboolean drop_refs(OstreeRepo *repository, GHashTable *keep, gboolean *ret_dropped, GError **error)
{
	g_autoptr(GHashTable) refs = NULL;
	GHashTableIter iter;
	gpointer ref;

	if (!ostree_repo_list_refs(repository, NULL, &refs, NULL, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &ref, NULL)) {
		if (g_hash_table_contains(keep, ref))
			continue;
		if (!ostree_repo_set_ref_immediate(repository, NULL, ref, NULL, NULL, error))
			return FALSE;
		*ret_dropped = TRUE;
	}
	return TRUE;
}

gboolean proa_trees_prune(const char *dir, GHashTable *keep, GError **error)
{
	g_autofree char *config = g_build_filename(dir, "config", NULL);
	g_autoptr(GError) inner = NULL;
	gboolean dropped = FALSE;
	int all, pruned;
	guint64 size;

	if (!g_file_test(config, G_FILE_TEST_EXISTS))
		return TRUE;
	g_autoptr(OstreeRepo) repository = open_repository(dir, &inner);
	if (!repository || !drop_refs(repository, keep, &dropped, &inner) ||
		!ostree_repo_prune(repository, OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY, -1, &all, &pruned, &size,
			NULL, &inner) ||
		(dropped && !ostree_repo_regenerate_summary(repository, NULL, NULL, &inner)))
		return proa_fail(error, PROA_REASON_IO, "removing trees from %s: %s", dir, inner->message);
	return TRUE;
}

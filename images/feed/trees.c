/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/trees.h"

#include "base/file.h"

#include <ostree.h>

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

static gboolean pull(OstreeRepo *repository, const char *from, const char *tree, GError **error)
{
	g_autofree char *absolute = g_canonicalize_filename(from, NULL);
	g_autofree char *url = g_filename_to_uri(absolute, NULL, error);
	const char *refs[] = { tree, NULL };
	GVariantBuilder options;

	if (!url)
		return FALSE;
	g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
	g_variant_builder_add(&options, "{sv}", "refs", g_variant_new_strv(refs, -1));
	/* What signs a tree is the TUF metadata of the manifest that names it. */
	g_variant_builder_add(&options, "{sv}", "gpg-verify", g_variant_new_boolean(FALSE));
	g_variant_builder_add(&options, "{sv}", "gpg-verify-summary", g_variant_new_boolean(FALSE));
	g_variant_builder_add(&options, "{sv}", "disable-verify-bindings", g_variant_new_boolean(TRUE));
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_builder_end(&options));
	return ostree_repo_pull_with_options(repository, url, variant, NULL, NULL, error);
}

gboolean proa_trees_pull(const char *to, const char *from, const char *tree, const char *ref, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autoptr(OstreeRepo) source = open_repository(from, &inner);
	gboolean there = FALSE;

	if (!source || !ostree_repo_has_object(source, OSTREE_OBJECT_TYPE_COMMIT, tree, &there, NULL, &inner))
		return proa_fail(
			error, PROA_REASON_NOT_FOUND, "the OSTree repository %s: %s", from, inner->message);
	if (!there)
		return proa_fail(error, PROA_REASON_NOT_FOUND, "the OSTree repository %s has no commit %s",
			from, tree);

	g_autoptr(OstreeRepo) repository = open_or_create(to, &inner);
	if (!repository || !pull(repository, from, tree, &inner) ||
		!ostree_repo_set_ref_immediate(repository, NULL, ref, tree, NULL, &inner) ||
		!ostree_repo_regenerate_summary(repository, NULL, NULL, &inner))
		return proa_fail(
			error, PROA_REASON_IO, "bringing tree %s into %s: %s", tree, to, inner->message);
	return TRUE;
}

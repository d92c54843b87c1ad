/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/repo.h"

#include "base/digest.h"
#include "base/file.h"
#include "boot/copy.h"
#include "boot/fingerprint.h"
#include "boot/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <ostree.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "etc/repo"
/* As it was before a note said whose restore it is. */
#define OLD_NOTE "etc/restore"
#define BRANCH_PREFIX "generation/"
#define MIN_PREFIX 4
#define MAX_DEPTH 64
/* Of a commit, beside it: the fingerprint of /etc when it was last found to hold just that. */
#define FINGERPRINT "proa.fingerprint"

struct ProaRepo {
	char *state_dir;
	OstreeRepo *ostree;
};

static void entry_free(gpointer data)
{
	ProaRepoEntry *entry = data;

	g_free(entry->commit);
	g_free(entry->generation);
	g_free(entry->subject);
	g_free(entry);
}

/* libostree's errors are those of GIO; the sentence says what was being done. */
static gboolean fail(GError **error, GError *inner, const char *doing)
{
	ProaReason reason = g_error_matches(inner, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ? PROA_REASON_NOT_FOUND
			    : g_error_matches(inner, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED)
				    ? PROA_REASON_PERMISSION
				    : PROA_REASON_IO;

	proa_fail(error, reason, "%s: %s", doing, inner->message);
	g_error_free(inner);
	return FALSE;
}

ProaRepo *proa_repo_open(const char *state_dir, GError **error)
{
	g_autofree char *folder = g_build_filename(state_dir, FOLDER, NULL);
	g_autoptr(GFile) file = g_file_new_for_path(folder);
	g_autoptr(OstreeRepo) ostree = ostree_repo_new(file);
	GError *inner = NULL;

	/* Secrets of /etc keep their modes in here; nobody but root may look all the same. */
	if (g_mkdir_with_parents(folder, 0700) < 0 || chmod(folder, 0700) < 0) {
		proa_fail_errno(error, errno == EACCES ? PROA_REASON_PERMISSION : PROA_REASON_IO, errno,
			"making the directory %s", folder);
		return NULL;
	}
	if (!ostree_repo_create(ostree, OSTREE_REPO_MODE_BARE, NULL, &inner) ||
		!ostree_repo_open(ostree, NULL, &inner)) {
		fail(error, inner, "opening the repository of /etc");
		return NULL;
	}
	ProaRepo *repo = g_new0(ProaRepo, 1);
	repo->state_dir = g_strdup(state_dir);
	repo->ostree = g_steal_pointer(&ostree);
	return repo;
}

void proa_repo_free(ProaRepo *repo)
{
	g_clear_object(&repo->ostree);
	g_free(repo->state_dir);
	g_free(repo);
}

/* --- commit
 * ----------------------------------------------------------------------------------------------------- */

static OstreeRepoCommitFilterResult filter(OstreeRepo *repo, const char *path, GFileInfo *info, gpointer data)
{
	GFileType type = g_file_info_get_file_type(info);
	gboolean takes = type == G_FILE_TYPE_REGULAR || type == G_FILE_TYPE_DIRECTORY ||
			 type == G_FILE_TYPE_SYMBOLIC_LINK;

	return takes ? OSTREE_REPO_COMMIT_FILTER_ALLOW : OSTREE_REPO_COMMIT_FILTER_SKIP;
}

/* Writes the tree of @etc to the repository; the root of it, or NULL. */
static OstreeRepoFile *write_tree(ProaRepo *repo, const char *etc, GError **error)
{
	OstreeRepoCommitModifier *modifier = ostree_repo_commit_modifier_new(
		OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS, filter, NULL, NULL);
	g_autoptr(OstreeMutableTree) tree = ostree_mutable_tree_new();
	g_autoptr(GFile) root = NULL;

	if (ostree_repo_write_dfd_to_mtree(repo->ostree, AT_FDCWD, etc, tree, modifier, NULL, error))
		ostree_repo_write_mtree(repo->ostree, tree, &root, NULL, error);
	ostree_repo_commit_modifier_unref(modifier);
	return root ? OSTREE_REPO_FILE(g_steal_pointer(&root)) : NULL;
}

static gboolean same_tree(ProaRepo *repo, const char *commit, OstreeRepoFile *root)
{
	g_autoptr(GFile) file = NULL;

	if (!commit || !ostree_repo_read_commit(repo->ostree, commit, &file, NULL, NULL, NULL))
		return FALSE;
	OstreeRepoFile *before = OSTREE_REPO_FILE(file);
	return ostree_repo_file_ensure_resolved(before, NULL) &&
	       ostree_repo_file_ensure_resolved(root, NULL) &&
	       strcmp(ostree_repo_file_tree_get_contents_checksum(before),
		       ostree_repo_file_tree_get_contents_checksum(root)) == 0 &&
	       strcmp(ostree_repo_file_tree_get_metadata_checksum(before),
		       ostree_repo_file_tree_get_metadata_checksum(root)) == 0;
}

static gboolean commit_tree(ProaRepo *repo, const char *branch, const char *etc, const char *subject,
	char **ret_commit, GError **error)
{
	g_autofree char *parent = NULL, *commit = NULL;

	if (!ostree_repo_resolve_rev(repo->ostree, branch, TRUE, &parent, error))
		return FALSE;
	g_autoptr(OstreeRepoFile) root = write_tree(repo, etc, error);
	if (!root)
		return FALSE;
	if (same_tree(repo, parent, root))
		return ostree_repo_abort_transaction(repo->ostree, NULL, error);
	if (!ostree_repo_write_commit(repo->ostree, parent, subject, NULL, NULL, root, &commit, NULL, error))
		return FALSE;
	ostree_repo_transaction_set_ref(repo->ostree, NULL, branch, commit);
	if (!ostree_repo_commit_transaction(repo->ostree, NULL, NULL, error))
		return FALSE;
	*ret_commit = g_steal_pointer(&commit);
	return TRUE;
}

/* All of /etc is read and summed for a commit; at most boots nothing has changed. */
static gboolean is_as_committed(ProaRepo *repo, const char *branch, const char *fingerprint)
{
	g_autofree char *commit = NULL;
	g_autoptr(GVariant) beside = NULL;
	const char *before = NULL;

	return fingerprint && ostree_repo_resolve_rev(repo->ostree, branch, TRUE, &commit, NULL) && commit &&
	       ostree_repo_read_commit_detached_metadata(repo->ostree, commit, &beside, NULL, NULL) &&
	       beside && g_variant_lookup(beside, FINGERPRINT, "&s", &before) &&
	       strcmp(before, fingerprint) == 0;
}

/* Best effort: without it the next boot reads /etc. */
static void note_fingerprint(ProaRepo *repo, const char *branch, const char *fingerprint)
{
	g_autofree char *commit = NULL;
	GVariantDict beside;

	if (!fingerprint || !ostree_repo_resolve_rev(repo->ostree, branch, TRUE, &commit, NULL) || !commit)
		return;
	g_variant_dict_init(&beside, NULL);
	g_variant_dict_insert(&beside, FINGERPRINT, "s", fingerprint);
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_dict_end(&beside));
	(void)!ostree_repo_write_commit_detached_metadata(repo->ostree, commit, variant, NULL, NULL);
}

gboolean proa_repo_commit(ProaRepo *repo, const char *generation, const char *etc, const char *subject,
	char **ret_commit, GError **error)
{
	g_autofree char *branch = g_strconcat(BRANCH_PREFIX, generation, NULL);
	/* Taken first: what changes while the commit is made changes the next one. */
	g_autofree char *fingerprint = proa_fingerprint(etc, MAX_DEPTH);
	GError *inner = NULL;
	gint objects, pruned;
	guint64 bytes;

	*ret_commit = NULL;
	if (is_as_committed(repo, branch, fingerprint))
		return TRUE;
	if (!ostree_repo_prepare_transaction(repo->ostree, NULL, NULL, &inner))
		return fail(error, inner, "committing /etc");
	if (!commit_tree(repo, branch, etc, subject, ret_commit, &inner)) {
		ostree_repo_abort_transaction(repo->ostree, NULL, NULL);
		return fail(error, inner, "committing /etc");
	}
	note_fingerprint(repo, branch, fingerprint);
	/* What is older than the newest of each branch goes. */
	if (*ret_commit && !ostree_repo_prune(repo->ostree, OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY,
				   PROA_REPO_KEEP - 1, &objects, &pruned, &bytes, NULL, &inner))
		return fail(error, inner, "removing old commits of /etc");
	return TRUE;
}

/* --- log
 * -------------------------------------------------------------------------------------------------------- */

static void add_branch(ProaRepo *repo, const char *branch, const char *newest, GPtrArray *log)
{
	g_autofree char *commit = g_strdup(newest);

	/* The oldest one kept names a parent that has gone. */
	for (guint i = 0; commit && i < PROA_REPO_KEEP; i++) {
		g_autoptr(GVariant) variant = NULL;
		const char *subject = NULL;
		if (!ostree_repo_load_commit(repo->ostree, commit, &variant, NULL, NULL))
			break;
		g_variant_get_child(variant, 3, "&s", &subject);
		ProaRepoEntry *entry = g_new0(ProaRepoEntry, 1);
		entry->commit = g_strdup(commit);
		entry->generation = g_strdup(branch + strlen(BRANCH_PREFIX));
		entry->subject = g_strdup(subject);
		entry->time = (gint64)ostree_commit_get_timestamp(variant);
		g_ptr_array_add(log, entry);
		g_free(commit);
		commit = ostree_commit_get_parent(variant);
	}
}

static int newest_first(gconstpointer a, gconstpointer b)
{
	const ProaRepoEntry *one = *(const ProaRepoEntry *const *)a,
			    *other = *(const ProaRepoEntry *const *)b;

	return one->time < other->time ? 1 : one->time > other->time ? -1 : 0;
}

GPtrArray *proa_repo_log(ProaRepo *repo, GError **error)
{
	g_autoptr(GPtrArray) log = g_ptr_array_new_with_free_func(entry_free);
	g_autoptr(GHashTable) refs = NULL;
	GError *inner = NULL;
	GHashTableIter iter;
	gpointer branch, commit;

	if (!ostree_repo_list_refs(repo->ostree, NULL, &refs, NULL, &inner)) {
		fail(error, inner, "listing the commits of /etc");
		return NULL;
	}
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &branch, &commit))
		if (g_str_has_prefix(branch, BRANCH_PREFIX))
			add_branch(repo, branch, commit, log);
	g_ptr_array_sort(log, newest_first);
	return g_steal_pointer(&log);
}

char *proa_repo_resolve(ProaRepo *repo, const char *word, GError **error)
{
	g_autoptr(GPtrArray) log = proa_repo_log(repo, error);
	const ProaRepoEntry *found = NULL;

	for (guint i = 0; log && i < log->len; i++) {
		const ProaRepoEntry *entry = g_ptr_array_index(log, i);
		if (strcmp(entry->generation, word) == 0)
			return g_strdup(entry->commit);
		if (strlen(word) < MIN_PREFIX || !g_str_has_prefix(entry->commit, word))
			continue;
		if (found && strcmp(found->commit, entry->commit) != 0) {
			proa_fail(error, PROA_REASON_NO_SUCH_RELEASE, "more than one commit begins with %s",
				word);
			return NULL;
		}
		found = entry;
	}
	if (log && !found)
		proa_fail(error, PROA_REASON_NO_SUCH_RELEASE, "no commit of /etc is called %s", word);
	return found ? g_strdup(found->commit) : NULL;
}

/* --- diff
 * ------------------------------------------------------------------------------------------------------- */

typedef struct {
	GPtrArray *modified, *removed, *added;
} Diff;

static void diff_clear(Diff *diff)
{
	g_clear_pointer(&diff->modified, g_ptr_array_unref);
	g_clear_pointer(&diff->removed, g_ptr_array_unref);
	g_clear_pointer(&diff->added, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Diff, diff_clear)

static GFile *tree_of(ProaRepo *repo, const char *commit, GError **error)
{
	GFile *root = NULL;

	return ostree_repo_read_commit(repo->ostree, commit, &root, NULL, NULL, error) ? root : NULL;
}

static gboolean diff_trees(GFile *from, GFile *to, Diff *ret, GError **error)
{
	ret->modified = g_ptr_array_new_with_free_func((GDestroyNotify)ostree_diff_item_unref);
	ret->removed = g_ptr_array_new_with_free_func(g_object_unref);
	ret->added = g_ptr_array_new_with_free_func(g_object_unref);
	return ostree_diff_dirs(OSTREE_DIFF_FLAGS_IGNORE_XATTRS, from, to, ret->modified, ret->removed,
		ret->added, NULL, error);
}

static void add_line(GPtrArray *lines, char kind, GFile *root, GFile *file)
{
	g_autofree char *path = g_file_get_relative_path(root, file);

	g_ptr_array_add(lines, g_strdup_printf("%c %s", kind, path ? path : "."));
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a + 2, *(const char *const *)b + 2);
}

GPtrArray *proa_repo_diff(ProaRepo *repo, const char *from, const char *to, const char *etc, GError **error)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	GError *inner = NULL;
	g_autoptr(GFile) old = tree_of(repo, from, &inner);
	g_autoptr(GFile) new = !old ? NULL : to ? tree_of(repo, to, &inner) : g_file_new_for_path(etc);
	g_auto(Diff) diff = { 0 };

	if (!new || !diff_trees(old, new, &diff, &inner)) {
		fail(error, inner, "comparing trees of /etc");
		return NULL;
	}
	for (guint i = 0; i < diff.modified->len; i++)
		add_line(lines, 'M', old, ((OstreeDiffItem *)g_ptr_array_index(diff.modified, i))->src);
	for (guint i = 0; i < diff.removed->len; i++)
		add_line(lines, 'D', old, g_ptr_array_index(diff.removed, i));
	for (guint i = 0; i < diff.added->len; i++)
		add_line(lines, 'A', new, g_ptr_array_index(diff.added, i));
	g_ptr_array_sort(lines, compare_paths);
	return g_steal_pointer(&lines);
}

/* --- restore
 * ---------------------------------------------------------------------------------------------------- */

static gboolean check_out(
	ProaRepo *repo, const char *commit, const char *path, const char *to, GError **error)
{
	OstreeRepoCheckoutAtOptions options = { .mode = OSTREE_REPO_CHECKOUT_MODE_NONE,
		.overwrite_mode = OSTREE_REPO_CHECKOUT_OVERWRITE_UNION_FILES,
		.enable_fsync = TRUE,
		.force_copy = TRUE,
		.subpath = path };

	return ostree_repo_checkout_at(repo->ostree, &options, AT_FDCWD, to, commit, NULL, error);
}

/* What /etc holds and the commit does not; a directory goes with all that is in it. */
static gboolean remove_added(ProaRepo *repo, const char *commit, const char *etc, GError **error)
{
	g_autoptr(GPtrArray) lines = proa_repo_diff(repo, commit, NULL, etc, error);
	PROA_AUTO_FD int fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lines && fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", etc);
	for (guint i = 0; lines && i < lines->len; i++) {
		const char *line = g_ptr_array_index(lines, i);
		if (*line == 'A' && !proa_remove_tree(fd, line + 2, MAX_DEPTH, error))
			return FALSE;
	}
	return lines != NULL;
}

/* A file in the place of a directory, or the other way round, is no modification to a checkout. */
static gboolean make_way(ProaRepo *repo, const char *commit, const char *etc, GError **error)
{
	g_autoptr(GFile) old = tree_of(repo, commit, NULL);
	g_autoptr(GPtrArray) lines = proa_repo_diff(repo, commit, NULL, etc, error);

	for (guint i = 0; old && lines && i < lines->len; i++) {
		const char *line = g_ptr_array_index(lines, i);
		g_autoptr(GFile) there = g_file_resolve_relative_path(old, line + 2);
		g_autofree char *path = g_build_filename(etc, line + 2, NULL);
		gboolean is_dir = g_file_query_file_type(there, G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, NULL) ==
				  G_FILE_TYPE_DIRECTORY;
		gboolean has_dir =
			g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK);
		if (*line == 'M' && is_dir != has_dir && !proa_remove_tree(AT_FDCWD, path, MAX_DEPTH, error))
			return FALSE;
	}
	return lines != NULL;
}

static gboolean restore_all(ProaRepo *repo, const char *commit, const char *etc, GError **error)
{
	GError *inner = NULL;

	if (!make_way(repo, commit, etc, error))
		return FALSE;
	if (!check_out(repo, commit, NULL, etc, &inner))
		return fail(error, inner, "bringing /etc back");
	return remove_added(repo, commit, etc, error);
}

static gboolean path_is_safe(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);

	for (char **part = parts; *part; part++)
		if (!**part || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
			return FALSE;
	return *path != '\0';
}

static gboolean restore_path(
	ProaRepo *repo, const char *commit, const char *path, const char *etc, GError **error)
{
	GError *inner = NULL;
	const char *name = g_str_has_prefix(path, "/etc/") ? path + strlen("/etc/") : path;

	if (!path_is_safe(name))
		return proa_fail(error, PROA_REASON_USAGE, "%s is not a path below /etc", path);
	g_autofree char *source = g_strconcat("/", name, NULL);
	g_autofree char *target = g_build_filename(etc, name, NULL);
	g_autoptr(GFile) tree = tree_of(repo, commit, &inner);
	g_autoptr(GFile) file = tree ? g_file_resolve_relative_path(tree, name) : NULL;
	if (!file)
		return fail(error, inner, "reading a commit of /etc");
	GFileType type = g_file_query_file_type(file, G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, NULL);
	if (type == G_FILE_TYPE_UNKNOWN)
		return proa_fail(error, PROA_REASON_NOT_FOUND, "that commit holds no %s", name);
	/* A file is checked out into the directory that holds it. */
	g_autofree char *folder =
		type == G_FILE_TYPE_DIRECTORY ? g_strdup(target) : g_path_get_dirname(target);
	if (g_mkdir_with_parents(folder, 0755) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making %s", folder);
	return check_out(repo, commit, source, folder, &inner) ||
	       fail(error, inner, "bringing a file of /etc back");
}

static char *note_path(const ProaRepo *repo, const char *generation)
{
	g_autofree char *etc_dir = g_build_filename(repo->state_dir, "etc", NULL);

	return proa_generation_restore_note(etc_dir, generation);
}

gboolean proa_repo_restore(ProaRepo *repo, const char *generation, const char *commit,
	const char *const *paths, const char *etc, GError **error)
{
	for (; paths && *paths; paths++)
		if (!restore_path(repo, commit, *paths, etc, error))
			return FALSE;
	if (paths)
		return TRUE;
	g_autofree char *before = proa_repo_resolve(repo, generation, error);
	if (!before)
		return FALSE;
	g_autofree char *path = note_path(repo, generation);
	g_autofree char *line = g_strdup_printf("%s %s %s\n", generation, before, commit);
	return proa_file_replace(path, line, strlen(line), 0600, error) &&
	       restore_all(repo, commit, etc, error) && proa_file_remove(path, error);
}

/* What a restore that began with @before changed, and nothing else. */
static gboolean restore_changes(
	ProaRepo *repo, const char *before, const char *commit, const char *etc, GError **error)
{
	g_autoptr(GPtrArray) lines = proa_repo_diff(repo, before, commit, etc, error);
	PROA_AUTO_FD int fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lines && fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", etc);
	/* What goes makes way for what comes. */
	for (guint i = 0; lines && i < lines->len; i++) {
		const char *line = g_ptr_array_index(lines, i);
		if (*line == 'D' && !proa_remove_tree(fd, line + 2, MAX_DEPTH, error))
			return FALSE;
	}
	for (guint i = 0; lines && i < lines->len; i++) {
		const char *line = g_ptr_array_index(lines, i);
		struct stat st;
		gboolean in_the_way = *line == 'M' && fstatat(fd, line + 2, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				      !S_ISREG(st.st_mode);
		if (*line == 'D')
			continue;
		if ((in_the_way && !proa_remove_tree(fd, line + 2, MAX_DEPTH, error)) ||
			!restore_path(repo, commit, line + 2, etc, error))
			return FALSE;
	}
	return lines != NULL;
}

gboolean proa_repo_finish(
	ProaRepo *repo, const char *generation, const char *etc, gboolean *ret_done, GError **error)
{
	g_autofree char *old = g_build_filename(repo->state_dir, OLD_NOTE, NULL);
	g_autofree char *path = note_path(repo, generation);
	g_autofree char *note = proa_file_read(path, PROA_GENERATION_MAX_NOTE, NULL, NULL);
	g_auto(GStrv) words = g_strsplit(note ? g_strchomp(note) : "", " ", -1);
	g_autoptr(GError) inner = NULL;

	*ret_done = FALSE;
	/* Nobody knows which release's /etc it was. */
	if (!proa_file_remove(old, error))
		return FALSE;
	if (!note)
		return TRUE;
	/* A note that cannot be understood leads nowhere; replacing it is atomic, so it is not half of one.
	 */
	if (g_strv_length(words) != 3 || !proa_generation_name_valid(words[0]) ||
		!proa_sha256_hex_valid(words[1]) || !proa_sha256_hex_valid(words[2]))
		return proa_file_remove(path, error);
	gboolean done = strcmp(words[0], generation) == 0
				? restore_all(repo, words[2], etc, &inner)
				: restore_changes(repo, words[1], words[2], etc, &inner);
	if (!done && proa_reason_of(inner) != PROA_REASON_NOT_FOUND) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return FALSE;
	}
	if (!done)
		g_warning("a restore of /etc that was cut short cannot be completed: %s", inner->message);
	*ret_done = done;
	return proa_file_remove(path, error);
}

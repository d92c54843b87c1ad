/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/commit.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL PROA_FEED_OURS "/commit"
#define UNFINISHED PROA_FEED_OURS "/commit.tmp"
#define SPEC_VERSION "1.0.31"
/* A refresh signs anew what has less than this part of its lifetime left. */
#define NEAR_EXPIRY_DIVISOR 3

/* A file to come, in the order in which they come. */
typedef struct {
	char *name; /* below metadata/ */
	GBytes *bytes;
} File;

static void file_free(gpointer data)
{
	File *file = data;

	g_free(file->name);
	g_bytes_unref(file->bytes);
	g_free(file);
}

static void add_file(GPtrArray *files, char *name_taken, GBytes *bytes)
{
	File *file = g_new0(File, 1);

	file->name = name_taken;
	file->bytes = g_bytes_ref(bytes);
	g_ptr_array_add(files, file);
}

static gint64 now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

gboolean proa_commit_nears_expiry(const ProaRoleHead *head, gint64 lifetime)
{
	return head->expires - now_seconds() < lifetime / NEAR_EXPIRY_DIVISOR;
}

/* --- the journal */

/*
 * What a browser, a node or a proxy takes for "the same file" by its time in seconds must not be: the new
 * timestamp is at least one second younger than the old.
 */
static void make_younger(const char *path, time_t than)
{
	struct stat st;

	if (stat(path, &st) < 0 || st.st_mtime > than)
		return;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = than + 1 } };
	(void)utimensat(AT_FDCWD, path, times, 0);
}

static gboolean install(const char *dir, const char *journal, const char *entry, GError **error)
{
	const char *name = strchr(entry, '-') + 1;
	g_autofree char *from = g_build_filename(journal, entry, NULL);
	g_autofree char *to = g_build_filename(dir, "metadata", name, NULL);
	gsize size;
	g_autofree char *text = proa_file_read(from, PROA_ENVELOPE_MAX_SIZE, &size, error);
	struct stat st = { 0 };

	if (!text)
		return FALSE;
	(void)stat(to, &st);
	if (!proa_file_replace(to, text, size, 0644, error))
		return FALSE;
	make_younger(to, st.st_mtime);
	return TRUE;
}

static GPtrArray *list(const char *dir)
{
	g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while (entries && (name = g_dir_read_name(entries)))
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort_values(names, (GCompareFunc)strcmp);
	return names;
}

static gboolean remove_folder(const char *dir, GError **error)
{
	g_autoptr(GPtrArray) names = list(dir);

	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_build_filename(dir, names->pdata[i], NULL);
		if (!proa_file_remove(path, error))
			return FALSE;
	}
	return rmdir(dir) == 0 || errno == ENOENT ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", dir);
}

gboolean proa_commit_recover(const char *dir, GError **error)
{
	g_autofree char *journal = g_build_filename(dir, JOURNAL, NULL),
			*unfinished = g_build_filename(dir, UNFINISHED, NULL);
	g_autoptr(GPtrArray) names = list(journal);

	for (guint i = 0; i < names->len; i++)
		if (strchr(names->pdata[i], '-') && !install(dir, journal, names->pdata[i], error)) {
			g_prefix_error(error, "finishing what was interrupted: ");
			return FALSE;
		}
	return remove_folder(journal, error) && remove_folder(unfinished, error);
}

static gboolean write_journal(const char *dir, const GPtrArray *files, GError **error)
{
	g_autofree char *journal = g_build_filename(dir, JOURNAL, NULL),
			*unfinished = g_build_filename(dir, UNFINISHED, NULL);

	if (!proa_file_make_dirs(unfinished, error))
		return FALSE;
	for (guint i = 0; i < files->len; i++) {
		const File *file = files->pdata[i];
		g_autofree char *path = g_strdup_printf("%s/%04u-%s", unfinished, i, file->name);
		gsize size;
		const void *data = g_bytes_get_data(file->bytes, &size);
		if (!proa_file_replace(path, data, size, 0644, error))
			return FALSE;
	}
	if (rename(unfinished, journal) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s", unfinished);
	g_autofree char *ours = g_path_get_dirname(journal);
	PROA_AUTO_FD int fd = open(ours, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return (fd >= 0 && fsync(fd) == 0) ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "syncing %s", ours);
}

/* --- snapshot and timestamp */

static JsonObject *head_new(const char *type, gint64 version, gint64 lifetime)
{
	JsonObject *object = json_object_new();
	g_autofree char *expires = proa_role_time_format(now_seconds() + lifetime);

	json_object_set_string_member(object, "_type", type);
	json_object_set_string_member(object, "spec_version", SPEC_VERSION);
	json_object_set_int_member(object, "version", version);
	json_object_set_string_member(object, "expires", expires);
	return object;
}

/* How a parent describes a file. */
static JsonObject *describe(GBytes *bytes, gint64 version)
{
	JsonObject *object = json_object_new(), *hashes = json_object_new();
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);

	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_int_member(object, "version", version);
	json_object_set_int_member(object, "length", (gint64)g_bytes_get_size(bytes));
	json_object_set_object_member(object, "hashes", hashes);
	return object;
}

/* Everything that a commit needs at hand. */
typedef struct {
	ProaChange *change;
	const GPtrArray *signers;
	const ProaLifetimes *lifetimes;
	ProaRoot *root; /* as it will be */
	GPtrArray *files;
	gboolean pleases_old; /* who still has the old root accepts all that is new */
} Commit;

/*
 * Signs for one of the four roles with the keys that it will have, and with those that it had if they are at
 * hand: so the files are good before the new root is there and after.
 */
static GBytes *sign(Commit *commit, ProaRole role, JsonObject *content, GError **error)
{
	const ProaRoot *old = commit->change->feed->root;
	const ProaRoleKeys *keys = commit->root->roles[role];
	g_autoptr(JsonObject) envelope = proa_envelope_new(content);
	g_autoptr(GPtrArray) roles = g_ptr_array_new();
	const char *name = proa_role_to_string(role);

	g_ptr_array_add(roles, commit->root->roles[role]);
	if (old)
		g_ptr_array_add(roles, old->roles[role]);
	if (!proa_envelope_sign(envelope, commit->signers, roles, NULL, error))
		return NULL;
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, name, error);
	if (!file)
		return NULL;
	guint have = proa_signed_count(file, keys);
	if (have < keys->threshold) {
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"%u of the %u keys that must sign %s are at hand (name the others with --keys or --key)",
			have, keys->threshold, name);
		return NULL;
	}
	if (old && proa_signed_count(file, old->roles[role]) < old->roles[role]->threshold)
		commit->pleases_old = FALSE;
	return g_steal_pointer(&bytes);
}

static gboolean snapshot_is_due(const Commit *commit)
{
	const ProaSnapshot *now = commit->change->feed->snapshot;
	const ProaRoleKeys *keys = commit->root->roles[PROA_ROLE_SNAPSHOT];

	for (guint i = 0; i < commit->change->drafts->len; i++) {
		const ProaDraft *draft = commit->change->drafts->pdata[i];
		if (strcmp(draft->role, "root") != 0)
			return TRUE;
	}
	return !now || proa_signed_count(now->file, keys) < keys->threshold;
}

/* The snapshot of the drafts: what it said of other roles stays. */
static GBytes *make_snapshot(Commit *commit, gint64 version, GError **error)
{
	const ProaSnapshot *now = commit->change->feed->snapshot;
	g_autoptr(JsonObject) content =
		head_new("snapshot", version, commit->lifetimes->of[PROA_ROLE_SNAPSHOT]);
	JsonObject *meta = json_object_new();

	if (now) {
		JsonObject *was = json_object_get_object_member(now->file->content, "meta");
		g_autoptr(GList) names = json_object_get_members(was);
		for (GList *name = names; name; name = name->next)
			json_object_set_member(
				meta, name->data, json_node_copy(json_object_get_member(was, name->data)));
	}
	for (guint i = 0; i < commit->change->drafts->len; i++) {
		const ProaDraft *draft = commit->change->drafts->pdata[i];
		g_autoptr(GBytes) bytes = proa_envelope_bytes(draft->envelope);
		g_autofree char *name = g_strconcat(draft->role, ".json", NULL);
		JsonObject *signed_part = proa_envelope_content(draft->envelope);
		if (strcmp(draft->role, "root") != 0)
			json_object_set_object_member(meta, name,
				describe(bytes, json_object_get_int_member(signed_part, "version")));
	}
	json_object_set_object_member(content, "meta", meta);
	return sign(commit, PROA_ROLE_SNAPSHOT, content, error);
}

/* The snapshot to be named by the timestamp: a new one if it must be or can be, else the one that is out. */
static GBytes *choose_snapshot(Commit *commit, gint64 *ret_version, GError **error)
{
	const ProaSnapshot *now = commit->change->feed->snapshot;
	gint64 lifetime = commit->lifetimes->of[PROA_ROLE_SNAPSHOT];
	gboolean due = snapshot_is_due(commit);
	g_autoptr(GError) inner = NULL;

	*ret_version = now ? now->head.version : 0;
	if (!due && !proa_commit_nears_expiry(&now->head, lifetime))
		return g_bytes_ref(now->file->bytes);
	g_autoptr(GBytes) bytes = make_snapshot(commit, *ret_version + 1, &inner);
	if (bytes) {
		*ret_version += 1;
		add_file(commit->files, g_strdup_printf("%" G_GINT64_FORMAT ".snapshot.json", *ret_version),
			bytes);
		return g_steal_pointer(&bytes);
	}
	/* Without its key a refresh goes on for as long as the old one holds. */
	if (!due && now->head.expires > now_seconds() &&
		g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND))
		return g_bytes_ref(now->file->bytes);
	g_propagate_error(error, g_steal_pointer(&inner));
	return NULL;
}

static GBytes *make_timestamp(Commit *commit, GBytes *snapshot, gint64 snapshot_version, GError **error)
{
	const ProaTimestamp *now = commit->change->feed->timestamp;
	g_autoptr(JsonObject) content = head_new(
		"timestamp", now ? now->head.version + 1 : 1, commit->lifetimes->of[PROA_ROLE_TIMESTAMP]);
	JsonObject *meta = json_object_new(), *ours = json_object_new();

	json_object_set_object_member(meta, "snapshot.json", describe(snapshot, snapshot_version));
	json_object_set_object_member(content, "meta", meta);
	/* From it a node knows that its clock is not behind. */
	json_object_set_int_member(ours, "time", now_seconds());
	json_object_set_object_member(content, "proa", ours);
	return sign(commit, PROA_ROLE_TIMESTAMP, content, error);
}

static void add_drafts(Commit *commit)
{
	const ProaFeed *feed = commit->change->feed;

	for (guint i = 0; i < commit->change->drafts->len; i++) {
		const ProaDraft *draft = commit->change->drafts->pdata[i];
		g_autoptr(GBytes) bytes = proa_envelope_bytes(draft->envelope);
		gint64 version =
			json_object_get_int_member(proa_envelope_content(draft->envelope), "version");
		if (strcmp(draft->role, "root") == 0)
			continue;
		add_file(commit->files, g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", version, draft->role),
			bytes);
		g_autoptr(ProaRoleKeys) old =
			feed->root ? proa_change_role_keys(feed->root, feed->targets, draft->role) : NULL;
		g_autoptr(ProaSigned) file =
			proa_signed_parse(bytes, PROA_ENVELOPE_MAX_SIZE, draft->role, NULL);
		if (old && strcmp(draft->role, "targets") == 0 &&
			proa_signed_count(file, old) < old->threshold)
			commit->pleases_old = FALSE;
	}
}

/* Whether who has the root to come accepts what is out: timestamp, snapshot and targets. */
static gboolean pleases_new(const Commit *commit)
{
	const ProaFeed *feed = commit->change->feed;
	ProaRoleKeys *const *roles = commit->root->roles;

	return proa_signed_check(feed->timestamp->file, roles[PROA_ROLE_TIMESTAMP], "timestamp", NULL) &&
	       proa_signed_check(feed->snapshot->file, roles[PROA_ROLE_SNAPSHOT], "snapshot", NULL) &&
	       proa_signed_check(feed->targets->file, roles[PROA_ROLE_TARGETS], "targets", NULL);
}

/*
 * Root and timestamp: whichever may come first without shutting out those who have not seen the other. If
 * both may, the root does: whoever sees the timestamp finds it, and no poll after that misses it.
 */
static void add_last(Commit *commit, GBytes *timestamp)
{
	const ProaDraft *draft = proa_change_find(commit->change, "root");
	g_autoptr(GBytes) root = draft ? proa_envelope_bytes(draft->envelope) : NULL;
	gboolean root_first = root && (!commit->pleases_old || pleases_new(commit));

	if (!root_first)
		add_file(commit->files, g_strdup("timestamp.json"), timestamp);
	if (root)
		add_file(commit->files,
			g_strdup_printf("%" G_GINT64_FORMAT ".root.json", commit->root->head.version), root);
	if (root_first)
		add_file(commit->files, g_strdup("timestamp.json"), timestamp);
}

/* Forgets the pending targets that this change brings out. */
static gboolean prune_pending(const ProaChange *change, GError **error)
{
	g_autoptr(GList) paths = json_object_get_members(change->feed->pending);
	guint before = json_object_get_size(change->feed->pending);

	for (guint i = 0; i < change->drafts->len; i++) {
		const ProaDraft *draft = change->drafts->pdata[i];
		JsonObject *targets =
			proa_json_object_or_null(proa_envelope_content(draft->envelope), "targets");
		for (GList *path = paths; targets && path; path = path->next)
			if (json_object_has_member(targets, path->data))
				json_object_remove_member(change->feed->pending, path->data);
	}
	return json_object_get_size(change->feed->pending) == before ||
	       proa_feed_save_pending(change->feed, error);
}

gboolean proa_commit(
	ProaChange *change, const GPtrArray *signers, const ProaLifetimes *lifetimes, GError **error)
{
	g_autoptr(ProaRoot) root = proa_change_root(change, error);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(file_free);
	/* Of a feed that begins, the root comes first: there is nobody to please. */
	Commit commit = { change, signers, lifetimes, root, files, change->feed->root != NULL };
	gint64 version = 0;

	if (!root)
		return FALSE;
	add_drafts(&commit);
	g_autoptr(GBytes) snapshot = choose_snapshot(&commit, &version, error);
	g_autoptr(GBytes) timestamp = snapshot ? make_timestamp(&commit, snapshot, version, error) : NULL;
	if (!timestamp)
		return FALSE;
	add_last(&commit, timestamp);
	return write_journal(change->feed->dir, files, error) &&
	       proa_commit_recover(change->feed->dir, error) && proa_change_drop(change, error) &&
	       prune_pending(change, error);
}

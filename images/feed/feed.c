/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/feed.h"

#include "base/file.h"
#include "images/feed/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DAY ((gint64)24 * 60 * 60)
#define MAX_LIFETIME (20 * 365 * DAY)
#define MAX_PENDING ((gsize)4 * 1024 * 1024)
#define MAX_ROOTS 100000

void proa_lifetimes_defaults(ProaLifetimes *lifetimes)
{
	lifetimes->of[PROA_ROLE_ROOT] = 365 * DAY;
	lifetimes->of[PROA_ROLE_TIMESTAMP] = DAY;
	lifetimes->of[PROA_ROLE_SNAPSHOT] = 7 * DAY;
	lifetimes->of[PROA_ROLE_TARGETS] = 90 * DAY;
}

gboolean proa_lifetime_parse(const char *text, gint64 *ret_seconds)
{
	static const struct {
		const char *unit;
		gint64 seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", DAY }, { "w", 7 * DAY } };
	char *end;
	guint64 number = g_ascii_strtoull(text, &end, 10);

	if (!g_ascii_isdigit(*text) || number == 0 || number > (guint64)MAX_LIFETIME)
		return FALSE;
	for (guint i = 0; i < G_N_ELEMENTS(units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		gint64 seconds = (gint64)number * units[i].seconds;
		if (seconds > MAX_LIFETIME)
			return FALSE;
		*ret_seconds = seconds;
		return TRUE;
	}
	return FALSE;
}

char *proa_feed_path(const ProaFeed *feed, const char *name)
{
	return g_build_filename(feed->dir, name, NULL);
}

gboolean proa_feed_write(const char *dir, const char *name, GBytes *bytes, GError **error)
{
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	return proa_file_make_dirs(parent, error) && proa_file_replace(path, data, size, 0644, error);
}

static GBytes *read_metadata(const ProaFeed *feed, const char *name, gsize max, GError **error)
{
	gsize size;
	g_autofree char *path = g_build_filename(feed->dir, "metadata", name, NULL);
	char *text = proa_file_read(path, max, &size, error);

	return text ? g_bytes_new_take(text, size) : NULL;
}

/* metadata/N.ROLE.json as its parent describes it. */
static GBytes *read_described(
	const ProaFeed *feed, const char *role, const ProaFileInfo *info, gsize max, GError **error)
{
	g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", info->version, role);
	g_autoptr(GBytes) bytes = read_metadata(feed, name, max, error);

	if (!bytes || !proa_file_info_check(info, bytes, name, error))
		return NULL;
	return g_steal_pointer(&bytes);
}

/* The newest of metadata/N.root.json. */
static ProaRoot *read_root(const ProaFeed *feed, GError **error)
{
	gint64 version = 0;

	for (gint64 next = 1; next < MAX_ROOTS; next++) {
		g_autofree char *name =
			g_strdup_printf("%s/metadata/%" G_GINT64_FORMAT ".root.json", feed->dir, next);
		if (!g_file_test(name, G_FILE_TEST_EXISTS))
			break;
		version = next;
	}
	if (version == 0) {
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"metadata/1.root.json is missing: nothing was published yet");
		return NULL;
	}
	g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT ".root.json", version);
	g_autoptr(GBytes) bytes = read_metadata(feed, name, PROA_ROOT_MAX_SIZE, error);
	g_autoptr(ProaRoot) root = bytes ? proa_root_parse(bytes, name, error) : NULL;
	if (!root || !proa_signed_check(root->file, root->roles[PROA_ROLE_ROOT], name, error))
		return NULL;
	return g_steal_pointer(&root);
}

static gboolean check_signed(const ProaFeed *feed, const ProaSigned *file, ProaRole role, GError **error)
{
	return proa_signed_check(file, feed->root->roles[role], proa_role_to_string(role), error);
}

/* The role that a channel is. */
static gboolean load_channel(ProaFeed *feed, const ProaDelegate *delegate, GError **error)
{
	g_autofree char *file = g_strconcat(delegate->name, ".json", NULL);
	const ProaFileInfo *info = g_hash_table_lookup(feed->snapshot->meta, file);

	if (!info)
		return proa_fail(error, PROA_REASON_BAD_METADATA, "the snapshot does not list %s", file);
	g_autoptr(GBytes) bytes = read_described(feed, delegate->name, info, PROA_TARGETS_MAX_SIZE, error);
	g_autoptr(ProaTargets) targets = bytes ? proa_targets_parse(bytes, file, error) : NULL;
	if (!targets || !proa_signed_check(targets->file, delegate->keys, file, error))
		return FALSE;
	g_hash_table_insert(feed->channels, g_strdup(delegate->name), g_steal_pointer(&targets));
	return TRUE;
}

static gboolean load_channels(ProaFeed *feed, GError **error)
{
	g_autoptr(GPtrArray) delegates =
		feed->targets->delegations ? proa_delegations_all(feed->targets->delegations) : NULL;

	for (guint i = 0; delegates && i < delegates->len; i++)
		if (!load_channel(feed, delegates->pdata[i], error))
			return FALSE;
	return TRUE;
}

static gboolean load_metadata(ProaFeed *feed, GError **error)
{
	feed->root = read_root(feed, error);
	g_autoptr(GBytes) timestamp =
		feed->root ? read_metadata(feed, "timestamp.json", PROA_TIMESTAMP_MAX_SIZE, error) : NULL;
	feed->timestamp = timestamp ? proa_timestamp_parse(timestamp, "timestamp.json", error) : NULL;
	if (!feed->timestamp || !check_signed(feed, feed->timestamp->file, PROA_ROLE_TIMESTAMP, error))
		return FALSE;

	g_autoptr(GBytes) snapshot =
		read_described(feed, "snapshot", feed->timestamp->snapshot, PROA_SNAPSHOT_MAX_SIZE, error);
	feed->snapshot = snapshot ? proa_snapshot_parse(snapshot, "snapshot", error) : NULL;
	if (!feed->snapshot || !check_signed(feed, feed->snapshot->file, PROA_ROLE_SNAPSHOT, error))
		return FALSE;

	const ProaFileInfo *info = g_hash_table_lookup(feed->snapshot->meta, "targets.json");
	if (!info)
		return proa_fail(error, PROA_REASON_BAD_METADATA, "the snapshot does not list targets.json");
	g_autoptr(GBytes) targets = read_described(feed, "targets", info, PROA_TARGETS_MAX_SIZE, error);
	feed->targets = targets ? proa_targets_parse(targets, "targets", error) : NULL;
	return feed->targets && check_signed(feed, feed->targets->file, PROA_ROLE_TARGETS, error) &&
	       load_channels(feed, error);
}

static gboolean load_pending(ProaFeed *feed, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autofree char *path = proa_feed_path(feed, PROA_FEED_OURS "/pending.json");
	gsize size;
	g_autofree char *text = proa_file_read(path, MAX_PENDING, &size, &inner);

	if (text) {
		feed->pending = proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, error);
		return feed->pending != NULL;
	}
	if (!g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return FALSE;
	}
	feed->pending = json_object_new();
	return TRUE;
}

gboolean proa_feed_save_pending(const ProaFeed *feed, GError **error)
{
	g_autofree char *path = proa_feed_path(feed, PROA_FEED_OURS "/pending.json");

	if (json_object_get_size(feed->pending) == 0)
		return proa_file_remove(path, error);
	g_autofree char *text = proa_json_to_text(feed->pending);
	return proa_file_replace(path, text, strlen(text), 0644, error);
}

/* One publisher at a time: two would count the same versions up. */
static int lock(const char *dir, GError **error)
{
	g_autofree char *ours = g_build_filename(dir, PROA_FEED_OURS, NULL);
	g_autofree char *path = g_build_filename(ours, "lock", NULL);

	if (!proa_file_make_dirs(ours, error))
		return -1;
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		proa_fail(error, PROA_REASON_BUSY, "another proa-feed works on %s", dir);
		return -1;
	}
	return proa_steal_fd(&fd);
}

static void targets_release(gpointer data)
{
	proa_targets_free(data);
}

static ProaFeed *feed_new(const char *dir)
{
	ProaFeed *feed = g_new0(ProaFeed, 1);

	feed->dir = g_strdup(dir);
	feed->lock_fd = -1;
	feed->channels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, targets_release);
	return feed;
}

/* Whether nothing of the feed is out yet, but its first metadata is there to be signed. */
static gboolean is_unborn(const ProaFeed *feed)
{
	g_autofree char *timestamp = proa_feed_path(feed, "metadata/timestamp.json");
	g_autofree char *drafts = proa_feed_path(feed, PROA_FEED_OURS "/drafts/" PROA_FEED_FIRST_CHANGE);

	return !g_file_test(timestamp, G_FILE_TEST_EXISTS) && g_file_test(drafts, G_FILE_TEST_IS_DIR);
}

static ProaFeed *open_feed(const char *dir, gboolean write, gboolean may_be_unborn, GError **error)
{
	g_autoptr(ProaFeed) feed = feed_new(dir);
	g_autofree char *metadata = g_build_filename(dir, "metadata", NULL);

	/* Not to leave a lock in a directory that is no feed. */
	if (!g_file_test(metadata, G_FILE_TEST_IS_DIR)) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "%s holds no feed; `proa-feed init` makes one", dir);
		return NULL;
	}
	if (write && ((feed->lock_fd = lock(dir, error)) < 0 || !proa_commit_recover(dir, error)))
		return NULL;
	gboolean unborn = is_unborn(feed);
	if (unborn && !may_be_unborn) {
		proa_fail(error, PROA_REASON_NOT_FOUND,
			"the first metadata of %s waits for signatures: `proa-feed sign` by each holder, then `proa-feed merge`",
			dir);
		return NULL;
	}
	if ((!unborn && !load_metadata(feed, error)) || !load_pending(feed, error)) {
		g_prefix_error(error, "the feed %s: ", dir);
		return NULL;
	}
	return g_steal_pointer(&feed);
}

ProaFeed *proa_feed_open(const char *dir, gboolean write, GError **error)
{
	return open_feed(dir, write, FALSE, error);
}

ProaFeed *proa_feed_open_drafts(const char *dir, GError **error)
{
	return open_feed(dir, TRUE, TRUE, error);
}

void proa_feed_free(ProaFeed *feed)
{
	if (!feed)
		return;
	g_free(feed->dir);
	proa_close_fd(&feed->lock_fd);
	proa_root_free(feed->root);
	proa_timestamp_free(feed->timestamp);
	proa_snapshot_free(feed->snapshot);
	proa_targets_free(feed->targets);
	g_clear_pointer(&feed->channels, g_hash_table_unref);
	g_clear_pointer(&feed->pending, json_object_unref);
	g_free(feed);
}

static gboolean is_empty(const ProaFeed *feed, GError **error)
{
	g_autofree char *timestamp = proa_feed_path(feed, "metadata/timestamp.json");

	return !g_file_test(timestamp, G_FILE_TEST_EXISTS) ||
	       proa_fail(error, PROA_REASON_BAD_STATE, "%s already holds a feed", feed->dir);
}

ProaFeed *proa_feed_create(const char *dir, GError **error)
{
	static const char *const folders[] = { "metadata", "targets", "payloads", "sbom" };
	g_autoptr(ProaFeed) feed = feed_new(dir);
	g_autofree char *journal = proa_feed_path(feed, PROA_FEED_OURS "/commit");

	/* What a crash left half made is finished first, below. */
	if (!g_file_test(journal, G_FILE_TEST_EXISTS) && !is_empty(feed, error))
		return NULL;
	for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_build_filename(dir, folders[i], NULL);
		if (!proa_file_make_dirs(path, error))
			return NULL;
	}
	/* A crash may have left a feed that is nearly there. */
	if ((feed->lock_fd = lock(dir, error)) < 0 || !proa_commit_recover(dir, error) ||
		!is_empty(feed, error))
		return NULL;
	feed->pending = json_object_new();
	return g_steal_pointer(&feed);
}

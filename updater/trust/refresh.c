/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/refresh.h"

#include "base/file.h"

#include <string.h>

static void set_root(ProaTrust *trust, ProaRoot *root_taken)
{
	proa_root_free(trust->root);
	trust->root = root_taken;
}

/* Fetches @path and says so in errors. */
static GBytes *fetch(ProaTrust *trust, const char *path, gsize max, GError **error)
{
	GBytes *bytes = NULL;

	if (!trust->fetch(path, max, NULL, &bytes, trust->fetch_data, error)) {
		g_prefix_error(error, "fetching metadata/%s: ", path);
		return NULL;
	}
	return bytes;
}

/* The feed's timestamp; the trusted one if the server says that it has not changed. Tells its entity tag. */
static GBytes *fetch_timestamp(ProaTrust *trust, char **ret_etag, GError **error)
{
	GBytes *known = trust->timestamp ? trust->timestamp->file->bytes : NULL;
	g_autofree char *etag = known ? proa_store_read_etag(trust->store, known) : NULL;
	gboolean asked = etag != NULL;
	GBytes *bytes = NULL;

	if (!trust->fetch(
		    "timestamp.json", PROA_TIMESTAMP_MAX_SIZE, &etag, &bytes, trust->fetch_data, error)) {
		g_prefix_error(error, "fetching metadata/timestamp.json: ");
		return NULL;
	}
	if (!bytes && !asked) {
		proa_fail(error, PROA_REASON_FEED_ERROR,
			"the server says that timestamp.json has not changed, though nobody asked");
		return NULL;
	}
	*ret_etag = g_steal_pointer(&etag);
	return bytes ? bytes : g_bytes_ref(known);
}

static char *versioned_path(const ProaTrust *trust, const char *role, gint64 version)
{
	g_autofree char *quoted = proa_store_quote(role);

	if (!trust->root->consistent_snapshot)
		return g_strdup_printf("%s.json", quoted);
	return g_strdup_printf("%" G_GINT64_FORMAT ".%s.json", version, quoted);
}

/* How much of a file may be fetched: its signed length, within the cap of its parser. */
static gsize size_limit(const ProaFileInfo *info, gsize cap)
{
	return info->length >= 0 && (guint64)info->length < cap ? (gsize)info->length : cap;
}

/* The freeze attack's check. An operator may have decided to accept what is stale, for a while. */
static gboolean check_not_expired(
	ProaTrust *trust, const ProaRoleHead *head, const char *what, GError **error)
{
	if (head->expires > trust->now)
		return TRUE;
	if (trust->now < trust->accept_stale) {
		trust->was_stale = TRUE;
		return TRUE;
	}
	g_autofree char *expired = proa_role_time_format(head->expires);
	g_autofree char *now = proa_role_time_format(trust->now);
	return proa_fail(error, PROA_REASON_STALE_FEED, "%s expired at %s, and it is %s", what, expired, now);
}

static gboolean check_version(
	const ProaRoleHead *head, const ProaFileInfo *info, const char *what, GError **error)
{
	if (head->version == info->version)
		return TRUE;
	return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
		"%s has version %" G_GINT64_FORMAT " inside, signed for is version %" G_GINT64_FORMAT, what,
		head->version, info->version);
}

/* --- 5.2 and 5.3: root
 * ------------------------------------------------------------------------------------------ */

/* 5.3.4: whether @newer is signed as both it and its predecessor want. */
static gboolean check_root_signed(
	const ProaRoot *older, const ProaRoot *newer, const char *what, GError **error)
{
	if (proa_signed_check(newer->file, older->roles[PROA_ROLE_ROOT], what, error) &&
		proa_signed_check(newer->file, newer->roles[PROA_ROLE_ROOT], what, error))
		return TRUE;
	g_prefix_error(error, "root version %" G_GINT64_FORMAT ": ", newer->head.version);
	return FALSE;
}

/* The root to begin with, checked against itself. */
static ProaRoot *load_first_root(ProaTrust *trust, const char *shipped_root_path, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autoptr(GBytes) bytes = NULL;
	const char *what = shipped_root_path ? shipped_root_path : "root.json of the store";

	if (shipped_root_path) {
		gsize size;
		char *text = proa_file_read(shipped_root_path, PROA_ROOT_MAX_SIZE, &size, &inner);
		bytes = text ? g_bytes_new_take(text, size) : NULL;
	} else {
		bytes = proa_store_read(trust->store, "root", PROA_ROOT_MAX_SIZE, &inner);
	}
	if (!bytes) {
		if (g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND))
			proa_fail(error, PROA_REASON_NO_TRUST, "%s", inner->message);
		else
			g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	g_autoptr(ProaRoot) root = proa_root_parse(bytes, what, error);
	if (!root || !proa_signed_check(root->file, root->roles[PROA_ROLE_ROOT], what, error))
		return NULL;
	return g_steal_pointer(&root);
}

/* The next root of the store's history, if it holds one that follows the trusted one. */
static ProaRoot *next_stored_root(const ProaTrust *trust)
{
	gint64 version = trust->root->head.version + 1;
	g_autoptr(GBytes) bytes = proa_store_read_root(trust->store, version, PROA_ROOT_MAX_SIZE, NULL);
	g_autoptr(ProaRoot) root = bytes ? proa_root_parse(bytes, "stored root", NULL) : NULL;

	if (!root || root->head.version != version ||
		!check_root_signed(trust->root, root, "stored root", NULL))
		return NULL;
	return g_steal_pointer(&root);
}

gboolean proa_refresh_load_root(ProaTrust *trust, const char *shipped_root_path, GError **error)
{
	/* 5.2. Its expiry does not matter: the next step may bring a newer one. */
	ProaRoot *root = load_first_root(trust, shipped_root_path, error);

	if (!root)
		return FALSE;
	do
		set_root(trust, root);
	while ((root = next_stored_root(trust)));
	return proa_store_write_root(
		trust->store, trust->root->head.version, trust->root->file->bytes, error);
}

/* 5.3.3 to 5.3.8 once. *@ret_last is set when there is no newer root. */
static gboolean update_root_once(ProaTrust *trust, gboolean *ret_last, GError **error)
{
	g_autoptr(GError) inner = NULL;
	gint64 next = trust->root->head.version + 1;
	g_autofree char *path = g_strdup_printf("%" G_GINT64_FORMAT ".root.json", next);

	/* 5.3.3 */
	g_autoptr(GBytes) bytes = fetch(trust, path, PROA_ROOT_MAX_SIZE, &inner);
	if (!bytes) {
		if (!g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		*ret_last = TRUE;
		return TRUE;
	}

	/* 5.3.4 */
	g_autoptr(ProaRoot) root = proa_root_parse(bytes, path, error);
	if (!root || !check_root_signed(trust->root, root, path, error))
		return FALSE;

	/* 5.3.5. Only N+1 will do: the trusted one again under another name is a replay, and a gap would
	 * skip what a root between had revoked. */
	if (root->head.version != next)
		return proa_fail(error,
			root->head.version < next ? PROA_REASON_METADATA_ROLLBACK : PROA_REASON_BAD_METADATA,
			"%s has version %" G_GINT64_FORMAT " inside", path, root->head.version);

	/* 5.3.6: its expiry does not matter yet. 5.3.7 and 5.3.8, the disk first. */
	if (!proa_store_write_root(trust->store, next, bytes, error))
		return FALSE;
	set_root(trust, g_steal_pointer(&root));
	*ret_last = FALSE;
	return TRUE;
}

/* Whether a stored file was signed with keys that its role no longer has. */
static gboolean keys_rotated(const ProaTrust *trust, const ProaSigned *file, ProaRole role)
{
	return !proa_signed_check(file, trust->root->roles[role], proa_role_to_string(role), NULL);
}

/*
 * 5.3.11: after a rotation of the keys of either, trusted timestamp and snapshot are both dropped, so that a
 * feed recovers from an attacker who pushed version numbers up. Asked of what is stored is not "did the list
 * of keys change" but "would the root that is trusted now still accept it": that survives a power cut, and a
 * key that is merely added drops nothing. A file that is missing or broken is no rotation: the other one is
 * kept.
 */
static void load_trusted(ProaTrust *trust)
{
	g_autoptr(GBytes) timestamp =
		proa_store_read(trust->store, "timestamp", PROA_TIMESTAMP_MAX_SIZE, NULL);
	g_autoptr(GBytes) snapshot = proa_store_read(trust->store, "snapshot", PROA_SNAPSHOT_MAX_SIZE, NULL);

	g_clear_pointer(&trust->timestamp, proa_timestamp_free);
	g_clear_pointer(&trust->snapshot, proa_snapshot_free);
	if (timestamp)
		trust->timestamp = proa_timestamp_parse(timestamp, "stored timestamp", NULL);
	if (snapshot)
		trust->snapshot = proa_snapshot_parse(snapshot, "stored snapshot", NULL);
	if ((trust->timestamp && keys_rotated(trust, trust->timestamp->file, PROA_ROLE_TIMESTAMP)) ||
		(trust->snapshot && keys_rotated(trust, trust->snapshot->file, PROA_ROLE_SNAPSHOT))) {
		g_clear_pointer(&trust->timestamp, proa_timestamp_free);
		g_clear_pointer(&trust->snapshot, proa_snapshot_free);
	}
}

/* A time that is proven to have been: a clock far behind it is wrong. */
static gboolean note_time(ProaTrust *trust, gint64 proven, const char *by, GError **error)
{
	trust->now = MAX(trust->now, proven);
	if (proven - PROA_REFRESH_CLOCK_SLACK <= trust->clock)
		return TRUE;
	g_autofree char *clock = proa_role_time_format(trust->clock);
	g_autofree char *proof = proa_role_time_format(proven);
	return proa_fail(error, PROA_REASON_CLOCK_UNUSABLE,
		"the system clock says %s, but %s is from %s: what is stale can't be judged", clock, by,
		proof);
}

/* What we know of the time without asking anybody. */
static gboolean note_known_times(ProaTrust *trust, GError **error)
{
	return note_time(trust, trust->build_time, "the running release", error) &&
	       (!trust->timestamp ||
		       note_time(trust, trust->timestamp->time, "the newest timestamp of the feed", error));
}

static gboolean update_root(ProaTrust *trust, GError **error)
{
	gboolean last = FALSE;

	/* 5.3.1, 5.3.2, 5.3.9 */
	for (guint step = 0; !last && step < PROA_REFRESH_MAX_ROOTS; step++)
		if (!update_root_once(trust, &last, error))
			return FALSE;

	/*
	 * 5.3.11 before 5.3.10: the stored timestamp may tell us the time, but not one whose key has been
	 * revoked: a thief of that key could otherwise set every clock into the far future for good.
	 */
	load_trusted(trust);
	if (!note_known_times(trust, error))
		return FALSE;
	/* 5.3.10. 5.3.12 is versioned_path(). */
	return check_not_expired(trust, &trust->root->head, "the feed's root", error);
}

/* --- 5.4: timestamp
 * --------------------------------------------------------------------------------------------- */

/* 5.4.3 for a timestamp that is newer than the trusted one. */
static gboolean check_timestamp_follows(
	const ProaTimestamp *newer, const ProaTimestamp *older, GError **error)
{
	if (newer->head.version < older->head.version)
		return proa_fail(error, PROA_REASON_METADATA_ROLLBACK,
			"timestamp version %" G_GINT64_FORMAT ", but version %" G_GINT64_FORMAT
			" was trusted before",
			newer->head.version, older->head.version);
	if (newer->snapshot->version < older->snapshot->version)
		return proa_fail(error, PROA_REASON_METADATA_ROLLBACK,
			"the timestamp names snapshot version %" G_GINT64_FORMAT
			", but version %" G_GINT64_FORMAT " was trusted before",
			newer->snapshot->version, older->snapshot->version);
	return TRUE;
}

static gboolean update_timestamp(ProaTrust *trust, GError **error)
{
	/* 5.4.1 */
	g_autofree char *etag = NULL;
	g_autoptr(GBytes) bytes = fetch_timestamp(trust, &etag, error);
	if (!bytes)
		return FALSE;

	/* 5.4.2 */
	g_autoptr(ProaTimestamp) timestamp = proa_timestamp_parse(bytes, "timestamp.json", error);
	if (!timestamp || !proa_signed_check(timestamp->file, trust->root->roles[PROA_ROLE_TIMESTAMP],
				  "timestamp.json", error))
		return FALSE;

	/* 5.4.3. Of an equal version the one already trusted is kept, whatever the new one says. */
	if (trust->timestamp && timestamp->head.version == trust->timestamp->head.version)
		return check_not_expired(trust, &trust->timestamp->head, "the feed's timestamp", error);
	if (trust->timestamp && !check_timestamp_follows(timestamp, trust->timestamp, error))
		return FALSE;

	/* 5.4.4 */
	if (!note_time(trust, timestamp->time, "the feed's timestamp", error) ||
		!check_not_expired(trust, &timestamp->head, "the feed's timestamp", error))
		return FALSE;

	/* 5.4.5 */
	if (!proa_store_write(trust->store, "timestamp", bytes, error))
		return FALSE;
	proa_store_write_etag(trust->store, bytes, etag);
	proa_timestamp_free(trust->timestamp);
	trust->timestamp = g_steal_pointer(&timestamp);
	return TRUE;
}

/* --- 5.5: snapshot
 * ---------------------------------------------------------------------------------------------- */

/* Whether the trusted snapshot is the one that the timestamp names, so that nothing need be fetched. */
static gboolean snapshot_is_current(ProaTrust *trust)
{
	const ProaFileInfo *info = trust->timestamp->snapshot;

	return trust->snapshot && trust->snapshot->head.version == info->version &&
	       check_not_expired(trust, &trust->snapshot->head, "stored snapshot", NULL) &&
	       proa_file_info_check(info, trust->snapshot->file->bytes, "stored snapshot", NULL);
}

static gboolean update_snapshot(ProaTrust *trust, GError **error)
{
	const ProaFileInfo *info = trust->timestamp->snapshot;

	if (snapshot_is_current(trust))
		return TRUE;

	/* 5.5.1 */
	g_autofree char *path = versioned_path(trust, "snapshot", info->version);
	g_autoptr(GBytes) bytes = fetch(trust, path, size_limit(info, PROA_SNAPSHOT_MAX_SIZE), error);
	/* 5.5.2 */
	if (!bytes || !proa_file_info_check(info, bytes, path, error))
		return FALSE;
	/* 5.5.3 */
	g_autoptr(ProaSnapshot) snapshot = proa_snapshot_parse(bytes, path, error);
	if (!snapshot ||
		!proa_signed_check(snapshot->file, trust->root->roles[PROA_ROLE_SNAPSHOT], path, error))
		return FALSE;
	/* 5.5.4, 5.5.5, 5.5.6 */
	if (!check_version(&snapshot->head, info, path, error) ||
		(trust->snapshot && !proa_snapshot_check_follows(snapshot, trust->snapshot, error)) ||
		!check_not_expired(trust, &snapshot->head, "the feed's snapshot", error))
		return FALSE;
	/* 5.5.7 */
	if (!proa_store_write(trust->store, "snapshot", bytes, error))
		return FALSE;
	proa_snapshot_free(trust->snapshot);
	trust->snapshot = g_steal_pointer(&snapshot);
	return TRUE;
}

/* --- 5.6: targets
 * ----------------------------------------------------------------------------------------------- */

/* 5.6.2 to 5.6.5: the same for what was fetched and what was stored. */
static ProaTargets *verify_targets(ProaTrust *trust, GBytes *bytes, const ProaFileInfo *info,
	const ProaRoleKeys *keys, const char *what, GError **error)
{
	if (!proa_file_info_check(info, bytes, what, error))
		return NULL;
	g_autoptr(ProaTargets) targets = proa_targets_parse(bytes, what, error);
	if (!targets || !proa_signed_check(targets->file, keys, what, error) ||
		!check_version(&targets->head, info, what, error) ||
		!check_not_expired(trust, &targets->head, what, error))
		return NULL;
	return g_steal_pointer(&targets);
}

static ProaTargets *stored_targets(
	ProaTrust *trust, const char *role, const ProaFileInfo *info, const ProaRoleKeys *keys)
{
	g_autoptr(GBytes) bytes = proa_store_read(trust->store, role, PROA_TARGETS_MAX_SIZE, NULL);

	return bytes ? verify_targets(trust, bytes, info, keys, role, NULL) : NULL;
}

static ProaTargets *fetch_targets(ProaTrust *trust, const char *role, const ProaFileInfo *info,
	const ProaRoleKeys *keys, GError **error)
{
	/* 5.6.1 */
	g_autofree char *path = versioned_path(trust, role, info->version);
	g_autoptr(GBytes) bytes = fetch(trust, path, size_limit(info, PROA_TARGETS_MAX_SIZE), error);
	g_autoptr(ProaTargets) targets = bytes ? verify_targets(trust, bytes, info, keys, path, error) : NULL;

	/* 5.6.6 */
	if (!targets || !proa_store_write(trust->store, role, bytes, error))
		return NULL;
	return g_steal_pointer(&targets);
}

ProaTargets *proa_refresh_targets(
	ProaTrust *trust, const char *role, const ProaRoleKeys *keys, GError **error)
{
	g_autofree char *file = g_strconcat(role, ".json", NULL);
	const ProaFileInfo *info = g_hash_table_lookup(trust->snapshot->meta, file);
	ProaTargets *targets = g_hash_table_lookup(trust->targets, role);

	if (targets && (targets->verified_by == keys || proa_signed_check(targets->file, keys, role, NULL))) {
		targets->verified_by = keys;
		return targets;
	}
	if (!info) {
		proa_fail(error, PROA_REASON_BAD_METADATA, "the snapshot does not list the role %s", role);
		return NULL;
	}
	targets = stored_targets(trust, role, info, keys);
	if (!targets)
		targets = fetch_targets(trust, role, info, keys, error);
	if (!targets)
		return NULL;
	targets->verified_by = keys;
	ProaTargets *replaced = g_hash_table_lookup(trust->targets, role);
	if (replaced)
		g_ptr_array_add(trust->retired, replaced);
	g_hash_table_replace(trust->targets, g_strdup(role), targets);
	return targets;
}

void proa_refresh_forget_targets(ProaTrust *trust)
{
	GHashTableIter iter;
	gpointer targets;

	g_hash_table_iter_init(&iter, trust->targets);
	while (g_hash_table_iter_next(&iter, NULL, &targets))
		g_ptr_array_add(trust->retired, targets);
	g_hash_table_remove_all(trust->targets);
	g_ptr_array_set_size(trust->retired, 0);
}

/* 5.1 */
static void begin(ProaTrust *trust)
{
	trust->clock = g_get_real_time() / G_USEC_PER_SEC;
	trust->now = trust->clock;
	trust->fresh = FALSE;
	trust->was_stale = FALSE;
	proa_refresh_forget_targets(trust);
}

gboolean proa_refresh_run(ProaTrust *trust, GError **error)
{
	begin(trust);
	trust->fresh = update_root(trust, error) && update_timestamp(trust, error) &&
		       update_snapshot(trust, error) &&
		       proa_refresh_targets(trust, "targets", trust->root->roles[PROA_ROLE_TARGETS], error);
	return trust->fresh;
}

/* Whether the metadata that is stored could be used as it is. */
static gboolean stored_is_good(ProaTrust *trust)
{
	if (!check_not_expired(trust, &trust->root->head, "root", NULL) ||
		!check_not_expired(trust, &trust->timestamp->head, "timestamp", NULL) ||
		!snapshot_is_current(trust))
		return FALSE;
	const ProaRoleKeys *keys = trust->root->roles[PROA_ROLE_TARGETS];
	const ProaFileInfo *info = g_hash_table_lookup(trust->snapshot->meta, "targets.json");
	ProaTargets *targets = info ? stored_targets(trust, "targets", info, keys) : NULL;
	if (!targets)
		return FALSE;
	targets->verified_by = keys;
	g_hash_table_replace(trust->targets, g_strdup("targets"), targets);
	return TRUE;
}

gboolean proa_refresh_poll(ProaTrust *trust, gboolean *ret_news, GError **error)
{
	g_autofree char *etag = NULL;

	begin(trust);
	load_trusted(trust);
	if (!trust->timestamp) {
		*ret_news = TRUE;
		return TRUE;
	}
	g_autoptr(GBytes) bytes = fetch_timestamp(trust, &etag, error);
	if (!bytes || !note_known_times(trust, error))
		return FALSE;
	trust->fresh = g_bytes_equal(bytes, trust->timestamp->file->bytes) && stored_is_good(trust);
	if (trust->fresh)
		proa_store_write_etag(trust->store, bytes, etag);
	*ret_news = !trust->fresh;
	return TRUE;
}

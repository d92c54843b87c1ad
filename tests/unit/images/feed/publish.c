/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/publish.h"

#include "tests/unit/images/feed/fixture.h"

#define HOUR ((gint64)60 * 60)

static void check_versions(const Fixture *fixture, gint64 targets, gint64 snapshot, gint64 timestamp)
{
	g_autoptr(ProaFeed) feed = fixture_open(fixture);

	g_assert_cmpint(feed->targets->head.version, ==, targets);
	g_assert_cmpint(feed->snapshot->head.version, ==, snapshot);
	g_assert_cmpint(feed->timestamp->head.version, ==, timestamp);
}

static void test_versions(void)
{
	g_auto(Fixture) fixture = fixture_new();

	check_versions(&fixture, 1, 1, 1);
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	check_versions(&fixture, 2, 2, 2);
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	check_versions(&fixture, 2, 2, 3);
}

static void test_near_expiry(void)
{
	g_auto(Fixture) fixture = fixture_new();

	/* An hour left of seven days is little; of one hour it is all. */
	fixture.lifetimes.of[PROA_ROLE_SNAPSHOT] = HOUR;
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	check_versions(&fixture, 2, 2, 3);
	proa_lifetimes_defaults(&fixture.lifetimes);
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	check_versions(&fixture, 2, 3, 4);
}

static void test_refresh_does_not_publish(void)
{
	g_auto(Fixture) fixture = fixture_new();
	fixture_release(&fixture, "1.0.0", NULL);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", NULL);

	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	/* Even when it has to sign targets anew. */
	fixture.lifetimes.of[PROA_ROLE_TARGETS] *= 10;
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	feed = fixture_open(&fixture);
	const ProaTargets *stable = g_hash_table_lookup(feed->channels, "stable");
	g_assert_cmpint(stable->head.version, ==, 2);
	g_assert_cmpuint(g_hash_table_size(stable->targets), ==, 0);
	g_assert_cmpuint(json_object_get_size(feed->pending), ==, 1);
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	feed = fixture_open(&fixture);
	stable = g_hash_table_lookup(feed->channels, "stable");
	g_assert_cmpuint(g_hash_table_size(stable->targets), ==, 1);
	g_assert_cmpuint(g_hash_table_size(feed->targets->targets), ==, 0);
	g_assert_cmpuint(json_object_get_size(feed->pending), ==, 0);
}

/* The timestamp tells when it was signed, for nodes whose clock is behind. */
static void test_time(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;

	g_assert_cmpint(feed->timestamp->time, <=, now);
	g_assert_cmpint(feed->timestamp->time, >, now - 60);
	g_assert_cmpuint(g_bytes_get_size(feed->timestamp->file->bytes), <, 1024);
}

static void add_release(const Fixture *fixture, const char *version, const char *channel)
{
	fixture_release(fixture, version, NULL);
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture->release, channel, NULL);

	g_assert_nonnull(added);
	g_assert_true(proa_feed_save_pending(feed, NULL));
}

static void remove_key(const Fixture *fixture, const char *name)
{
	g_autofree char *path = g_build_filename(fixture->keys, name, NULL);

	g_assert_cmpint(g_unlink(path), ==, 0);
}

static void refuses(const Fixture *fixture, ProaPublishKind kind)
{
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(fixture);
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_publish(feed, signers, &fixture->lifetimes, kind, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

static void test_missing_keys(void)
{
	g_auto(Fixture) fixture = fixture_new();

	/* The keys of root and targets are not needed for a release. */
	remove_key(&fixture, "root.pem");
	remove_key(&fixture, "targets.pem");
	add_release(&fixture, "1.0.0", "stable");
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	check_versions(&fixture, 1, 2, 2);
	remove_key(&fixture, "stable.pem");
	add_release(&fixture, "1.0.1", "stable");
	refuses(&fixture, PROA_PUBLISH_ALL);
	check_versions(&fixture, 1, 2, 2);
	/* A refresh needs the timestamp's key alone. */
	remove_key(&fixture, "snapshot.pem");
	remove_key(&fixture, "beta.pem");
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	check_versions(&fixture, 1, 2, 3);
	remove_key(&fixture, "timestamp.pem");
	refuses(&fixture, PROA_PUBLISH_REFRESH);
	check_versions(&fixture, 1, 2, 3);
}

/* The key of beta signs nothing that a node takes for stable. */
static void test_channels(void)
{
	g_auto(Fixture) fixture = fixture_new();

	remove_key(&fixture, "targets.pem");
	remove_key(&fixture, "stable.pem");
	add_release(&fixture, "1.0.0", "beta");
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	const ProaTargets *beta = g_hash_table_lookup(feed->channels, "beta");
	g_assert_true(g_hash_table_contains(beta->targets, "beta/1.0.0/manifest.json"));
	g_clear_pointer(&feed, proa_feed_free);
	add_release(&fixture, "1.0.0", "stable");
	refuses(&fixture, PROA_PUBLISH_ALL);
}

/* With a draft, what one holder can't sign alone waits for the other; meanwhile the feed is as it was. */
static void test_draft(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GPtrArray) online = proa_signers_new(), holder = fixture_signer(&fixture, "stable.pem");
	g_autoptr(ProaChange) waiting = NULL;
	gboolean taken = FALSE;
	guint added = 0, worthless = 0;

	for (guint i = 0; i < 2; i++) {
		g_autofree char *path =
			g_build_filename(fixture.keys, i ? "snapshot.pem" : "timestamp.pem", NULL);
		g_assert_true(proa_signers_add(online, path, NULL));
	}
	add_release(&fixture, "1.0.0", "stable");
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_assert_true(proa_publish(feed, online, &fixture.lifetimes, PROA_PUBLISH_ALL, &waiting, NULL));
	g_assert_nonnull(waiting);
	g_autofree char *path = proa_change_path(waiting, "stable");
	g_autoptr(JsonObject) envelope = proa_envelope_read(path, NULL);
	g_assert_true(proa_envelope_sign_all(envelope, holder, &added, NULL));
	g_autoptr(GPtrArray) changes = proa_changes_load(feed, NULL);
	g_assert_cmpuint(changes->len, ==, 1);
	ProaChange *change = changes->pdata[0];
	g_autoptr(GPtrArray) before = proa_change_needs(change, NULL);
	g_assert_cmpuint(before->len, ==, 1);
	g_assert_true(proa_change_merge(change, envelope, &taken, &added, &worthless, NULL));
	g_assert_true(taken);
	g_assert_cmpuint(worthless, ==, 0);
	g_autoptr(GPtrArray) after = proa_change_needs(change, NULL);
	g_assert_cmpuint(after->len, ==, 0);
	g_assert_true(proa_commit(change, online, &fixture.lifetimes, NULL));
	g_assert_cmpuint(json_object_get_size(feed->pending), ==, 0);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	const ProaTargets *stable = g_hash_table_lookup(feed->channels, "stable");
	g_assert_cmpuint(g_hash_table_size(stable->targets), ==, 1);
}

/* A channel whose key is elsewhere expires; a refresh goes on, and that it is so can be told. */
static void test_expired(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture.lifetimes.of[PROA_ROLE_TARGETS] = 1;
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	remove_key(&fixture, "beta.pem");
	proa_lifetimes_defaults(&fixture.lifetimes);
	g_usleep(2100 * 1000);
	for (guint i = 0; i < 2; i++) {
		g_autoptr(ProaFeed) feed = fixture_open(&fixture);
		g_autoptr(GPtrArray) expired = proa_publish_expired(feed, NULL);
		static const char *const roles[] = { "beta", "stable", "targets" };
		g_assert_cmpuint(expired->len, ==, i == 0 ? 3 : 1);
		for (guint j = 0; j < expired->len; j++) {
			const ProaPublishExpired *one = expired->pdata[j];
			g_assert_cmpstr(one->role, ==, roles[j]);
			g_assert_cmpint(one->expires, <, g_get_real_time() / G_USEC_PER_SEC);
			g_assert_false(one->drafted);
		}
		g_clear_pointer(&feed, proa_feed_free);
		fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	}
	/* With the key out of the way, what can be done is to wait for who holds it. */
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaChange) change = proa_change_new(feed, "publish");
	g_assert_nonnull(proa_change_edit(change, "beta", HOUR, NULL));
	g_assert_true(proa_change_save(change, NULL));
	g_autoptr(GPtrArray) expired = proa_publish_expired(feed, NULL);
	g_assert_cmpuint(expired->len, ==, 1);
	g_assert_true(((const ProaPublishExpired *)expired->pdata[0])->drafted);
}

static gboolean fetch_file(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	g_autofree char *file = g_build_filename(data, "metadata", path, NULL);
	gsize size;
	char *text = proa_file_read(file, max_size, &size, error);

	if (text)
		*ret_bytes = g_bytes_new_take(text, size);
	return text != NULL;
}

static int publishing; /* atomic */

static gpointer publish_often(gpointer data)
{
	for (int i = 0; i < 30; i++)
		fixture_publish(data, i % 3 ? PROA_PUBLISH_ALL : PROA_PUBLISH_REFRESH);
	g_atomic_int_set(&publishing, 0);
	return NULL;
}

/* A node that refreshes again and again while the publisher publishes never meets half a feed. */
static void test_readers_never_see_half(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *store = scratch_file(&fixture.scratch, "store"),
			*root = g_build_filename(fixture.feed, "metadata/1.root.json", NULL);
	guint refreshes = 0;

	publishing = 1;
	GThread *publisher = g_thread_new("publisher", publish_often, &fixture);
	while (g_atomic_int_get(&publishing)) {
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaTrust) trust = proa_trust_open(store, root, 0, NULL);
		gboolean ok = proa_trust_refresh(trust, fetch_file, fixture.feed, &error);
		g_assert_no_error(error);
		g_assert_true(ok);
		refreshes++;
	}
	g_thread_join(publisher);
	g_test_message("%u refreshes", refreshes);
	g_assert_cmpuint(refreshes, >, 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/publish/counts-versions-up", test_versions);
	g_test_add_func("/feed/publish/refresh-renews-what-nears-expiry", test_near_expiry);
	g_test_add_func("/feed/publish/refresh-publishes-nothing", test_refresh_does_not_publish);
	g_test_add_func("/feed/publish/timestamp-tells-the-time", test_time);
	g_test_add_func("/feed/publish/missing-keys", test_missing_keys);
	g_test_add_func("/feed/publish/a-channel-has-its-own-key", test_channels);
	g_test_add_func("/feed/publish/a-draft-waits-for-other-holders", test_draft);
	g_test_add_func("/feed/publish/tells-what-has-expired", test_expired);
	g_test_add_func("/feed/publish/readers-never-see-half-a-feed", test_readers_never_see_half);
	return g_test_run();
}

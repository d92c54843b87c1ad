/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/commit.h"

#include "tests/unit/images/feed/killed.h"

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

static gint64 client_accepts(const Fixture *fixture)
{
	g_autofree char *store = scratch_file(&fixture->scratch, "store"),
			*root = g_build_filename(fixture->feed, "metadata/1.root.json", NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaTrust) trust = proa_trust_open(store, root, 0, NULL);
	gboolean ok = proa_trust_refresh(trust, fetch_file, fixture->feed, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_autofree char *path = g_build_filename(store, "timestamp.json", NULL), *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_autoptr(JsonObject) object = proa_json_parse(text, strlen(text), "x", PROA_REASON_BAD_STATE, NULL);
	return json_object_get_int_member(json_object_get_object_member(object, "signed"), "version");
}

/*
 * A publisher that is killed at any of its renames and unlinks leaves a feed that a client takes, old or new;
 * and the next who opens the feed finishes or forgets it. The kill is a limit on how many such calls the
 * child may make.
 */
static void test_killed_anywhere(void)
{
	gboolean finished = FALSE;
	guint steps = 0;

	for (guint limit = 0; !finished && limit < 100; limit++, steps++) {
		g_auto(Fixture) fixture = fixture_new();
		g_assert_cmpint(client_accepts(&fixture), ==, 1);
		finished = survives(rotate_timestamp, &fixture, limit);
		gint64 version = client_accepts(&fixture);
		g_assert_true(version == 1 || version == 2);
		g_autoptr(ProaFeed) feed = fixture_open(&fixture);
		gint64 now = feed->timestamp->head.version;
		g_assert_cmpint(feed->root->head.version, ==, now == 2 ? 2 : 1);
		g_clear_pointer(&feed, proa_feed_free);
		g_assert_cmpint(client_accepts(&fixture), ==, now);
		/* And it goes on from there. */
		fixture_publish(&fixture, PROA_PUBLISH_ALL);
		g_assert_cmpint(client_accepts(&fixture), ==, now + 1);
	}
	g_test_message("%u places to be killed at", steps);
	g_assert_cmpuint(steps, >, 6);
}

static void rotate_root(const Fixture *fixture)
{
	rotate(fixture, "root");
}

static void rotate_targets(const Fixture *fixture)
{
	rotate(fixture, "targets");
}

static void renew_root(const Fixture *fixture)
{
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(fixture);
	g_autoptr(ProaChange) change = proa_ceremony_renew(feed, signers, &fixture->lifetimes, NULL);

	g_assert_nonnull(change);
	g_assert_true(proa_commit(change, signers, &fixture->lifetimes, NULL));
}

/* Whether a new root is out, at whatever place its publisher was killed. */
static gboolean has_root(const Fixture *fixture)
{
	g_autofree char *path = scratch_file(&fixture->scratch, "feed/metadata/2.root.json");

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

/*
 * A node that has the new timestamp and polls looks for no root before the next one. So the root comes first
 * wherever what is out is good under it too: then no reader meets the timestamp without it. Elsewhere the
 * timestamp comes first, or new readers would be shut out.
 */
static void test_root_first(void)
{
	static const struct {
		void (*act)(const Fixture *fixture);
		gboolean root_first;
	} cases[] = { { renew_root, TRUE }, { rotate_root, TRUE }, { rotate_timestamp, FALSE },
		{ rotate_targets, FALSE } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		guint alone = 0, steps = 0;
		for (gboolean finished = FALSE; !finished && steps < 100; steps++) {
			g_auto(Fixture) fixture = fixture_new();
			g_assert_cmpint(client_accepts(&fixture), ==, 1);
			finished = survives(cases[i].act, &fixture, steps);
			gboolean root = has_root(&fixture);
			gint64 version = client_accepts(&fixture);
			alone += root != (version == 2);
			if (root != (version == 2))
				g_assert_cmpint(root, ==, cases[i].root_first);
		}
		g_test_message("%u places to be killed at, one of root and timestamp after %u", steps, alone);
		g_assert_cmpuint(alone, >, 0);
	}
}

static void begin(const Fixture *fixture)
{
	g_autofree char *dir = scratch_file(&fixture->scratch, "born");

	g_assert_true(fixture_init(fixture, dir, "ed25519", NULL, NULL));
}

/* A feed that is being made is there as a whole, or is made by the next who tries, with the same keys. */
static void test_killed_at_birth(void)
{
	guint steps = 0;

	for (gboolean finished = FALSE; !finished && steps < 100; steps++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *dir = scratch_file(&fixture.scratch, "born");
		g_autoptr(GError) error = NULL;
		finished = survives(begin, &fixture, steps);
		if (!fixture_init(&fixture, dir, "ed25519", NULL, &error))
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE); /* it is made */
		g_set_str(&fixture.feed, dir);
		g_assert_cmpint(client_accepts(&fixture), ==, 1);
	}
	g_test_message("%u places to be killed at", steps);
	g_assert_cmpuint(steps, >, 6);
}

/* A server tells files apart by their time in seconds. */
static void test_younger(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = g_build_filename(fixture.feed, "metadata/timestamp.json", NULL);
	GStatBuf before, after;

	g_assert_cmpint(g_stat(path, &before), ==, 0);
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
	g_assert_cmpint(g_stat(path, &after), ==, 0);
	g_assert_cmpint(after.st_mtime, >, before.st_mtime);
}

static void test_garbage_in_the_journal(void)
{
	g_auto(Fixture) fixture = fixture_new();

	g_free(scratch_write(&fixture.scratch, "feed/.proa-feed/commit.tmp/0000-timestamp.json", "half", -1));
	g_assert_true(proa_commit_recover(fixture.feed, NULL));
	g_autofree char *left = scratch_file(&fixture.scratch, "feed/.proa-feed/commit.tmp");
	g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
	g_assert_cmpint(client_accepts(&fixture), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/commit/killed-anywhere-leaves-a-whole-feed", test_killed_anywhere);
	g_test_add_func("/feed/commit/a-new-root-comes-first-where-it-may", test_root_first);
	g_test_add_func(
		"/feed/commit/killed-at-its-birth-a-feed-is-whole-or-made-again", test_killed_at_birth);
	g_test_add_func("/feed/commit/a-new-timestamp-is-younger", test_younger);
	g_test_add_func("/feed/commit/an-unfinished-journal-is-nothing", test_garbage_in_the_journal);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/feed.h"

#include "tests/unit/images/feed/fixture.h"

static void test_lifetimes(void)
{
	static const struct {
		const char *text;
		gint64 seconds; /* 0: refused */
	} cases[] = { { "90", 90 }, { "90s", 90 }, { "5min", 300 }, { "6h", 21600 }, { "2d", 172800 },
		{ "1w", 604800 }, { "7300d", 630720000 }, { "7301d", 0 }, { "0", 0 }, { "", 0 }, { "d", 0 },
		{ "-1d", 0 }, { "1.5d", 0 }, { "1 d", 0 }, { "1m", 0 }, { "99999999999999999999", 0 },
		{ "9223372036854775807w", 0 }, { " 1", 0 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		gint64 seconds = 0;
		g_assert_cmpint(proa_lifetime_parse(cases[i].text, &seconds), ==, cases[i].seconds != 0);
		g_assert_cmpint(seconds, ==, cases[i].seconds);
	}
}

static void test_init(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(feed->root->head.version, ==, 1);
	g_assert_true(feed->root->consistent_snapshot);
	g_assert_cmpint(feed->timestamp->head.version, ==, 1);
	g_assert_cmpuint(g_hash_table_size(feed->targets->targets), ==, 0);
	g_assert_cmpuint(g_hash_table_size(feed->channels), ==, 2);
	g_assert_nonnull(feed->targets->token_keys);
	/* Four roles, four different keys. */
	g_autoptr(GHashTable) identities = g_hash_table_new(g_str_hash, g_str_equal);
	for (int role = 0; role < _PROA_ROLE_MAX; role++)
		g_hash_table_add(identities, (gpointer)(guintptr)proa_key_identity(
						     g_ptr_array_index(feed->root->roles[role]->keys, 0)));
	g_assert_cmpuint(g_hash_table_size(identities), ==, _PROA_ROLE_MAX);
	g_assert_false(fixture_init(&fixture, fixture.feed, "ed25519", NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

/* A second feed with the same keys, as tests and mirrors of one publisher have it. */
static void test_init_keeps_keys(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *second = scratch_file(&fixture.scratch, "second");
	g_autoptr(ProaFeed) one = fixture_open(&fixture);

	g_assert_true(fixture_init(&fixture, second, "ed25519", NULL, NULL));
	g_autoptr(ProaFeed) two = proa_feed_open(second, FALSE, NULL);
	g_assert_cmpstr(proa_key_id(g_ptr_array_index(one->root->roles[0]->keys, 0)), ==,
		proa_key_id(g_ptr_array_index(two->root->roles[0]->keys, 0)));
}

static void test_lock(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) first = fixture_open(&fixture);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_feed_open(fixture.feed, TRUE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
	/* Who only reads is not kept out. */
	g_autoptr(ProaFeed) reader = proa_feed_open(fixture.feed, FALSE, NULL);
	g_assert_nonnull(reader);
}

static void test_not_a_feed(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *ours = scratch_file(&scratch, ".proa-feed");

	g_assert_null(proa_feed_open(scratch.path, TRUE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_false(g_file_test(ours, G_FILE_TEST_EXISTS));
}

static void test_damaged(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;

	g_free(scratch_write(&fixture.scratch, "feed/metadata/1.targets.json", "{}", -1));
	g_assert_null(proa_feed_open(fixture.feed, TRUE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_METADATA_MISMATCH);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/lifetimes", test_lifetimes);
	g_test_add_func("/feed/init/makes-a-whole-empty-feed", test_init);
	g_test_add_func("/feed/init/keeps-keys-that-are-there", test_init_keeps_keys);
	g_test_add_func("/feed/one-publisher-at-a-time", test_lock);
	g_test_add_func("/feed/leaves-other-directories-alone", test_not_a_feed);
	g_test_add_func("/feed/refuses-damaged-metadata", test_damaged);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/mirror.h"

#include "images/feed/audit.h"
#include "tests/unit/images/feed/fixture.h"

static void add(const Fixture *fixture, const char *channel, const char *version)
{
	fixture_release(fixture, version, NULL);
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture->release, channel, NULL);

	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(fixture, PROA_PUBLISH_ALL);
}

static ProaWalk *walk_of(const Fixture *fixture, const char *place, const char *channel, const char *store)
{
	g_autofree char *path = scratch_file(&fixture->scratch, store);
	g_autoptr(GError) error = NULL;
	ProaWalk *walk = proa_walk_new(place, NULL, channel, path, &error);

	g_assert_no_error(error);
	return walk;
}

static guint problems(JsonObject *audit)
{
	return json_array_get_length(json_object_get_array_member(audit, "problems"));
}

/* A mirror of one channel is a feed for its nodes, and what it lacks nobody of them asks for. */
static void test_mirror(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *to = scratch_file(&fixture.scratch, "mirror");
	const ProaMirrorOptions options = { .trees = TRUE };
	ProaMirrored first, second;

	add(&fixture, "stable", "1.0.0");
	add(&fixture, "beta", "1.0.1");
	g_autoptr(ProaWalk) walk = walk_of(&fixture, fixture.feed, "stable", "store1");
	g_assert_cmpuint(walk->files->len, ==, 4); /* manifest, payload, UKI, SBOM */
	g_assert_true(proa_mirror_run(walk, to, &options, &first, NULL));
	g_assert_true(proa_mirror_run(walk, to, &options, &second, NULL));
	g_assert_cmpuint(first.fetched, ==, 4);
	g_assert_cmpuint(second.fetched, ==, 0);
	g_autoptr(ProaWalk) mirrored = walk_of(&fixture, to, "stable", "store2");
	g_autoptr(JsonObject) audit = proa_audit_run(mirrored);
	g_assert_cmpuint(problems(audit), ==, 0);
	g_assert_cmpint(json_object_get_int_member(audit, "files"), ==, 4);
	g_autofree char *beta = g_build_filename(to, "targets/beta", NULL);
	g_assert_false(g_file_test(beta, G_FILE_TEST_EXISTS));
}

/* From all channels to one: what only the others had goes, and what is left is a feed. */
static void test_prune(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *to = scratch_file(&fixture.scratch, "mirror"),
			*beta = scratch_file(&fixture.scratch, "mirror/targets/beta");
	const ProaMirrorOptions plain = { .trees = TRUE }, pruning = { .trees = TRUE, .prune = TRUE };
	g_autoptr(GError) error = NULL;
	ProaMirrored mirrored;

	add(&fixture, "stable", "1.0.0");
	add(&fixture, "beta", "1.0.1");
	g_autoptr(ProaWalk) all = walk_of(&fixture, fixture.feed, NULL, "store1");
	g_assert_true(proa_mirror_run(all, to, &plain, &mirrored, NULL));
	g_assert_true(g_file_test(beta, G_FILE_TEST_EXISTS));
	g_assert_cmpuint(mirrored.removed, ==, 0);
	g_autoptr(ProaWalk) one = walk_of(&fixture, fixture.feed, "stable", "store2");
	g_assert_true(proa_mirror_run(one, to, &pruning, &mirrored, NULL));
	g_assert_false(g_file_test(beta, G_FILE_TEST_EXISTS));
	g_assert_cmpuint(mirrored.removed, >=, 2); /* its manifest, and metadata */
	g_autoptr(ProaWalk) mirror = walk_of(&fixture, to, "stable", "store3");
	g_autoptr(JsonObject) audit = proa_audit_run(mirror);
	g_assert_cmpuint(problems(audit), ==, 0);
	/* Never into a feed that is published from: it has more than its metadata names. */
	g_assert_false(proa_mirror_run(one, fixture.feed, &pruning, &mirrored, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

/* An audit tells of every file that is not what was signed; a mirror of it is not made. */
static void test_altered(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *to = scratch_file(&fixture.scratch, "mirror");
	g_autoptr(GError) error = NULL;
	const ProaMirrorOptions options = { .trees = TRUE };
	ProaMirrored mirrored;

	add(&fixture, "stable", "1.0.0");
	g_autofree char *folder = g_build_filename(fixture.feed, "payloads", NULL);
	g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
	const char *name;
	while ((name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		if (g_str_has_suffix(name, ".efi"))
			g_assert_true(g_file_set_contents(path, "XX uki", -1, NULL));
		else
			g_assert_cmpint(g_unlink(path), ==, 0);
	}
	g_autoptr(ProaWalk) walk = walk_of(&fixture, fixture.feed, NULL, "store");
	g_assert_false(proa_mirror_run(walk, to, &options, &mirrored, &error));
	g_assert_nonnull(error);
	g_autofree char *timestamp = g_build_filename(to, "metadata/timestamp.json", NULL);
	g_assert_false(g_file_test(timestamp, G_FILE_TEST_EXISTS));
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	g_assert_cmpuint(problems(audit), ==, 2);
	g_assert_cmpint(json_array_get_length(json_object_get_array_member(audit, "roles")), >=, 5);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/mirror/one-channel-is-a-feed", test_mirror);
	g_test_add_func("/feed/mirror/prunes-what-nothing-names", test_prune);
	g_test_add_func("/feed/mirror/audit-finds-what-a-mirror-refuses", test_altered);
	return g_test_run();
}

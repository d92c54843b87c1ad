/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/mirror.h"

#include "images/feed/audit.h"
#include "tests/unit/images/feed/killed.h"

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
	const ProaWalkOptions options = { .channel = channel };
	g_autoptr(GError) error = NULL;
	ProaWalk *walk = proa_walk_new(place, &options, path, &error);

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

/* Changes one byte of each file of a folder of the mirror. */
static guint rot(const char *dir)
{
	g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
	const char *name;
	guint count = 0;

	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(dir, name, NULL), *text = NULL;
		gsize size;
		g_assert_true(g_file_get_contents(path, &text, &size, NULL));
		text[size - 1] ^= 1;
		g_assert_true(g_file_set_contents(path, text, (gssize)size, NULL));
		count++;
	}
	return count;
}

/* A medium rots, and a file keeps its size: the next run finds it and fetches it again. */
static void test_rotten(void)
{
	static const char *const folders[] = { "payloads", "sbom", "targets/stable/1.0.0" };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *to = scratch_file(&fixture.scratch, "mirror");
	const ProaMirrorOptions options = { .trees = TRUE };
	ProaMirrored mirrored;
	guint rotten = 0;

	add(&fixture, "stable", "1.0.0");
	g_autoptr(ProaWalk) walk = walk_of(&fixture, fixture.feed, NULL, "store1");
	g_assert_true(proa_mirror_run(walk, to, &options, &mirrored, NULL));
	g_assert_cmpuint(mirrored.damaged, ==, 0);
	for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *folder = g_build_filename(to, folders[i], NULL);
		rotten += rot(folder);
	}
	g_assert_cmpuint(rotten, ==, 4);
	g_assert_true(proa_mirror_run(walk, to, &options, &mirrored, NULL));
	g_assert_cmpuint(mirrored.damaged, ==, rotten);
	g_assert_cmpuint(mirrored.fetched, ==, rotten);
	g_autoptr(ProaWalk) mirror = walk_of(&fixture, to, NULL, "store2");
	g_autoptr(JsonObject) audit = proa_audit_run(mirror);
	g_assert_cmpuint(problems(audit), ==, 0);
}

/* A feed that has expired is mirrored if the operator says until when, and not without. */
static void test_stale(void)
{
	const gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	const ProaWalkOptions strict = { 0 }, past = { .accept_stale = now - 1 },
			      accepting = { .accept_stale = now + 1000 };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *to = scratch_file(&fixture.scratch, "mirror"),
			*store1 = scratch_file(&fixture.scratch, "store1"),
			*store2 = scratch_file(&fixture.scratch, "store2"),
			*store3 = scratch_file(&fixture.scratch, "store3");
	const ProaMirrorOptions options = { .trees = TRUE };
	g_autoptr(GError) error = NULL, other = NULL;
	ProaMirrored mirrored;

	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++)
		fixture.lifetimes.of[role] = 1;
	add(&fixture, "stable", "1.0.0");
	g_usleep(2100 * 1000);
	g_assert_null(proa_walk_new(fixture.feed, &strict, store1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_STALE_FEED);
	g_assert_null(proa_walk_new(fixture.feed, &past, store2, &other));
	g_assert_error(other, PROA_ERROR, PROA_REASON_STALE_FEED);
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, &accepting, store3, NULL);
	g_assert_nonnull(walk);
	g_assert_true(proa_trust_was_stale(walk->trust));
	g_assert_true(proa_mirror_run(walk, to, &options, &mirrored, NULL));
	g_assert_cmpuint(mirrored.fetched, ==, 4);
}

/* The feed as it was read before the mirror is made: that the reading writes nothing there is no question. */
static ProaWalk *walked;

static void walk_feed(const Fixture *fixture)
{
	static guint walks;
	g_autofree char *store = g_strdup_printf("walk-%u", walks++);

	g_clear_pointer(&walked, proa_walk_free);
	walked = walk_of(fixture, fixture->feed, NULL, store);
}

/* What `proa-feed mirror --prune` does then. */
static void write_mirror(const Fixture *fixture)
{
	const ProaMirrorOptions options = { .trees = TRUE, .prune = TRUE };
	g_autofree char *to = scratch_file(&fixture->scratch, "mirror");
	g_autoptr(GError) error = NULL;
	ProaMirrored mirrored;
	gboolean ok = proa_mirror_run(walked, to, &options, &mirrored, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static void mirror_once(const Fixture *fixture)
{
	walk_feed(fixture);
	write_mirror(fixture);
}

/*
 * What a reader finds in the mirror: its metadata and every file that it names must hold. Returns the version
 * of the timestamp. A reader with a @store has seen earlier states of it.
 */
static gint64 read_mirror(const Fixture *fixture, const char *store)
{
	g_autofree char *mirror = scratch_file(&fixture->scratch, "mirror");
	g_autoptr(ProaWalk) walk = walk_of(fixture, mirror, NULL, store);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	g_autoptr(GPtrArray) roles = proa_trust_roles(walk->trust);

	g_assert_cmpuint(problems(audit), ==, 0);
	return ((ProaTrustRole *)roles->pdata[1])->version;
}

/*
 * Killed at any of its renames and unlinks, an update of a mirror leaves the old one or the new one, for
 * readers who have seen the old and for new ones; and the next run brings it to its end. The feed's new root
 * has other keys for the timestamp, and the old state is pruned.
 */
static void test_killed_anywhere(void)
{
	gboolean finished = FALSE;
	guint steps = 0, old = 0;

	for (guint limit = 0; !finished && limit < 100; limit++, steps++) {
		g_auto(Fixture) fixture = fixture_new();
		add(&fixture, "stable", "1.0.0");
		mirror_once(&fixture);
		gint64 before = read_mirror(&fixture, "reader");
		rotate_timestamp(&fixture);
		add(&fixture, "stable", "1.0.1");
		walk_feed(&fixture);
		finished = survives(write_mirror, &fixture, limit);
		gint64 version = read_mirror(&fixture, "reader");
		g_assert_cmpint(read_mirror(&fixture, "new-reader"), ==, version);
		g_assert_true(version == before || version == before + 2);
		old += version == before;
		mirror_once(&fixture);
		g_assert_cmpint(read_mirror(&fixture, "reader"), ==, before + 2);
	}
	g_test_message("%u places to be killed at, the old mirror after %u of them", steps, old);
	g_assert_cmpuint(old, >, 3);
	g_assert_cmpuint(steps - old, >, 3);
}

/* The first run: there is no mirror yet, or a whole one. */
static void test_killed_at_birth(void)
{
	guint steps = 0;

	for (gboolean finished = FALSE; !finished && steps < 100; steps++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *timestamp = scratch_file(&fixture.scratch, "mirror/metadata/timestamp.json");
		add(&fixture, "stable", "1.0.0");
		walk_feed(&fixture);
		finished = survives(write_mirror, &fixture, steps);
		if (g_file_test(timestamp, G_FILE_TEST_EXISTS))
			g_assert_cmpint(read_mirror(&fixture, "reader"), ==, 2);
		mirror_once(&fixture);
		g_assert_cmpint(read_mirror(&fixture, "reader"), ==, 2);
	}
	g_assert_cmpuint(steps, >, 6);
}

/* Where a folder can't be exchanged, its files come one by one. */
static void test_without_exchange(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *left = scratch_file(&fixture.scratch, "mirror/metadata.new");

	add(&fixture, "stable", "1.0.0");
	mirror_once(&fixture);
	rotate_timestamp(&fixture);
	g_setenv("PROA_TEST_NO_EXCHANGE", "1", TRUE);
	mirror_once(&fixture);
	g_unsetenv("PROA_TEST_NO_EXCHANGE");
	g_assert_cmpint(read_mirror(&fixture, "reader"), ==, 3);
	g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
}

static void refuses(const Fixture *fixture, const char *from, ProaReason reason)
{
	const ProaMirrorOptions options = { .prune = TRUE };
	g_autofree char *to = scratch_file(&fixture->scratch, "mirror");
	g_autoptr(ProaWalk) walk = walk_of(fixture, from, NULL, "refused");
	g_autoptr(GError) error = NULL;
	ProaMirrored mirrored;

	g_assert_false(proa_mirror_run(walk, to, &options, &mirrored, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

/* A copy that was left behind does not turn a mirror back, and another feed does not take its place. */
static void test_only_forward(void)
{
	g_auto(Fixture) fixture = fixture_new(), other = fixture_new();
	g_autofree char *stale = scratch_file(&fixture.scratch, "stale");
	const ProaMirrorOptions options = { 0 };
	ProaMirrored mirrored;

	add(&fixture, "stable", "1.0.0");
	g_autoptr(ProaWalk) walk = walk_of(&fixture, fixture.feed, NULL, "store");
	g_assert_true(proa_mirror_run(walk, stale, &options, &mirrored, NULL));
	add(&fixture, "stable", "1.0.1");
	mirror_once(&fixture);
	refuses(&fixture, stale, PROA_REASON_METADATA_ROLLBACK);
	refuses(&fixture, other.feed, PROA_REASON_BAD_STATE);
	g_assert_cmpint(read_mirror(&fixture, "reader"), ==, 3);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/mirror/one-channel-is-a-feed", test_mirror);
	g_test_add_func("/feed/mirror/prunes-what-nothing-names", test_prune);
	g_test_add_func("/feed/mirror/audit-finds-what-a-mirror-refuses", test_altered);
	g_test_add_func("/feed/mirror/fetches-again-what-has-rotted", test_rotten);
	g_test_add_func("/feed/mirror/takes-a-stale-feed-if-told-to", test_stale);
	g_test_add_func("/feed/mirror/killed-anywhere-leaves-a-whole-mirror", test_killed_anywhere);
	g_test_add_func(
		"/feed/mirror/killed-at-its-birth-a-mirror-is-whole-or-not-there", test_killed_at_birth);
	g_test_add_func("/feed/mirror/works-where-folders-cannot-be-exchanged", test_without_exchange);
	g_test_add_func("/feed/mirror/never-goes-back-nor-to-another-feed", test_only_forward);
	int status = g_test_run();
	g_clear_pointer(&walked, proa_walk_free);
	return status;
}

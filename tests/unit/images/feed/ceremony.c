/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/ceremony.h"

#include "tests/unit/images/feed/fixture.h"

static const char *key_id(const ProaRoleKeys *role, guint i)
{
	return proa_key_id(role->keys->pdata[i]);
}

static void commits(const Fixture *fixture, ProaChange *change, const GPtrArray *signers)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) needs = proa_change_needs(change, NULL);

	g_assert_cmpuint(needs->len, ==, 0);
	gboolean ok = proa_commit(change, signers, &fixture->lifetimes, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

static ProaCeremonyRotation rotation_of(const Fixture *fixture, const char *role)
{
	return (ProaCeremonyRotation){ .role = role,
		.keys_dir = fixture->keys,
		.algorithm = "ed25519",
		.lifetimes = &fixture->lifetimes };
}

/* Root of three holders, two of whom must sign, with hybrid keys. */
static void test_init_holders(void)
{
	static const char *const holders[] = { "root=2/3", NULL }, *const bad[] = { "root=1/2", NULL },
				 *const odd[] = { "root", NULL };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *second = scratch_file(&fixture.scratch, "second"),
			*keys = scratch_file(&fixture.scratch, "keys2");
	g_autoptr(GError) error = NULL;

	g_set_str(&fixture.keys, keys);
	g_assert_false(fixture_init(&fixture, second, "hybrid", bad, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	g_clear_error(&error);
	g_assert_false(fixture_init(&fixture, second, "hybrid", odd, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	/* What was refused left no feed. */
	g_assert_true(fixture_init(&fixture, second, "hybrid", holders, NULL));
	g_autoptr(ProaFeed) feed = proa_feed_open(second, FALSE, NULL);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_ROOT]->keys->len, ==, 6);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_ROOT]->threshold, ==, 4);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_TIMESTAMP]->threshold, ==, 2);
	g_autofree char *one = g_build_filename(keys, "root-1.pem", NULL);
	g_assert_true(g_file_test(one, G_FILE_TEST_EXISTS));
}

/* Writes a holder's key, and gives "ROLE=FILE" of its public half. */
static char *holder(const Fixture *fixture, const char *role, const char *name)
{
	g_autofree char *path = scratch_file(&fixture->scratch, name),
			*public = g_strconcat(path, ".pub", NULL);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();

	g_assert_true(proa_signers_generate(signers, path, "ed25519", NULL));
	g_assert_true(proa_keyset_add_signers(keyset, signers, NULL));
	g_assert_true(proa_keyset_write_public(keyset, public, NULL));
	return g_strconcat(role, "=", public, NULL);
}

/* A feed whose offline keys never were here: it waits as drafts, and each holder signs on another machine. */
static void test_init_from_public_keys(void)
{
	static const char *const channels[] = { "stable", NULL }, *const holders[] = { "root=2/2", NULL },
				 *const unfit[] = { "root=2/3", NULL }, *const typo[] = { "rot=x.pub", NULL };
	static const char *const away[] = { "alice.pem", "bob.pem", "carol.pem", "dora.pem" };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *dir = scratch_file(&fixture.scratch, "f"),
			*online = scratch_file(&fixture.scratch, "on"),
			*a = holder(&fixture, "root", away[0]), *b = holder(&fixture, "root", away[1]),
			*c = holder(&fixture, "targets", away[2]), *d = holder(&fixture, "stable", away[3]),
			*e = holder(&fixture, "break-glass", "erin.pem");
	const char *const publics[] = { a, b, c, d, e, NULL };
	ProaCeremonyInit options = { .algorithm = "ed25519",
		.lifetimes = &fixture.lifetimes,
		.channels = channels,
		.holders = unfit,
		.publics = publics };
	g_autoptr(ProaFeed) feed = proa_feed_create(dir, NULL);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(GError) error = NULL;

	/* Three holders, two keys; a role that there is not; nobody for the online roles. */
	g_assert_null(proa_ceremony_begin(feed, &options, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	options.holders = holders;
	options.publics = typo;
	g_clear_error(&error);
	g_assert_null(proa_ceremony_begin(feed, &options, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	options.publics = publics;
	g_clear_error(&error);
	g_assert_null(proa_ceremony_begin(feed, &options, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);

	options.keys_dir = online;
	g_autoptr(ProaChange) change = proa_ceremony_begin(feed, &options, signers, NULL);
	g_assert_cmpuint(signers->len, ==, 2); /* timestamp and snapshot */
	g_assert_true(proa_change_save(change, NULL));
	g_clear_pointer(&change, proa_change_free);
	g_clear_pointer(&feed, proa_feed_free);
	g_clear_error(&error);
	g_assert_null(proa_feed_open(dir, TRUE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);

	feed = proa_feed_open_drafts(dir, NULL);
	g_autoptr(GPtrArray) changes = proa_changes_load(feed, NULL);
	g_assert_cmpuint(changes->len, ==, 1);
	for (guint i = 0; i < G_N_ELEMENTS(away); i++) {
		g_autoptr(GPtrArray) needs = proa_change_needs(changes->pdata[0], NULL);
		g_assert_cmpuint(needs->len, >, 0);
		g_autofree char *path = scratch_file(&fixture.scratch, away[i]);
		g_autoptr(GPtrArray) own = proa_signers_new();
		g_assert_true(proa_signers_add(own, path, NULL));
		g_assert_true(proa_change_sign(changes->pdata[0], own, NULL));
	}
	commits(&fixture, changes->pdata[0], signers);
	g_clear_pointer(&changes, g_ptr_array_unref);
	g_clear_pointer(&feed, proa_feed_free);
	feed = proa_feed_open(dir, TRUE, NULL);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_ROOT]->threshold, ==, 2);
	g_assert_true(g_hash_table_contains(feed->channels, "stable"));
}

static void test_rotate(gconstpointer role)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);
	const ProaCeremonyRotation rotation = rotation_of(&fixture, role);
	g_autoptr(ProaRoleKeys) before = proa_change_role_keys(feed->root, feed->targets, role);
	g_autoptr(ProaChange) change = proa_ceremony_rotate(feed, &rotation, signers, NULL);

	commits(&fixture, change, signers);
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture); /* it verifies all of it */
	g_autoptr(ProaRoleKeys) after = proa_change_role_keys(feed->root, feed->targets, role);
	g_assert_cmpuint(after->keys->len, ==, 1);
	g_assert_cmpstr(key_id(before, 0), !=, key_id(after, 0));
	/* And goes on with the new keys alone. */
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(&fixture, PROA_PUBLISH_REFRESH);
}

static void test_break_glass(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);
	const ProaCeremonyRotation rotation = rotation_of(&fixture, PROA_BREAK_GLASS);
	g_autofree char *before = g_strdup(key_id(feed->targets->token_keys, 0));
	g_autoptr(ProaChange) change = proa_ceremony_rotate(feed, &rotation, signers, NULL);

	commits(&fixture, change, signers);
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	g_assert_cmpstr(before, !=, key_id(feed->targets->token_keys, 0));
}

static char *new_holder(const Fixture *fixture, const char *name)
{
	g_autofree char *file = g_strconcat(name, ".pem", NULL),
			*public_name = g_strconcat(name, ".pub", NULL);
	g_autofree char *path = scratch_file(&fixture->scratch, file);
	char *public = scratch_file(&fixture->scratch, public_name);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();

	g_assert_true(proa_signers_generate(signers, path, "ed25519", NULL));
	g_assert_true(proa_keyset_add_signers(keyset, signers, NULL));
	g_assert_true(proa_keyset_write_public(keyset, public, NULL));
	return public;
}

/* Root goes to two holders elsewhere; then one of them is revoked. */
static void test_holders_elsewhere(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *alice = new_holder(&fixture, "alice"), *bob = new_holder(&fixture, "bob"),
			*alice_key = scratch_file(&fixture.scratch, "alice.pem"),
			*bob_key = scratch_file(&fixture.scratch, "bob.pem");
	const char *add[] = { alice, bob, NULL };
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);
	ProaCeremonyRotation rotation = rotation_of(&fixture, "root");
	rotation.add = add;
	rotation.holders = 2;
	g_autoptr(ProaChange) change = proa_ceremony_rotate(feed, &rotation, signers, NULL);
	g_autoptr(GPtrArray) needs = proa_change_needs(change, NULL);
	g_assert_cmpuint(needs->len, ==, 1); /* the old root has signed */
	g_assert_cmpuint(((ProaNeed *)needs->pdata[0])->threshold, ==, 2);
	g_assert_true(proa_signers_add(signers, alice_key, NULL));
	g_assert_true(proa_signers_add(signers, bob_key, NULL));
	g_assert_true(proa_change_sign(change, signers, NULL));
	commits(&fixture, change, signers);

	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	const char *remove[] = { key_id(feed->root->roles[PROA_ROLE_ROOT], 0), NULL };
	ProaCeremonyRotation revocation = rotation_of(&fixture, "root");
	revocation.remove = remove;
	/* Both had to sign: that one will do is for somebody to say. */
	g_autoptr(GError) error = NULL;
	g_assert_null(proa_ceremony_rotate(feed, &revocation, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	g_assert_nonnull(strstr(error->message, "--threshold"));
	revocation.holders = 1;
	g_autoptr(ProaChange) revoke = proa_ceremony_rotate(feed, &revocation, signers, NULL);
	commits(&fixture, revoke, signers);
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_ROOT]->keys->len, ==, 1);
	g_assert_cmpuint(feed->root->roles[PROA_ROLE_ROOT]->threshold, ==, 1);
	g_assert_cmpint(feed->root->head.version, ==, 3);
}

static void test_renew(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);

	fixture.lifetimes.of[PROA_ROLE_ROOT] *= 2;
	g_autoptr(ProaChange) change = proa_ceremony_renew(feed, signers, &fixture.lifetimes, NULL);
	commits(&fixture, change, signers);
	gint64 before = feed->root->head.expires;
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	g_assert_cmpint(feed->root->head.expires, >, before + 1000);
}

/* A feed of one role, as feeds were made before there were channels: its releases move. */
static void test_channel_takes_over(void)
{
	static const char *const none[] = { NULL };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *single = scratch_file(&fixture.scratch, "single");
	const ProaCeremonyInit options = { .keys_dir = fixture.keys,
		.algorithm = "ed25519",
		.lifetimes = &fixture.lifetimes,
		.channels = none };
	g_autoptr(GError) error = NULL;

	g_assert_true(fixture_begin(single, &options, NULL));
	g_set_str(&fixture.feed, single);
	fixture_release(&fixture, "1.0.0", NULL);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", NULL);
	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	feed = fixture_open(&fixture);
	g_assert_cmpuint(g_hash_table_size(feed->targets->targets), ==, 1);

	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);
	const ProaCeremonyRotation rotation = rotation_of(&fixture, "stable");
	g_autoptr(ProaChange) change = proa_ceremony_channel(feed, &rotation, signers, NULL);
	commits(&fixture, change, signers);
	g_clear_pointer(&feed, proa_feed_free);
	feed = fixture_open(&fixture);
	g_assert_cmpuint(g_hash_table_size(feed->targets->targets), ==, 0);
	const ProaTargets *stable = g_hash_table_lookup(feed->channels, "stable");
	g_assert_true(g_hash_table_contains(stable->targets, "stable/1.0.0/manifest.json"));
	g_assert_null(proa_ceremony_channel(feed, &rotation, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

static void test_refused(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture);
	static const char *const bad[] = { "root", "Stable", "../x", "" };
	const char *remove[] = { "00000000", NULL };
	ProaCeremonyRotation rotation = rotation_of(&fixture, "nightly");
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_ceremony_rotate(feed, &rotation, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		ProaCeremonyRotation channel = rotation_of(&fixture, bad[i]);
		g_clear_error(&error);
		g_assert_null(proa_ceremony_channel(feed, &channel, signers, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	}
	rotation.role = "root";
	rotation.remove = remove;
	g_clear_error(&error);
	g_assert_null(proa_ceremony_rotate(feed, &rotation, signers, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	static const char *const roles[] = { "root", "timestamp", "snapshot", "targets", "stable" };

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/ceremony/init-with-holders", test_init_holders);
	g_test_add_func("/feed/ceremony/init-from-public-keys-alone", test_init_from_public_keys);
	for (guint i = 0; i < G_N_ELEMENTS(roles); i++) {
		g_autofree char *path = g_strconcat("/feed/ceremony/rotates/", roles[i], NULL);
		g_test_add_data_func(path, roles[i], test_rotate);
	}
	g_test_add_func("/feed/ceremony/rotates/break-glass", test_break_glass);
	g_test_add_func("/feed/ceremony/holders-elsewhere", test_holders_elsewhere);
	g_test_add_func("/feed/ceremony/renews-root", test_renew);
	g_test_add_func("/feed/ceremony/a-channel-takes-its-releases-over", test_channel_takes_over);
	g_test_add_func("/feed/ceremony/refuses-what-cannot-be", test_refused);
	return g_test_run();
}

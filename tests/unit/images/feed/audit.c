/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/audit.h"

#include "tests/unit/images/feed/fixture.h"

/* Every role with its expiry, the soonest that matters among them; tests/unit/images/feed/mirror.c alters
 * files. */
static void test_roles(void)
{
	static const char *const expected[] = { "root", "timestamp", "snapshot", "targets", "beta",
		"stable" };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *store = scratch_file(&fixture.scratch, "store");
	const ProaWalkOptions options = { 0 };
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, &options, store, NULL);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	JsonArray *roles = json_object_get_array_member(audit, "roles");

	g_assert_cmpuint(json_array_get_length(roles), ==, G_N_ELEMENTS(expected));
	for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
		JsonObject *role = json_array_get_object_element(roles, i);
		g_assert_cmpstr(json_object_get_string_member(role, "role"), ==, expected[i]);
		g_assert_cmpint(json_object_get_int_member(role, "version"), ==, 1);
		g_assert_cmpint(json_object_get_int_member(role, "seconds_left"), >, 80000);
		g_assert_false(json_object_get_boolean_member(role, "expired"));
	}
	g_assert_cmpint(json_object_get_int_member(audit, "files"), ==, 0);
	g_assert_cmpint(json_object_get_int_member(audit, "requests"), >, 4);
}

/* A release in stable; roles that are signed from now on live this long. */
static void publish_stable(Fixture *fixture, const char *version, gint64 lifetime)
{
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++)
		fixture->lifetimes.of[role] = lifetime;
	fixture_release(fixture, version, NULL);
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture->release, "stable", NULL);

	g_assert_nonnull(added);
	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(fixture, PROA_PUBLISH_ALL);
}

/* The audit of all channels that goes on, with this many files; its only problem must be this one. */
static void check_audit(
	const Fixture *fixture, const char *store, gint64 files, const char *role, ProaReason reason)
{
	const ProaWalkOptions strict = { 0 }, options = { .go_on = TRUE };
	g_autofree char *first = g_strconcat(store, "-strict", NULL),
			*refused = scratch_file(&fixture->scratch, first),
			*path = scratch_file(&fixture->scratch, store);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_walk_new(fixture->feed, &strict, refused, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture->feed, &options, path, NULL);
	g_assert_nonnull(walk);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	JsonArray *problems = json_object_get_array_member(audit, "problems");
	g_assert_cmpuint(json_array_get_length(problems), ==, 1);
	JsonObject *problem = json_array_get_object_element(problems, 0);
	g_assert_cmpstr(json_object_get_string_member(problem, "path"), ==, role);
	g_assert_cmpstr(json_object_get_string_member(problem, "reason"), ==, proa_reason_to_string(reason));
	g_assert_cmpint(json_object_get_int_member(audit, "files"), ==, files);
}

static void mangle_uuid(JsonObject *release)
{
	json_object_set_string_member(json_object_get_object_member(release, "root"), "uuid", "none");
}

/* A manifest that is what was signed, and that every node refuses. */
static void test_useless_manifest(void)
{
	g_auto(Fixture) fixture = fixture_new();
	const ProaWalkOptions options = { .go_on = TRUE, .as_a_node = TRUE };
	g_autofree char *store = scratch_file(&fixture.scratch, "store");

	fixture_release(&fixture, "1.0.0", mangle_uuid);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", NULL);
	g_assert_nonnull(added);
	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, &options, store, NULL);
	g_assert_nonnull(walk);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	JsonArray *problems = json_object_get_array_member(audit, "problems");
	g_assert_cmpuint(json_array_get_length(problems), ==, 1);
	JsonObject *problem = json_array_get_object_element(problems, 0);
	g_assert_cmpstr(json_object_get_string_member(problem, "reason"), ==, "bad-manifest");
}

/* What has expired is told, role by role, and everything is checked all the same. */
static void test_expired(void)
{
	const ProaWalkOptions options = { .go_on = TRUE };
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *store = scratch_file(&fixture.scratch, "store"),
			*folder = g_build_filename(fixture.feed, "payloads", NULL);

	publish_stable(&fixture, "1.0.0", 1);
	g_usleep(2100 * 1000);
	g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
	g_autofree char *payload = g_build_filename(folder, g_dir_read_name(entries), NULL);
	g_assert_cmpint(g_unlink(payload), ==, 0);
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, &options, store, NULL);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	JsonArray *roles = json_object_get_array_member(audit, "roles");
	JsonArray *problems = json_object_get_array_member(audit, "problems");
	g_assert_cmpuint(json_array_get_length(roles), ==, 6);
	g_assert_cmpuint(json_array_get_length(problems), ==, 6); /* all but the root, and the payload */
	for (guint i = 0; i < json_array_get_length(roles); i++) {
		JsonObject *role = json_array_get_object_element(roles, i);
		g_assert_cmpint(json_object_get_boolean_member(role, "expired"), ==, i > 0);
	}
	JsonObject *first = json_array_get_object_element(problems, 0);
	g_assert_cmpstr(json_object_get_string_member(first, "path"), ==, "timestamp");
	g_assert_cmpstr(json_object_get_string_member(first, "reason"), ==, "stale-feed");
	JsonObject *last = json_array_get_object_element(problems, 5);
	g_assert_cmpstr(json_object_get_string_member(last, "reason"), ==, "not-found");
}

/* A channel that has expired, is altered or is missing does not hide what the others offer. */
static void test_bad_channel(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *key = g_build_filename(fixture.keys, "beta.pem", NULL),
			*beta = scratch_file(&fixture.scratch, "feed/metadata/2.beta.json");

	publish_stable(&fixture, "1.0.0", 1);
	g_assert_cmpint(g_unlink(key), ==, 0);
	g_usleep(2100 * 1000);
	publish_stable(&fixture, "1.0.1", 100000);
	check_audit(&fixture, "expired", 5, "beta", PROA_REASON_STALE_FEED);
	g_assert_true(g_file_set_contents(beta, "{}", -1, NULL));
	check_audit(&fixture, "altered", 5, "beta", PROA_REASON_METADATA_MISMATCH);
	g_assert_cmpint(g_unlink(beta), ==, 0);
	check_audit(&fixture, "missing", 5, "beta", PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/audit/tells-what-expires-when", test_roles);
	g_test_add_func("/feed/audit/goes-on-past-what-has-expired", test_expired);
	g_test_add_func("/feed/audit/a-manifest-of-no-use", test_useless_manifest);
	g_test_add_func("/feed/audit/a-bad-channel-hides-no-other", test_bad_channel);
	return g_test_run();
}

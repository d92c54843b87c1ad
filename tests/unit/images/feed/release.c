/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/release.h"

#include "tests/unit/images/feed/fixture.h"

static void test_channels(void)
{
	static const char *const good[] = { "stable", "beta-2", "a" };
	static const char *const bad[] = { "", "Stable", "2", "-a", "a/b", "..", "a b", "a\n",
		"abcdefghijklmnopqrstuvwxyzabcdefg" };

	for (guint i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(proa_release_channel_valid(good[i]));
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(proa_release_channel_valid(bad[i]));
}

static void check_content(const Fixture *fixture, JsonObject *described)
{
	g_autofree char *path =
		g_build_filename(fixture->feed, json_object_get_string_member(described, "file"), NULL);
	g_autofree char *text = NULL;
	gsize size;

	g_assert_true(g_file_get_contents(path, &text, &size, NULL));
	g_autofree char *digest = proa_sha256_hex(text, size);
	g_assert_cmpstr(digest, ==, json_object_get_string_member(described, "sha256"));
	g_assert_cmpint((gint64)size, ==, json_object_get_int_member(described, "size"));
}

static void add_floor(JsonObject *release)
{
	json_object_set_string_member(release, "security_floor", "0.9");
	json_object_set_string_member(release, "not_for_the_manifest", "x");
}

static void test_manifest(void)
{
	g_auto(Fixture) fixture = fixture_new();
	fixture_release(&fixture, "1.0.0", add_floor);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", NULL);

	g_assert_true(added->news);
	JsonObject *target = json_object_get_object_member(feed->pending, "stable/1.0.0/manifest.json");
	const char *digest =
		json_object_get_string_member(json_object_get_object_member(target, "hashes"), "sha256");
	g_autofree char *path =
		g_strdup_printf("%s/targets/stable/1.0.0/%s.manifest.json", fixture.feed, digest);
	g_autofree char *text = NULL;
	gsize size;
	g_assert_true(g_file_get_contents(path, &text, &size, NULL));
	g_assert_cmpint((gint64)size, ==, json_object_get_int_member(target, "length"));
	g_autoptr(JsonObject) manifest =
		proa_json_parse(text, size, "manifest", PROA_REASON_BAD_MANIFEST, NULL);
	g_assert_cmpstr(json_object_get_string_member(manifest, "format"), ==, "proa-manifest");
	g_assert_cmpint(json_object_get_int_member(manifest, "format_version"), ==, 1);
	g_assert_cmpstr(json_object_get_string_member(manifest, "security_floor"), ==, "0.9");
	g_assert_false(json_object_has_member(manifest, "not_for_the_manifest"));
	g_assert_false(json_object_has_member(manifest, "tree"));
	check_content(&fixture, json_object_get_object_member(manifest, "uki"));
	check_content(&fixture, json_object_get_object_member(manifest, "sbom"));
	JsonObject *payload =
		json_array_get_object_element(json_object_get_array_member(manifest, "payloads"), 0);
	g_assert_cmpstr(json_object_get_string_member(payload, "type"), ==, "full");
	g_assert_true(proa_sha256_hex_valid(json_object_get_string_member(payload, "header_sha256")));
	check_content(&fixture, payload);
}

static void test_again(void)
{
	g_auto(Fixture) fixture = fixture_new();
	fixture_release(&fixture, "1.0.0", NULL);
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) first = proa_release_add(feed, fixture.release, "stable", NULL);
	g_autoptr(ProaReleaseAdded) again = proa_release_add(feed, fixture.release, "stable", NULL);
	g_autoptr(ProaReleaseAdded) elsewhere = proa_release_add(feed, fixture.release, "beta", NULL);
	g_autoptr(GError) error = NULL;

	g_assert_true(first->news);
	g_assert_false(again->news);
	g_assert_true(elsewhere->news);
	fixture_release(&fixture, "1.0.0", add_floor);
	g_assert_null(proa_release_add(feed, fixture.release, "stable", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

static void no_version(JsonObject *release)
{
	json_object_remove_member(release, "version");
}

static void bad_version(JsonObject *release)
{
	json_object_set_string_member(release, "version", "../1");
}

static void no_root(JsonObject *release)
{
	json_object_remove_member(release, "root");
}

static void odd_size(JsonObject *release)
{
	json_object_set_int_member(json_object_get_object_member(release, "root"), "size", 4097);
}

static void bad_salt(JsonObject *release)
{
	json_object_set_string_member(json_object_get_object_member(release, "root"), "salt", "00");
}

static void high_floor(JsonObject *release)
{
	json_object_set_string_member(release, "security_floor", "2");
}

static void bad_tree(JsonObject *release)
{
	json_object_set_string_member(release, "tree", "main");
}

static void no_uki(JsonObject *release)
{
	json_object_remove_member(release, "uki");
}

static void other_uki(JsonObject *release)
{
	json_object_set_object_member(release, "uki", fixture_file("another"));
}

static void other_root(JsonObject *release)
{
	g_autofree char *hash = g_strnfill(64, '1');

	json_object_set_string_member(json_object_get_object_member(release, "root"), "hash", hash);
}

static void test_refused(void)
{
	static const struct {
		void (*change)(JsonObject *release);
		ProaReason reason;
	} cases[] = { { no_version, PROA_REASON_BAD_MANIFEST }, { bad_version, PROA_REASON_BAD_MANIFEST },
		{ no_root, PROA_REASON_BAD_MANIFEST }, { odd_size, PROA_REASON_BAD_MANIFEST },
		{ bad_salt, PROA_REASON_BAD_MANIFEST }, { high_floor, PROA_REASON_BAD_MANIFEST },
		{ bad_tree, PROA_REASON_BAD_MANIFEST }, { no_uki, PROA_REASON_BAD_MANIFEST },
		{ other_uki, PROA_REASON_METADATA_MISMATCH }, { other_root, PROA_REASON_BAD_PAYLOAD } };
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		fixture_release(&fixture, "1.0.0", cases[i].change);
		g_assert_null(proa_release_add(feed, fixture.release, "stable", &error));
		g_assert_error(error, PROA_ERROR, (int)cases[i].reason);
		g_assert_cmpuint(json_object_get_size(feed->pending), ==, 0);
	}
	g_autofree char *payload = g_build_filename(fixture.release, "root.full", NULL);
	g_autoptr(GError) error = NULL;
	fixture_release(&fixture, "1.0.0", NULL);
	g_assert_cmpint(truncate(payload, 80), ==, 0);
	g_assert_null(proa_release_add(feed, fixture.release, "stable", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/release/channel-names", test_channels);
	g_test_add_func("/feed/release/manifest-names-what-the-feed-holds", test_manifest);
	g_test_add_func("/feed/release/a-version-never-changes", test_again);
	g_test_add_func("/feed/release/refuses-what-does-not-fit-together", test_refused);
	return g_test_run();
}

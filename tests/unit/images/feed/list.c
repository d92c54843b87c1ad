/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/list.h"

#include "tests/unit/images/feed/fixture.h"

static void test_list(void)
{
	static const char *const versions[] = { "1.0.9", "1.0.10" };
	g_auto(Fixture) fixture = fixture_new();

	for (guint i = 0; i < G_N_ELEMENTS(versions); i++) {
		fixture_release(&fixture, versions[i], NULL);
		g_autoptr(ProaFeed) feed = fixture_open(&fixture);
		g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", NULL);
		g_assert_true(proa_feed_save_pending(feed, NULL));
		g_clear_pointer(&feed, proa_feed_free);
		if (i == 0)
			fixture_publish(&fixture, PROA_PUBLISH_ALL);
	}
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(JsonObject) list = proa_list_make(feed, NULL);
	JsonArray *releases = json_object_get_array_member(list, "releases");
	g_assert_cmpuint(json_array_get_length(releases), ==, 2);
	for (guint i = 0; i < G_N_ELEMENTS(versions); i++) {
		JsonObject *release = json_array_get_object_element(releases, i);
		g_assert_cmpstr(json_object_get_string_member(release, "version"), ==, versions[i]);
		g_assert_cmpint(json_object_get_boolean_member(release, "published"), ==, i == 0);
		g_assert_true(g_str_has_prefix(json_object_get_string_member(release, "root_hash"), "ab00"));
		g_assert_cmpint(json_object_get_int_member(release, "payload_bytes"), >, 0);
	}
	static const char *const roles[] = { "root", "timestamp", "snapshot", "targets", "beta", "stable",
		"break-glass" };
	JsonObject *keys = json_object_get_object_member(list, "keys");
	for (guint i = 0; i < G_N_ELEMENTS(roles); i++) {
		JsonObject *role = json_object_get_object_member(keys, roles[i]);
		JsonArray *ids = json_object_get_array_member(role, "keys");
		g_assert_cmpint(json_object_get_int_member(role, "threshold"), ==, 1);
		g_assert_cmpuint(json_array_get_length(ids), ==, 1);
		JsonObject *key = json_array_get_object_element(ids, 0);
		g_assert_cmpuint(strlen(json_object_get_string_member(key, "keyid")), ==, 64);
		g_assert_cmpstr(json_object_get_string_member(key, "scheme"), ==, "ed25519");
	}
	JsonObject *metadata = json_object_get_object_member(list, "metadata");
	g_assert_cmpint(
		json_object_get_int_member(json_object_get_object_member(metadata, "targets"), "version"), ==,
		2);
	g_assert_false(
		json_object_get_boolean_member(json_object_get_object_member(metadata, "root"), "expired"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/list/by-version-with-its-state", test_list);
	return g_test_run();
}

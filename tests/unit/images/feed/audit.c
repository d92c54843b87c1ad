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
	g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, NULL, NULL, store, NULL);
	g_autoptr(JsonObject) audit = proa_audit_run(walk);
	JsonArray *roles = json_object_get_array_member(audit, "roles");

	g_assert_cmpuint(json_array_get_length(roles), ==, G_N_ELEMENTS(expected));
	for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
		JsonObject *role = json_array_get_object_element(roles, i);
		g_assert_cmpstr(json_object_get_string_member(role, "role"), ==, expected[i]);
		g_assert_cmpint(json_object_get_int_member(role, "version"), ==, 1);
		g_assert_cmpint(json_object_get_int_member(role, "seconds_left"), >, 80000);
	}
	g_assert_cmpint(json_object_get_int_member(audit, "files"), ==, 0);
	g_assert_cmpint(json_object_get_int_member(audit, "requests"), >, 4);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/audit/tells-what-expires-when", test_roles);
	return g_test_run();
}

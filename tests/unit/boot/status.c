/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/status.h"

#include "base/pin.h"
#include "tests/unit/boot/fixture.h"

static void status_says_it_all(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	g_assert_true(
		proa_rejected_add(fixture.state_dir, HASH_3, "3.0.0", "unit-failed", "x.service", NULL));
	g_autofree char *conflicts = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/11111111222233334444555555555555/conflicts", "ssh/sshd_config\n",
		-1);
	g_assert_nonnull(conflicts);
	g_assert_true(proa_pin_save(fixture.state_dir, "1.0.0", NULL));
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_autoptr(JsonObject) status = proa_status(node);
	JsonObject *booted = json_object_get_object_member(status, "booted");
	JsonObject *other = json_object_get_object_member(status, "other");
	g_assert_cmpstr(json_object_get_string_member(booted, "entry"), ==, "proa_1.0.0.efi");
	g_assert_true(json_object_get_boolean_member(booted, "blessed"));
	g_assert_false(json_object_get_boolean_member(booted, "verified"));
	g_assert_true(json_object_get_null_member(booted, "tries_left"));
	g_assert_cmpint(json_object_get_int_member(other, "tries_left"), ==, 2);
	g_assert_cmpint(json_object_get_int_member(other, "tries_done"), ==, 1);
	g_assert_true(json_object_get_boolean_member(other, "bootable"));
	g_assert_cmpstr(json_object_get_string_member(status, "next"), ==, "proa_2.0.0+2-1.efi");
	g_assert_cmpstr(json_object_get_string_member(status, "state"), ==, "staged");
	JsonObject *good = json_object_get_object_member(status, "good");
	g_assert_cmpstr(json_object_get_string_member(good, "root_hash"), ==, HASH_1);
	JsonArray *rejected = json_object_get_array_member(status, "rejected");
	g_assert_cmpuint(json_array_get_length(rejected), ==, 1);
	g_assert_true(json_object_get_null_member(other, "scrub"));
	g_assert_cmpstr(json_object_get_string_member(status, "pinned"), ==, "1.0.0");
	JsonArray *told = json_object_get_array_member(status, "conflicts");
	g_assert_cmpuint(json_array_get_length(told), ==, 1);
	g_assert_cmpstr(json_array_get_string_element(told, 0), ==, "ssh/sshd_config");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/status/says-it-all", status_says_it_all);
	return g_test_run();
}

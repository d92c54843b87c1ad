/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include "base/json.h"
#include "base/pin.h"
#include "base/state.h"
#include "tests/unit/scratch.h"

#include <string.h>

#define HASH_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HASH_2 "2222222222222222222222222222222222222222222222222222222222222222"

typedef struct {
	Scratch scratch;
	ProaPaths *paths;
	ProaSettings *settings;
} Node;

static Node node_new(void)
{
	Node node = { .scratch = scratch_new() };

	node.paths = proa_paths_new(node.scratch.path, "/nonexistent");
	node.settings = proa_settings_load(node.scratch.path);
	return node;
}

static void node_clear(Node *node)
{
	proa_paths_free(node->paths);
	proa_settings_free(node->settings);
	scratch_clear(&node->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Node, node_clear)

static JsonObject *build(const Node *node, JsonObject *bootd, const GError *error)
{
	return proa_status_build(&(ProaStatusFacts){ .paths = node->paths,
		.settings = node->settings,
		.bootd = bootd,
		.bootd_error = error,
		.next_check = 1780000000 });
}

static guint problems_of(JsonObject *status)
{
	return json_array_get_length(proa_json_array_or_null(status, "problems"));
}

static const char *word(JsonObject *status, const char *object, const char *member)
{
	return proa_json_string_or(proa_json_object_or_null(status, object), member, NULL);
}

/* Every member is there, so that a reader need not ask first. */
static void an_empty_node_has_every_member(void)
{
	static const char *const members[] = { "state", "since", "booted", "other", "next", "staged", "good",
		"rejected", "pinned", "conflicts", "operation", "last_check", "next_check", "next_reboot",
		"waits_until", "planned_rollback", "feed", "update", "agent", "problems" };
	g_auto(Node) node = node_new();
	g_autoptr(JsonObject) status = build(&node, NULL, NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
		if (!json_object_has_member(status, members[i]))
			g_error("no member %s", members[i]);
	g_assert_cmpstr(proa_json_string_or(status, "state", NULL), ==, "idle");
	g_assert_cmpstr(proa_json_string_or(status, "agent", NULL), ==, "not-running");
	g_assert_cmpint(proa_json_int_or(status, "next_check", 0), ==, 1780000000);
	g_assert_true(json_object_get_null_member(status, "next_reboot"));
	g_assert_true(json_object_get_null_member(status, "booted"));
	g_assert_cmpuint(problems_of(status), ==, 0);
}

/* An operator who planned a rollback weeks ago sees that it is still to come. */
static void a_planned_rollback_is_told(void)
{
	g_auto(Node) node = node_new();

	g_free(scratch_write(&node.scratch, "run/systemd/transient/proa-rollback.timer",
		"[Unit]\nDescription=x\n\n[Timer]\nAccuracyUSec=1s\nOnCalendar=*-*-* 03:00:00\nRemainAfterElapse=no\n",
		-1));
	g_autoptr(JsonObject) status = build(&node, NULL, NULL);
	g_assert_cmpstr(proa_json_string_or(status, "planned_rollback", NULL), ==, "*-*-* 03:00:00");
}

static void what_is_seen_comes_before_what_is_remembered(void)
{
	g_auto(Node) node = node_new();
	g_autoptr(ProaState) state = proa_state_new();
	g_autoptr(GError) error = NULL;
	static const char text[] = "{\"booted\":{\"version\":\"2.0.0\"},\"other\":{\"version\":\"1.0.0\"},"
				   "\"next\":\"proa_2.0.0.efi\",\"conflicts\":[\"ssh/sshd_config\"]}";
	g_autoptr(JsonObject) bootd =
		proa_json_parse(text, sizeof text - 1, "bootd", PROA_REASON_INTERNAL, NULL);

	state->kind = PROA_STATE_GOOD;
	state->last_check = 1770000000;
	state->last_check_result = g_strdup("ok");
	proa_state_set_release(&state->booted, "1.0.0", HASH_1, "root-a");
	g_assert_true(proa_state_save(node.paths->state_dir, state, NULL));
	g_assert_true(proa_pin_save(node.paths->state_dir, "2.0.0", NULL));
	g_assert_true(proa_rejected_add(node.paths->state_dir, HASH_2, "3.0.0", "crashed", NULL, NULL));

	g_autoptr(JsonObject) seen = build(&node, bootd, NULL);
	g_assert_cmpstr(word(seen, "booted", "version"), ==, "2.0.0");
	g_assert_cmpstr(word(seen, "other", "version"), ==, "1.0.0");
	g_assert_cmpstr(word(seen, "last_check", "result"), ==, "ok");
	g_assert_cmpstr(proa_json_string_or(seen, "next", NULL), ==, "proa_2.0.0.efi");
	g_assert_cmpstr(proa_json_string_or(seen, "pinned", NULL), ==, "2.0.0");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(seen, "conflicts")), ==, 1);
	JsonObject *rejected = json_array_get_object_element(proa_json_array_or_null(seen, "rejected"), 0);
	g_assert_cmpstr(proa_json_string_or(rejected, "reason", NULL), ==, "crashed");

	proa_fail(&error, PROA_REASON_ESP_MISSING, "no ESP");
	g_autoptr(JsonObject) remembered = build(&node, NULL, error);
	g_assert_cmpstr(word(remembered, "booted", "version"), ==, "1.0.0");
	g_assert_cmpuint(problems_of(remembered), ==, 1);
}

/* state.json says staging, and nobody holds the lock: whoever staged died. */
static void staging_needs_someone_who_stages(void)
{
	g_auto(Node) node = node_new();
	g_autoptr(ProaState) state = proa_state_new();

	state->kind = PROA_STATE_STAGING;
	proa_state_set_release(&state->booted, "1.0.0", HASH_1, "root-a");
	proa_state_set_release(&state->good, "1.0.0", HASH_1, "root-a");
	g_assert_true(proa_state_save(node.paths->state_dir, state, NULL));
	g_autoptr(JsonObject) status = build(&node, NULL, NULL);
	g_assert_cmpstr(proa_json_string_or(status, "state", NULL), ==, "good");
}

static void broken_files_are_problems_and_hide_nothing_else(void)
{
	g_auto(Node) node = node_new();
	g_autofree char *state =
		scratch_write(&node.scratch, "var/lib/proa/state.json", "{\"state\":17}", -1);
	g_autofree char *rejected = scratch_write(&node.scratch, "var/lib/proa/rejected.json", "x", -1);
	g_autofree char *pin = scratch_write(&node.scratch, "var/lib/proa/pin.json", "[]", -1);
	g_autoptr(GError) error = NULL;

	g_assert_true(state && rejected && pin);
	g_autoptr(JsonObject) status = build(&node, NULL, NULL);
	g_assert_cmpuint(problems_of(status), ==, 2);
	g_assert_cmpstr(proa_json_string_or(status, "state", NULL), ==, "idle");
	g_assert_true(json_object_get_null_member(status, "pinned"));
	g_assert_null(proa_status_rejected(node.paths, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/status/a-planned-rollback-is-told", a_planned_rollback_is_told);
	g_test_add_func("/status/an-empty-node-has-every-member", an_empty_node_has_every_member);
	g_test_add_func("/status/what-is-seen-comes-before-what-is-remembered",
		what_is_seen_comes_before_what_is_remembered);
	g_test_add_func("/status/staging-needs-someone-who-stages", staging_needs_someone_who_stages);
	g_test_add_func("/status/broken-files-are-problems-and-hide-nothing-else",
		broken_files_are_problems_and_hide_nothing_else);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/node.h"

#include "base/json.h"
#include "boot/attempts.h"
#include "boot/rollback.h"
#include "boot/settle.h"
#include "boot/status.h"
#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_entries(const Fixture *fixture, const char *expected)
{
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture->esp, NULL);
	g_autofree char *names = fixture_entries(esp);

	g_assert_cmpstr(names, ==, expected);
}

static void settle(const Fixture *fixture)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	g_autoptr(ProaSettled) settled = proa_settle(node, NULL);

	g_assert_nonnull(settled);
}

static void bless(const Fixture *fixture)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_node_bless(node, &error));
	g_assert_no_error(error);
}

static void expect_rollback(const Fixture *fixture, const char *to_hash)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	const ProaStateRelease *next = NULL;
	g_autoptr(GError) error = NULL;

	gboolean ok = proa_rollback(node, NULL, &next, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpstr(next->root_hash, ==, to_hash);
	g_assert_cmpstr(proa_entry_next(node->entries)->root_hash, ==, to_hash);
}

static void expect_refused(const Fixture *fixture, const char *version, ProaReason reason)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	const ProaStateRelease *next = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *before = fixture_entries(node->esp);

	g_assert_false(proa_rollback(node, version, &next, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_autofree char *after = fixture_entries(node->esp);
	g_assert_cmpstr(before, ==, after);
	g_assert_null(next);
}

static ProaStateKind kind_of(const Fixture *fixture)
{
	g_autoptr(ProaState) state = proa_state_load(fixture->state_dir, NULL);

	return state->kind;
}

static void knows_both_slots(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_cmpstr(node->booted.version, ==, "1.0.0");
	g_assert_cmpstr(node->booted.slot, ==, "root-a");
	g_assert_cmpstr(node->other.root_hash, ==, HASH_2);
	g_assert_cmpstr(node->other.slot, ==, "root-b");
	g_assert_true(proa_node_other_bootable(node));
	g_assert_false(proa_node_on_trial(node));
}

/* An entry whose root is in no slot leads nowhere. */
static void other_needs_its_partitions(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_3.0.0.efi", "3.0.0", HASH_3);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_null(node->other_entry);
	g_assert_cmpstr(node->other_slot, ==, "root-b");
	g_assert_false(proa_node_other_bootable(node));
	expect_refused(&fixture, NULL, PROA_REASON_NOTHING_TO_ROLL_BACK);
}

static void blesses_a_trial(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	g_assert_true(proa_attempts_write(fixture.state_dir, HASH_2, 2, NULL));
	settle(&fixture);
	bless(&fixture);
	expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0.efi");
	g_assert_true(fixture_history_has(&fixture, "blessed", HASH_2, NULL));
	g_assert_cmpuint(proa_attempts_read(fixture.state_dir, HASH_2), ==, 0);
	g_autoptr(ProaState) state = proa_state_load(fixture.state_dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_GOOD);
	g_assert_cmpstr(state->good.root_hash, ==, HASH_2);
	g_assert_null(state->staged.root_hash);
}

static void blesses_quietly_what_is_blessed(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *history = g_build_filename(fixture.state_dir, "history.jsonl", NULL);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	settle(&fixture);
	bless(&fixture);
	g_autofree char *before = proa_file_read(history, 1 << 20, NULL, NULL);
	bless(&fixture);
	g_autofree char *after = proa_file_read(history, 1 << 20, NULL, NULL);
	g_assert_cmpstr(before, ==, after);
	g_assert_cmpint(kind_of(&fixture), ==, PROA_STATE_GOOD);
}

/* A release staged meanwhile must not be forgotten by a health check that ends late. */
static void blessing_leaves_staged_alone(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, NULL);
	bless(&fixture);
	g_autoptr(ProaState) state = proa_state_load(fixture.state_dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_STAGED);
	g_assert_cmpstr(state->staged.root_hash, ==, HASH_2);
	g_assert_cmpstr(state->good.root_hash, ==, HASH_1);
}

static void blessing_prunes_generations(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *own = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/11111111222233334444555555555555/upper/x", "x", -1);
	g_autofree char *old = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/00000000000000000000000000000000/upper/x", "x", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	bless(&fixture);
	g_assert_true(g_file_test(own, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
}

static void cannot_bless_without_an_entry(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = fixture_open(&fixture);

	g_assert_false(proa_node_bless(node, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_BOOT_ENTRY);
}

static void back_and_forward(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *left = NULL;

	/* 2.0.0 runs, good; back to 1.0.0. */
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_2);
	expect_rollback(&fixture, HASH_1);
	expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	left = fixture_rejected(&fixture, HASH_2);
	g_assert_cmpstr(left, ==, "rolled-back");
	g_assert_true(fixture_history_has(&fixture, "rolled-back", HASH_2, NULL));

	/* It boots, and is no trial. */
	fixture_reboot(&fixture, HASH_1);
	settle(&fixture);
	g_assert_cmpint(kind_of(&fixture), ==, PROA_STATE_GOOD);
	bless(&fixture);

	/* Forward again: a new trial, and no longer rejected. */
	expect_rollback(&fixture, HASH_2);
	expect_entries(&fixture, "proa_2.0.0+3.efi proa_1.0.0.efi");
	g_assert_null(fixture_rejected(&fixture, HASH_2));
	g_assert_null(fixture_rejected(&fixture, HASH_1));
	g_assert_cmpint(kind_of(&fixture), ==, PROA_STATE_STAGED);
}

/* Asked for again before the reboot, it is undone; the release that was good needs no trial. */
static void undoes_itself(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_2);
	expect_rollback(&fixture, HASH_1);
	expect_rollback(&fixture, HASH_2);
	expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0.efi");
	g_assert_cmpint(kind_of(&fixture), ==, PROA_STATE_GOOD);
	g_assert_null(fixture_rejected(&fixture, HASH_2));
}

static void disarms_what_is_staged(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *left = NULL;

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	expect_rollback(&fixture, HASH_1);
	expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	g_assert_cmpint(kind_of(&fixture), ==, PROA_STATE_GOOD);
	left = fixture_rejected(&fixture, HASH_2);
	g_assert_cmpstr(left, ==, "rolled-back");
}

static void leaves_a_trial_for_a_good_release_only(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	expect_rollback(&fixture, HASH_1);
	expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");

	g_auto(Fixture) unproven = fixture_new();
	fixture_entry(unproven.esp, "proa_1.0.0+0-1.efi", "1.0.0", HASH_1);
	fixture_entry(unproven.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_run_root(&unproven, HASH_2);
	expect_refused(&unproven, NULL, PROA_REASON_TRIAL_BOOT);
}

static void refuses_another_version(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	expect_refused(&fixture, "1.0.9", PROA_REASON_NO_BOOT_ENTRY);
}

static void refuses_during_a_transaction(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = scratch_write(&fixture.scratch, "root/run/proa/install.lock", "", -1);
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
	expect_refused(&fixture, NULL, PROA_REASON_BUSY);
}

static void status_says_it_all(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	g_assert_true(
		proa_rejected_add(fixture.state_dir, HASH_3, "3.0.0", "unit-failed", "x.service", NULL));
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
}

/* The states of one ESP between any two of its changes, as a copy of its names; stops a rollback at each of
 * them. */
static void never_without_an_entry_that_boots(void)
{
	static const char *const starts[][2] = { { "proa_1.0.0.efi", "proa_2.0.0.efi" },
		{ "proa_1.0.0+0-1.efi", "proa_2.0.0.efi" }, { "proa_1.0.0.efi", "proa_2.0.0+0-1.efi" },
		{ "proa_1.0.0.efi", "proa_2.0.0+3.efi" } };

	for (gsize i = 0; i < G_N_ELEMENTS(starts); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *folder = g_build_filename(fixture.esp, PROA_ESP_ENTRY_DIR, NULL);
		fixture_entry(fixture.esp, starts[i][0], "1.0.0", HASH_1);
		fixture_entry(fixture.esp, starts[i][1], "2.0.0", HASH_2);
		fixture_run_root(&fixture, strchr(starts[i][1], '+') ? HASH_1 : HASH_2);
		fixture_state(&fixture, PROA_STATE_GOOD, NULL, strchr(starts[i][1], '+') ? HASH_1 : HASH_2);

		/* A child that is killed after n milliseconds is a power cut at some point; many of them meet
		 * every point. */
		for (int n = 0; n < 40; n++) {
			pid_t child = fork();
			if (child == 0) {
				g_autoptr(ProaNode) node = fixture_open(&fixture);
				const ProaStateRelease *next = NULL;
				for (;;)
					if (!proa_rollback(node, NULL, &next, NULL))
						_exit(1);
			}
			g_usleep((gulong)(5000 + n * 300));
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			g_autoptr(ProaEsp) esp = proa_esp_open(fixture.esp, NULL);
			g_autoptr(GPtrArray) list = proa_entry_list(esp, NULL);
			g_assert_cmpuint(list->len, ==, 2);
			g_assert_true(proa_entry_bootable(proa_entry_next(list)));
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/node/knows-both-slots", knows_both_slots);
	g_test_add_func("/node/other-needs-its-partitions", other_needs_its_partitions);
	g_test_add_func("/node/blesses-a-trial", blesses_a_trial);
	g_test_add_func("/node/blesses-quietly-what-is-blessed", blesses_quietly_what_is_blessed);
	g_test_add_func("/node/blessing-leaves-staged-alone", blessing_leaves_staged_alone);
	g_test_add_func("/node/blessing-prunes-generations", blessing_prunes_generations);
	g_test_add_func("/node/cannot-bless-without-an-entry", cannot_bless_without_an_entry);
	g_test_add_func("/rollback/back-and-forward", back_and_forward);
	g_test_add_func("/rollback/undoes-itself", undoes_itself);
	g_test_add_func("/rollback/disarms-what-is-staged", disarms_what_is_staged);
	g_test_add_func(
		"/rollback/leaves-a-trial-for-a-good-release-only", leaves_a_trial_for_a_good_release_only);
	g_test_add_func("/rollback/refuses-another-version", refuses_another_version);
	g_test_add_func("/rollback/refuses-during-a-transaction", refuses_during_a_transaction);
	g_test_add_func("/rollback/never-without-an-entry-that-boots", never_without_an_entry_that_boots);
	g_test_add_func("/status/says-it-all", status_says_it_all);
	return g_test_run();
}

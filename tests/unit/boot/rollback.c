/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/rollback.h"

#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* An entry whose root is in no slot leads nowhere. */
static void refuses_without_another_release(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	expect_refused(&fixture, NULL, PROA_REASON_NOTHING_TO_ROLL_BACK);
	fixture_entry(fixture.esp, "proa_3.0.0.efi", "3.0.0", HASH_3);
	expect_refused(&fixture, NULL, PROA_REASON_NOTHING_TO_ROLL_BACK);
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
	fixture_expect_entries(&fixture, "proa_1.0.0+3.efi proa_2.0.0+0-1.efi");
	left = fixture_rejected(&fixture, HASH_2);
	g_assert_cmpstr(left, ==, "rolled-back");
	g_assert_true(fixture_history_has(&fixture, "rolled-back", HASH_2, NULL));

	/* It boots, on trial: it may not understand what the newer one left behind. */
	fixture_reboot(&fixture, HASH_1);
	fixture_settle(&fixture);
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_TRIAL);
	fixture_bless(&fixture);

	/* Forward again: a new trial, and no longer rejected. */
	expect_rollback(&fixture, HASH_2);
	fixture_expect_entries(&fixture, "proa_2.0.0+3.efi proa_1.0.0.efi");
	g_assert_null(fixture_rejected(&fixture, HASH_2));
	g_assert_null(fixture_rejected(&fixture, HASH_1));
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_STAGED);
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
	fixture_expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0+3.efi");
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);
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
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);
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
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");

	g_auto(Fixture) unproven = fixture_new();
	fixture_entry(unproven.esp, "proa_1.0.0+0-1.efi", "1.0.0", HASH_1);
	fixture_entry(unproven.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_run_root(&unproven, HASH_2);
	expect_refused(&unproven, NULL, PROA_REASON_TRIAL_BOOT);
}

/* The release that an operator went back from had come to health: good enough to go to again at once. */
static void leaves_a_trial_for_the_release_gone_back_from(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_2);
	expect_rollback(&fixture, HASH_1);
	fixture_reboot(&fixture, HASH_1);
	fixture_settle(&fixture);
	expect_rollback(&fixture, HASH_2);
	fixture_expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0+3.efi");
}

static void refuses_another_version(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	expect_refused(&fixture, "1.0.9", PROA_REASON_NO_BOOT_ENTRY);
}

/* As an update to an older release leaves it, once that one has used its tries: the firmware comes back. */
static void an_older_release_that_fails_leads_back(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *why = NULL;

	fixture_entry(fixture.esp, "proa_1.0.0+0-3.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	fixture_expect_entries(&fixture, "proa_2.0.0+0-1.efi proa_1.0.0+0-3.efi");
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_1, HASH_2);
	g_assert_true(proa_rejected_add(fixture.state_dir, HASH_2, "2.0.0", "rolled-back", "to 1.0.0", NULL));
	fixture_reboot(&fixture, HASH_2);
	fixture_settle(&fixture);
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_FALLEN_BACK);
	why = fixture_rejected(&fixture, HASH_1);
	g_assert_cmpstr(why, ==, "boot-failed");
	fixture_bless(&fixture);
	fixture_expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0+0-3.efi");
	g_assert_null(fixture_rejected(&fixture, HASH_2));
}

/* Whoever names it wants it to boot next: it does, and nothing is toggled. */
static void what_boots_next_already_is_a_success(void)
{
	static const char *const cases[][2] = { { "1.0.0", HASH_1 }, { "2.0.0", HASH_2 } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Fixture) fixture = fixture_new();
		const ProaStateRelease *next = NULL, *planned = NULL;
		g_autoptr(GError) error = NULL;

		/* 2.0.0 is staged, or was rolled back from. */
		fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
		fixture_entry(fixture.esp, i ? "proa_2.0.0+3.efi" : "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
		fixture_state(&fixture, i ? PROA_STATE_STAGED : PROA_STATE_GOOD, i ? HASH_2 : NULL, HASH_1);
		g_autoptr(ProaNode) node = fixture_open(&fixture);
		g_autofree char *before = fixture_entries(node->esp);
		g_assert_true(proa_rollback_plan(node, cases[i][0], &planned, &error));
		g_assert_true(proa_rollback(node, cases[i][0], &next, &error));
		g_assert_no_error(error);
		g_assert_cmpstr(planned->root_hash, ==, cases[i][1]);
		g_assert_cmpstr(next->root_hash, ==, cases[i][1]);
		fixture_expect_entries(&fixture, before);
		g_assert_false(fixture_history_has(&fixture, "rolled-back", NULL, NULL));
	}
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
			g_usleep(5000 + 300 * (gulong)n);
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
	g_test_add_func("/rollback/back-and-forward", back_and_forward);
	g_test_add_func("/rollback/undoes-itself", undoes_itself);
	g_test_add_func("/rollback/disarms-what-is-staged", disarms_what_is_staged);
	g_test_add_func("/rollback/leaves-a-trial-for-the-release-gone-back-from",
		leaves_a_trial_for_the_release_gone_back_from);
	g_test_add_func(
		"/rollback/leaves-a-trial-for-a-good-release-only", leaves_a_trial_for_a_good_release_only);
	g_test_add_func("/rollback/refuses-without-another-release", refuses_without_another_release);
	g_test_add_func("/rollback/refuses-another-version", refuses_another_version);
	g_test_add_func(
		"/rollback/an-older-release-that-fails-leads-back", an_older_release_that_fails_leads_back);
	g_test_add_func(
		"/rollback/what-boots-next-already-is-a-success", what_boots_next_already_is_a_success);
	g_test_add_func("/rollback/refuses-during-a-transaction", refuses_during_a_transaction);
	g_test_add_func("/rollback/never-without-an-entry-that-boots", never_without_an_entry_that_boots);
	return g_test_run();
}

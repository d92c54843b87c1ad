/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a boot that is not left: unhealthy, but blessed or with nowhere to go to; and what /var takes
 * late. */
#include "tests/unit/boot/daemon.h"

#include "boot/attempts.h"
#include "boot/volatile.h"
#include "tests/unit/boot/health/manager.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_for_event(const Fixture *fixture, const char *event, const char *root_hash)
{
	for (int tenths = 0; tenths < 300 && !fixture_history_has(fixture, event, root_hash, NULL); tenths++)
		g_usleep(G_USEC_PER_SEC / 10);
}

/* It waits on, and would for ever. */
static void end_running(pid_t child)
{
	g_assert_cmpint(waitpid(child, NULL, WNOHANG), ==, 0);
	g_assert_cmpint(kill(child, SIGTERM), ==, 0);
	g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
}

/* A blessed release is not left for being unhealthy once, nor is one that has nowhere to go to. */
static void others_go_on(void)
{
	static const char *const entries[] = { "proa_1.0.0.efi", "proa_1.0.0+0-3.efi" };

	for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
		g_auto(Fixture) fixture = fixture_new();
		fixture_entry(fixture.esp, entries[i], "1.0.0", HASH_1);
		pid_t child = fork();
		if (child == 0)
			_exit(run(&fixture));
		wait_for_event(&fixture, "unhealthy", HASH_1);
		g_assert_true(fixture_history_has(&fixture, "unhealthy", HASH_1, "not-running"));
		g_usleep(G_USEC_PER_SEC);
		end_running(child);
		fixture_expect_entries(&fixture, entries[i]);
	}
}

/* Blessed, or tried more often than any trial is: it may work well, and is left to. */
static void others_wait_for_their_esp(void)
{
	for (int i = 0; i < 2; i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_assert_cmpint(g_rmdir(fixture.esp), ==, 0);
		fixture_state(&fixture, i == 0 ? PROA_STATE_GOOD : PROA_STATE_TRIAL, HASH_2, HASH_1);
		fixture_run_root(&fixture, HASH_2);
		g_assert_true(proa_attempts_write(fixture.state_dir, HASH_2, i == 0 ? 1 : 4, NULL));
		pid_t child = fork();
		if (child == 0)
			_exit(run(&fixture));
		g_usleep(12 * G_USEC_PER_SEC);
		end_running(child);
		g_assert_false(fixture_history_has(&fixture, "unhealthy", NULL, NULL));
	}
}

/*
 * /var was full when the failed release was to be remembered, and has room again. That this boot's changes of
 * /etc are lost is no reason to wait for the next one.
 */
static void what_a_full_var_did_not_take_is_written_later(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *mark = scratch_write(&fixture.scratch, "root/" PROA_VOLATILE_ETC, "", 0);
	g_autofree char *in_the_way = g_build_filename(fixture.state_dir, "rejected.json.tmp", NULL);

	g_assert_nonnull(mark);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_1);
	g_assert_cmpint(g_mkdir(in_the_way, 0755), ==, 0);
	configuration = CONFIGURATION "[disk]\nfree=1K\ninodes=1\n";
	pid_t child = fork();
	if (child == 0)
		_exit(run(&fixture));
	configuration = CONFIGURATION;
	wait_for_event(&fixture, "unhealthy", HASH_1);
	g_assert_true(fixture_history_has(&fixture, "unhealthy", HASH_1, "read-only"));
	g_assert_null(fixture_rejected(&fixture, HASH_2));
	g_assert_cmpint(g_rmdir(in_the_way), ==, 0);
	g_autofree char *reason = NULL;
	for (int tenths = 0; tenths < 900 && !reason; tenths++) {
		g_usleep(G_USEC_PER_SEC / 10);
		reason = fixture_rejected(&fixture, HASH_2);
	}
	g_assert_cmpstr(reason, ==, "boot-failed");
	end_running(child);
}

/* Once there is room: before the blessing, behind which nobody looks any more. */
static void what_a_full_var_did_not_take_is_written_at_health(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_auto(Managed) managed = { 0 };
	g_autofree char *in_the_way = g_build_filename(fixture.state_dir, "rejected.json.tmp", NULL);
	int status = 0;

	managed_set(&managed, &(Manager){ .state = "running", .nothing_failed = TRUE });
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_1);
	g_assert_cmpint(g_mkdir(in_the_way, 0755), ==, 0);
	manager_address = managed.address;
	configuration = CONFIGURATION "[disk]\nfree=1K\ninodes=1\n[canary]\nenabled=no\n";
	pid_t child = fork();
	if (child == 0)
		_exit(run(&fixture));
	manager_address = "unix:path=/nonexistent/private";
	configuration = CONFIGURATION;
	wait_for_event(&fixture, "fell-back", HASH_2);
	g_usleep(G_USEC_PER_SEC);
	g_assert_null(fixture_rejected(&fixture, HASH_2));
	g_assert_cmpint(g_rmdir(in_the_way), ==, 0);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(WEXITSTATUS(status), ==, PROA_EXIT_OK);
	g_autofree char *reason = fixture_rejected(&fixture, HASH_2);
	g_assert_cmpstr(reason, ==, "boot-failed");
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_FALLEN_BACK);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/daemon-goes-on/others-wait-for-their-esp", others_wait_for_their_esp);
	g_test_add_func("/daemon-goes-on/others-go-on", others_go_on);
	g_test_add_func("/daemon-goes-on/what-a-full-var-did-not-take-is-written-later",
		what_a_full_var_did_not_take_is_written_later);
	g_test_add_func("/daemon-goes-on/what-a-full-var-did-not-take-is-written-at-health",
		what_a_full_var_did_not_take_is_written_at_health);
	return g_test_run();
}

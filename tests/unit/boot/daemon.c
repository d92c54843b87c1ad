/* SPDX-License-Identifier: Apache-2.0 */
/* The way of an unhealthy trial; a healthy one is shown in tests/e2e. */
#include "tests/unit/boot/daemon.h"

#include "boot/attempts.h"
#include "boot/blackbox.h"
#include "boot/crashes.h"
#include "boot/evidence.h"
#include "boot/volatile.h"
#include "tests/unit/boot/health/manager.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void unhealthy_trial_says_why_and_ends(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	g_assert_cmpint(run(&fixture), ==, PROA_EXIT_OK);
	fixture_expect_entries(&fixture, "proa_2.0.0+2-1.efi proa_1.0.0.efi");
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_TRIAL);
	g_assert_true(fixture_history_has(&fixture, "unhealthy", HASH_2, "not-running"));
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(fixture.state_dir, HASH_2);
	g_assert_cmpstr(verdict->reason, ==, "not-running");
	g_assert_null(fixture_rejected(&fixture, HASH_2));
}

/* A dead disk holds it up before it can judge: nobody else would end the trial. A blessed release is left to
 * it. */
static void a_trial_that_gets_nowhere_ends(void)
{
	static const char *const entries[] = { "proa_2.0.0+2-1.efi", "proa_2.0.0.efi" };

	for (guint i = 0; i < G_N_ELEMENTS(entries); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *fifo = g_build_filename(fixture.state_dir, "rejected.json", NULL);
		int status = 0;

		fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
		fixture_entry(fixture.esp, entries[i], "2.0.0", HASH_2);
		fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
		fixture_run_root(&fixture, HASH_2);
		g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
		patience = 2;
		pid_t child = fork();
		if (child == 0)
			_exit(run(&fixture));
		patience = 0;
		if (i == 0) {
			g_assert_cmpint(waitpid(child, &status, 0), ==, child);
			g_assert_cmpint(WEXITSTATUS(status), ==, 1);
			continue;
		}
		g_usleep(5 * G_USEC_PER_SEC);
		g_assert_cmpint(waitpid(child, NULL, WNOHANG), ==, 0);
		g_assert_cmpint(kill(child, SIGKILL), ==, 0);
		g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
	}
}

/* What it says would be gone with its /var: the next boot finds it on the ESP. */
static void without_a_var_the_esp_keeps_its_word(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *mark = scratch_write(&fixture.scratch, "root/" PROA_VOLATILE_VAR, "", 0);

	g_assert_nonnull(mark);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	g_assert_cmpint(run(&fixture), ==, PROA_EXIT_OK);
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture.esp, NULL);
	g_autoptr(ProaEvidence) word = proa_evidence_read(esp, NULL);
	g_assert_cmpstr(word->root_hash, ==, HASH_2);
	g_assert_cmpstr(word->version, ==, "2.0.0");
	g_assert_cmpstr(word->reason, ==, "read-only");
	g_assert_cmpstr(word->where, ==, "system");
}

static const char *hanging;

/* In the place of libc's: once the checks have said something, what is below @hanging does not answer. */
int fsync(int fd)
{
	g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autofree char *path = hanging ? g_file_read_link(link, NULL) : NULL;
	g_autofree char *report = g_strconcat(hanging ? hanging : "", "/../run/proa/health.json", NULL);

	while (path && g_str_has_prefix(path, hanging) && access(report, F_OK) == 0)
		pause();
	return fdatasync(fd);
}

/* Nothing that is to be written to it ever is, and still the next boot knows why. */
static void with_a_var_that_hangs_the_esp_keeps_its_word(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *root = fixture_root(&fixture);
	g_autofree char *var = g_build_filename(root, "var", NULL);
	int status = 0;

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	pid_t child = fork();
	if (child == 0) {
		/* Not to be left behind by a test that was killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hanging = var;
		patience = 5;
		configuration = CONFIGURATION "[disk]\nfree=1K\ninodes=1\ntimeout=1s\n";
		_exit(run(&fixture));
	}
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(WEXITSTATUS(status), ==, 1);
	g_assert_null(proa_blackbox_verdict(fixture.state_dir, HASH_2));
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture.esp, NULL);
	g_autoptr(ProaEvidence) word = proa_evidence_read(esp, NULL);
	g_assert_nonnull(word);
	g_assert_cmpstr(word->root_hash, ==, HASH_2);
	g_assert_cmpstr(word->reason, ==, "io-error");
}

/* With its tries used up, and a newer one set aside by an operator's way back: the firmware would take that
 * one. */
static void an_older_one_that_fails_gives_way_to_the_one_left(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0+0-3.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_1, HASH_2);
	fixture_run_root(&fixture, HASH_1);
	g_assert_cmpint(run(&fixture), ==, PROA_EXIT_OK);
	g_assert_true(fixture_history_has(&fixture, "unhealthy", HASH_1, "not-running"));
}

/* Its kernel cannot open the ESP: nobody could ever bless it, or see its counter. */
static void a_trial_without_an_esp_ends_too(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *root = fixture_root(&fixture);

	g_assert_cmpint(g_rmdir(fixture.esp), ==, 0);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	g_assert_true(proa_attempts_write(fixture.state_dir, HASH_2, 1, NULL));
	g_assert_cmpint(run(&fixture), ==, PROA_EXIT_OK);
	g_assert_true(fixture_history_has(&fixture, "unhealthy", HASH_2, NULL));
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(fixture.state_dir, HASH_2);
	g_assert_nonnull(verdict);
	g_assert_true(proa_daemon_going_down(root, NULL));
	g_assert_cmpuint(proa_attempts_read(fixture.state_dir, HASH_2), ==, 1);
}

/* What a timer asks for, beside what `run` and a shutdown note. */
static void the_boot_is_noted_as_it_goes_on(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *root = fixture_root(&fixture);
	g_autofree char *last = g_build_filename(fixture.state_dir, "uptime.json", NULL);
	g_autofree char *text = NULL;
	g_auto(ProaCrash) crash = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_daemon_goes_on(root, &error));
	g_assert_false(g_file_test(last, G_FILE_TEST_EXISTS));
	g_free(scratch_write(&fixture.scratch, "root/proc/uptime", "900.25 70.00\n", -1));
	ProaMoment moment = proa_moment_now(root);
	g_assert_true(proa_crashes_begin(fixture.state_dir, HASH_1, &moment, 86400, 3600, &crash, &error));
	g_free(scratch_write(&fixture.scratch, "root/proc/uptime", "1800.01 70.00\n", -1));
	g_assert_true(proa_daemon_goes_on(root, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_get_contents(last, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "1800"));
}

static guint attempts_after(const Fixture *fixture, const char *counted)
{
	g_autofree char *root = fixture_root(fixture);
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_attempts_write(fixture->state_dir, counted, 2, NULL));
	g_assert_true(proa_daemon_going_down(root, &error));
	g_assert_no_error(error);
	return proa_attempts_read(fixture->state_dir, counted);
}

/* The API server is down for an hour, and the operator has other reasons to reboot. */
static void reboots_in_good_order_cost_a_release_nothing(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_run_root(&fixture, HASH_2);
	g_assert_cmpuint(attempts_after(&fixture, HASH_2), ==, 0);
	/* What another release is counted for is not this one's to take back. */
	g_assert_cmpuint(attempts_after(&fixture, HASH_1), ==, 2);
}

static void reboots_of_an_unhealthy_node_count(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_run_root(&fixture, HASH_2);
	g_assert_cmpint(run(&fixture), ==, PROA_EXIT_OK);
	g_assert_cmpuint(attempts_after(&fixture, HASH_2), ==, 2);
}

/* Whosever fault it was: where the firmware does not count, these reboots are all that ends the trial. */
static void trials_left_for_elsewhere_count(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_auto(Managed) managed = { 0 };
	g_autofree char *program = scratch_write(
		&fixture.scratch, "root/etc/proa/health.d/required/far", "#!/bin/sh\nexit 75\n", -1);

	g_assert_cmpint(g_chmod(program, 0755), ==, 0);
	managed_set(&managed, &(Manager){ .state = "running", .nothing_failed = TRUE });
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	manager_address = managed.address;
	configuration =
		CONFIGURATION "[health]\nelsewhere=leave\nelsewhere-limit=10s\n[canary]\nenabled=no\n";
	int status = run(&fixture);
	manager_address = "unix:path=/nonexistent/private";
	configuration = CONFIGURATION;
	g_assert_cmpint(status, ==, PROA_EXIT_OK);
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(fixture.state_dir, HASH_2);
	g_assert_cmpstr(verdict->reason, ==, "health-check");
	g_assert_cmpuint(attempts_after(&fixture, HASH_2), ==, 2);
}

/* A round may take as long as its checks' own limits allow, however many they are: it gets somewhere. */
static void a_long_round_of_checks_is_no_standstill(void)
{
	static const char *const programs[] = { "a", "b", "c", "d" };
	g_auto(Fixture) fixture = fixture_new();
	g_auto(Managed) managed = { 0 };
	int status = 0;

	/* The last one is not right, and is tried twice. */
	for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
		g_autofree char *name = g_strconcat("root/etc/proa/health.d/required/", programs[i], NULL);
		g_autofree char *path = scratch_write(&fixture.scratch, name,
			i == 3 ? "#!/bin/sh\nsleep 1.5; exit 1\n" : "#!/bin/sh\nexec sleep 1.5\n", -1);
		g_assert_cmpint(g_chmod(path, 0755), ==, 0);
	}
	managed_set(&managed, &(Manager){ .state = "running", .nothing_failed = TRUE });
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	patience = 2;
	manager_address = managed.address;
	configuration = CONFIGURATION "[canary]\nenabled=no\n[programs]\ntimeout=2s\nretries=1\n";
	pid_t child = fork();
	if (child == 0)
		_exit(run(&fixture));
	patience = 0;
	manager_address = "unix:path=/nonexistent/private";
	configuration = CONFIGURATION;
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(WEXITSTATUS(status), ==, PROA_EXIT_OK);
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(fixture.state_dir, HASH_2);
	g_assert_cmpstr(verdict->reason, ==, "health-check");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	/* First: a thread that another has started is not in the children that this one forks. */
	g_test_add_func("/daemon/with-a-var-that-hangs-the-esp-keeps-its-word",
		with_a_var_that_hangs_the_esp_keeps_its_word);
	g_test_add_func("/daemon/a-trial-that-gets-nowhere-ends", a_trial_that_gets_nowhere_ends);
	g_test_add_func(
		"/daemon/a-long-round-of-checks-is-no-standstill", a_long_round_of_checks_is_no_standstill);
	g_test_add_func("/daemon/unhealthy-trial-says-why-and-ends", unhealthy_trial_says_why_and_ends);
	g_test_add_func("/daemon/without-a-var-the-esp-keeps-its-word", without_a_var_the_esp_keeps_its_word);
	g_test_add_func("/daemon/an-older-one-that-fails-gives-way-to-the-one-left",
		an_older_one_that_fails_gives_way_to_the_one_left);
	g_test_add_func("/daemon/a-trial-without-an-esp-ends-too", a_trial_without_an_esp_ends_too);
	g_test_add_func("/daemon/the-boot-is-noted-as-it-goes-on", the_boot_is_noted_as_it_goes_on);
	g_test_add_func("/daemon/reboots-in-good-order-cost-a-release-nothing",
		reboots_in_good_order_cost_a_release_nothing);
	g_test_add_func("/daemon/reboots-of-an-unhealthy-node-count", reboots_of_an_unhealthy_node_count);
	g_test_add_func("/daemon/trials-left-for-elsewhere-count", trials_left_for_elsewhere_count);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/settle.h"

#include "boot/blackbox.h"
#include "boot/evidence.h"
#include "boot/volatile.h"
#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* Settles and compares: the state now, and the root hash that failed with its reason (NULL: none). */
static void expect(const Fixture *fixture, ProaStateKind kind, const char *failed, const char *reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = fixture_open(fixture);
	g_autoptr(ProaSettled) settled = proa_settle(node, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(proa_state_kind_to_string(settled->kind), ==, proa_state_kind_to_string(kind));
	g_assert_cmpstr(settled->failed.root_hash, ==, failed);
	g_assert_cmpint(settled->fell_back, ==, failed != NULL);
	g_assert_cmpstr(settled->reason, ==, reason);
	g_autoptr(ProaState) state = proa_state_load(fixture->state_dir, &error);
	g_assert_no_error(error);
	g_assert_cmpint(state->kind, ==, kind);
	g_assert_cmpstr(state->booted.root_hash, ==, node->booted.root_hash);
	if (!failed)
		return;
	g_autofree char *rejected = fixture_rejected(fixture, failed);
	g_assert_cmpstr(rejected, ==, reason);
	g_assert_true(fixture_history_has(fixture, "fell-back", failed, reason));
}

static char *staged_of(const Fixture *fixture)
{
	g_autoptr(ProaState) state = proa_state_load(fixture->state_dir, NULL);

	return g_strdup(state->staged.root_hash);
}

static void leave_evidence(const Fixture *fixture, const char *root_hash, const char *reason)
{
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture->esp, NULL);
	g_autoptr(ProaEvidence) evidence = g_new0(ProaEvidence, 1);

	evidence->root_hash = g_strdup(root_hash);
	evidence->version = g_strdup("2.0.0");
	evidence->reason = g_strdup(reason);
	evidence->where = g_strdup("guard");
	g_assert_true(proa_evidence_write(esp, evidence, NULL));
}

static void first_boot_is_idle(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	expect(&fixture, PROA_STATE_IDLE, NULL, NULL);
}

/* The rename that gave 1.0.0 its tries back was cut: its other name would bless it when they are used up. */
static void a_trial_has_one_name(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0+1-2.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0.efi", "2.0.0", HASH_2);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_autoptr(ProaSettled) settled = proa_settle(node, NULL);
	g_assert_cmpint(settled->kind, ==, PROA_STATE_TRIAL);
	g_assert_false(settled->fell_back);
	fixture_expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0+1-2.efi proa_1.0.0+0-1.efi");
	g_assert_true(proa_node_on_trial(node));
	g_assert_cmpstr(node->booted_entry->name, ==, "proa_1.0.0+1-2.efi");
}

static void staged_release_that_runs_is_on_trial(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	expect(&fixture, PROA_STATE_TRIAL, NULL, NULL);
	g_assert_true(fixture_history_has(&fixture, "trial", HASH_2, NULL));
}

/* A power cut after the commit point, before anything was recorded. */
static void armed_but_not_recorded_is_on_trial_too(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	expect(&fixture, PROA_STATE_TRIAL, NULL, NULL);
	g_autofree char *staged = staged_of(&fixture);
	g_assert_cmpstr(staged, ==, HASH_2);
}

static void trial_without_tries_fell_back(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
	g_autofree char *staged = staged_of(&fixture);
	g_assert_null(staged);
}

static void its_own_word_is_the_reason(void)
{
	g_auto(Fixture) fixture = fixture_new();
	char version[] = "2.0.0", hash[] = HASH_2;
	ProaStateRelease bad = { version, hash, NULL };

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	g_assert_true(proa_blackbox_set_verdict(
		fixture.state_dir, &bad, "containerd-down", "no answer", "containerd  waiting\n", NULL));
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "containerd-down");
}

/* Whether the page about the release that failed holds a kernel's last words of @when; @history: that it was
 * staged, NULL: now. */
static gboolean page_has_words_with(time_t when, const char *history)
{
	g_auto(Fixture) fixture = fixture_new();
	char version[] = "2.0.0", hash[] = HASH_2;
	ProaStateRelease bad = { version, hash, NULL };
	struct timespec times[2] = { { when, 0 }, { when, 0 } };
	g_autofree char *dump = scratch_write(
		&fixture.scratch, "root/var/lib/systemd/pstore/1700000000/001/dmesg.txt", "Oops\n", -1);

	g_assert_cmpint(utimensat(AT_FDCWD, dump, times, 0), ==, 0);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	if (history)
		g_free(scratch_write(&fixture.scratch, "root/var/lib/proa/history.jsonl", history, -1));
	else
		g_assert_true(proa_history_append(fixture.state_dir, "staged", &bad, NULL, NULL, NULL));
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
	g_autofree char *folder = g_build_filename(fixture.state_dir, "blackbox", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	g_autofree char *page = g_build_filename(folder, g_dir_read_name(dir), NULL);
	g_autofree char *text = proa_file_read(page, 1 << 20, NULL, NULL);
	g_assert_nonnull(strstr(text, "Boot entries"));
	return strstr(text, "Oops") != NULL;
}

static gboolean page_has_words_of(time_t when)
{
	return page_has_words_with(when, NULL);
}

/* It was staged while the clock said 2096. */
static void a_clock_that_was_ahead_hides_no_last_words(void)
{
	g_assert_true(page_has_words_with(time(NULL),
		"{\"time\":4000000000,\"event\":\"staged\",\"version\":\"2.0.0\",\"root_hash\":\"" HASH_2
		"\"}\n"));
}

/* It was left for them, and may come back one day; the power went before whoever left it forgot them. */
static void crashes_of_a_release_that_was_left_are_forgotten(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = scratch_write(&fixture.scratch, "root/var/lib/proa/crashes.json",
		"{\"releases\":{\"" HASH_2 "\":{\"began\":5,\"unasked\":[6,7,8]}}}", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
	g_autofree char *text = proa_file_read(path, 10000, NULL, NULL);
	g_assert_nonnull(text);
	g_assert_null(strstr(text, HASH_2));
}

static void only_its_own_last_words_are_told(void)
{
	time_t now = time(NULL);

	g_assert_true(page_has_words_of(now + 1));
	g_assert_false(page_has_words_of(now - 3600));
}

/* What another release said of itself says nothing of this one. */
static void anothers_word_is_not(void)
{
	g_auto(Fixture) fixture = fixture_new();
	char version[] = "3.0.0", hash[] = HASH_3;
	ProaStateRelease other = { version, hash, NULL };

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	g_assert_true(
		proa_blackbox_set_verdict(fixture.state_dir, &other, "containerd-down", NULL, NULL, NULL));
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
}

static void staged_with_tries_left_waits_on(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_STAGED, NULL, NULL);
	g_autofree char *staged = staged_of(&fixture);
	g_assert_cmpstr(staged, ==, HASH_2);
}

static void transaction_cut_short_is_told(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_state(&fixture, PROA_STATE_STAGING, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_GOOD, NULL, NULL);
	g_assert_true(fixture_history_has(&fixture, "failed", HASH_2, "cancelled"));
}

/* The commit point had passed: it is staged, whatever the record says. */
static void transaction_cut_after_arming_is_staged(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGING, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_STAGED, NULL, NULL);
}

static void evidence_rejects_a_blessed_release(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = g_build_filename(fixture.esp, PROA_ESP_PROA_DIR, PROA_EVIDENCE_NAME, NULL);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_2);
	leave_evidence(&fixture, HASH_2, "root-corrupt");
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "root-corrupt");
	g_assert_true(fixture_history_has(&fixture, "root-corrupt", HASH_2, "root-corrupt"));
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* It told of a /var in memory, and has tries left: rejected, it would be tried all the same. */
static void what_evidence_rejects_is_set_aside(void)
{
	static const char *const entries[] = { "proa_2.0.0+1-2.efi", "proa_2.0.0.efi" };
	static const char *const aside[] = { "proa_2.0.0+0-2.efi", "proa_2.0.0+0-1.efi" };

	for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *names = g_strconcat("proa_1.0.0.efi ", aside[i], NULL);
		fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
		fixture_entry(fixture.esp, entries[i], "2.0.0", HASH_2);
		fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
		leave_evidence(&fixture, HASH_2, "read-only");
		expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "read-only");
		fixture_expect_entries(&fixture, names);
	}
}

/* The running one was taken by the firmware for want of another that had tries left. */
static void the_last_entry_that_boots_is_not_set_aside(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0+0-3.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+1-2.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	leave_evidence(&fixture, HASH_2, "read-only");
	fixture_settle(&fixture);
	fixture_expect_entries(&fixture, "proa_2.0.0+1-2.efi proa_1.0.0+0-3.efi");
}

/* With nowhere to go to, the node came back with the same root. */
static void evidence_against_the_running_root_only_tells(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_state(&fixture, PROA_STATE_GOOD, NULL, HASH_1);
	leave_evidence(&fixture, HASH_1, "root-missing");
	expect(&fixture, PROA_STATE_GOOD, NULL, NULL);
	g_assert_true(fixture_history_has(&fixture, "gave-up", HASH_1, "root-missing"));
	g_autofree char *rejected = fixture_rejected(&fixture, HASH_1);
	g_assert_null(rejected);
}

/* The running release went bad while another one was staged: that one is now on trial. */
static void evidence_and_a_trial_at_once(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0+0-1.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	leave_evidence(&fixture, HASH_1, "root-corrupt");
	fixture_run_root(&fixture, HASH_2);
	expect(&fixture, PROA_STATE_TRIAL, HASH_1, "root-corrupt");
}

static void broken_evidence_is_removed(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path = scratch_write(&fixture.scratch, "esp/EFI/proa/gave-up.json", "{nonsense", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_test_expect_message("proa", G_LOG_LEVEL_WARNING, "reading the evidence*");
	expect(&fixture, PROA_STATE_IDLE, NULL, NULL);
	g_test_assert_expected_messages();
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* What cannot be recorded is not forgotten: a later boot, with a /var, takes it in. */
/* Nothing can be written there; what failed must not be tried again all the same, nor a second name boot as
 * blessed. */
static void a_var_that_takes_no_change_does_not_keep_entries(void)
{
	static const struct {
		const char *failed_entry, *trial_entry, *second_entry, *after;
	} cases[] = {
		{ "proa_2.0.0+2-1.efi", "proa_1.0.0.efi", NULL, "proa_1.0.0.efi proa_2.0.0+0-1.efi" },
		{ "proa_2.0.0+0-3.efi", "proa_1.0.0+2-1.efi", "proa_1.0.0.efi",
			"proa_1.0.0+2-1.efi proa_2.0.0+0-3.efi proa_1.0.0+0-1.efi" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *lock = g_build_filename(fixture.state_dir, "state.lock", NULL);
		g_autoptr(GError) error = NULL;
		fixture_entry(fixture.esp, cases[i].failed_entry, "2.0.0", HASH_2);
		fixture_entry(fixture.esp, cases[i].trial_entry, "1.0.0", HASH_1);
		if (cases[i].second_entry)
			fixture_entry(fixture.esp, cases[i].second_entry, "1.0.0", HASH_1);
		leave_evidence(&fixture, HASH_2, "read-only");
		fixture_state(&fixture, PROA_STATE_STAGED, HASH_1, i == 0 ? HASH_1 : NULL);
		g_unlink(lock);
		g_assert_cmpint(g_mkdir(lock, 0755), ==, 0);
		g_test_expect_message("proa", G_LOG_LEVEL_WARNING, "recording the outcome*");
		g_autoptr(ProaNode) node = fixture_open(&fixture);
		g_autoptr(ProaSettled) settled = proa_settle(node, &error);
		g_test_assert_expected_messages();
		g_assert_no_error(error);
		g_assert_true(settled->unrecorded);
		g_assert_true(settled->fell_back);
		fixture_expect_entries(&fixture, cases[i].after);
	}
}

static void evidence_stays_where_var_does_not_work(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *evidence =
		g_build_filename(fixture.esp, PROA_ESP_PROA_DIR, PROA_EVIDENCE_NAME, NULL);
	g_autofree char *blocked = scratch_write(&fixture.scratch, "root/var/lib", "no folder", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	leave_evidence(&fixture, HASH_2, "root-corrupt");
	g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_autoptr(ProaSettled) settled = proa_settle(node, NULL);
	g_assert_nonnull(settled);
	g_assert_true(g_file_test(evidence, G_FILE_TEST_EXISTS));

	g_assert_cmpint(g_unlink(blocked), ==, 0);
	fixture_reboot(&fixture, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "root-corrupt");
	g_assert_false(g_file_test(evidence, G_FILE_TEST_EXISTS));
}

/* Written to memory is not written: a boot that has a /var hears it again. */
static void evidence_stays_while_var_is_in_memory(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *mark = scratch_write(&fixture.scratch, "root/" PROA_VOLATILE_VAR, "", 0);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	leave_evidence(&fixture, HASH_2, "read-only");
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "read-only");
	g_assert_cmpint(g_unlink(mark), ==, 0);
	g_autofree char *gone = g_strconcat(fixture.state_dir, ".gone", NULL);
	g_assert_cmpint(g_rename(fixture.state_dir, gone), ==, 0);
	fixture_reboot(&fixture, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "read-only");
}

/* /var was lost, and with it the memory; the entry still says it. */
static void set_aside_and_forgotten_is_rejected(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
}

static void left_by_an_operator_is_no_failure(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_1, HASH_2);
	g_assert_true(proa_rejected_add(fixture.state_dir, HASH_2, "2.0.0", "rolled-back", NULL, NULL));
	expect(&fixture, PROA_STATE_GOOD, NULL, NULL);
	g_autofree char *rejected = fixture_rejected(&fixture, HASH_2);
	g_assert_cmpstr(rejected, ==, "rolled-back");
}

static void settles_once_a_boot(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *history = g_build_filename(fixture.state_dir, "history.jsonl", NULL);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_TRIAL, HASH_2, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, HASH_2, "boot-failed");
	g_autofree char *before = proa_file_read(history, 1 << 20, NULL, NULL);
	expect(&fixture, PROA_STATE_FALLEN_BACK, NULL, NULL);
	g_autofree char *after = proa_file_read(history, 1 << 20, NULL, NULL);
	g_assert_cmpstr(before, ==, after);
	/* The next boot finds nothing new either. */
	fixture_reboot(&fixture, HASH_1);
	expect(&fixture, PROA_STATE_FALLEN_BACK, NULL, NULL);
}

static void broken_state_is_begun_anew(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *path =
		scratch_write(&fixture.scratch, "root" PROA_STATE_DIR "/state.json", "{broken", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	expect(&fixture, PROA_STATE_IDLE, NULL, NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/settle/a-var-that-takes-no-change-does-not-keep-entries",
		a_var_that_takes_no_change_does_not_keep_entries);
	g_test_add_func("/settle/a-clock-that-was-ahead-hides-no-last-words",
		a_clock_that_was_ahead_hides_no_last_words);
	g_test_add_func("/settle/crashes-of-a-release-that-was-left-are-forgotten",
		crashes_of_a_release_that_was_left_are_forgotten);
	g_test_add_func("/settle/first-boot-is-idle", first_boot_is_idle);
	g_test_add_func("/settle/staged-release-that-runs-is-on-trial", staged_release_that_runs_is_on_trial);
	g_test_add_func(
		"/settle/armed-but-not-recorded-is-on-trial-too", armed_but_not_recorded_is_on_trial_too);
	g_test_add_func("/settle/trial-without-tries-fell-back", trial_without_tries_fell_back);
	g_test_add_func("/settle/its-own-word-is-the-reason", its_own_word_is_the_reason);
	g_test_add_func("/settle/only-its-own-last-words-are-told", only_its_own_last_words_are_told);
	g_test_add_func("/settle/anothers-word-is-not", anothers_word_is_not);
	g_test_add_func("/settle/staged-with-tries-left-waits-on", staged_with_tries_left_waits_on);
	g_test_add_func("/settle/transaction-cut-short-is-told", transaction_cut_short_is_told);
	g_test_add_func(
		"/settle/transaction-cut-after-arming-is-staged", transaction_cut_after_arming_is_staged);
	g_test_add_func("/settle/evidence-rejects-a-blessed-release", evidence_rejects_a_blessed_release);
	g_test_add_func("/settle/what-evidence-rejects-is-set-aside", what_evidence_rejects_is_set_aside);
	g_test_add_func("/settle/the-last-entry-that-boots-is-not-set-aside",
		the_last_entry_that_boots_is_not_set_aside);
	g_test_add_func("/settle/evidence-against-the-running-root-only-tells",
		evidence_against_the_running_root_only_tells);
	g_test_add_func("/settle/evidence-and-a-trial-at-once", evidence_and_a_trial_at_once);
	g_test_add_func("/settle/broken-evidence-is-removed", broken_evidence_is_removed);
	g_test_add_func(
		"/settle/evidence-stays-where-var-does-not-work", evidence_stays_where_var_does_not_work);
	g_test_add_func(
		"/settle/evidence-stays-while-var-is-in-memory", evidence_stays_while_var_is_in_memory);
	g_test_add_func("/settle/set-aside-and-forgotten-is-rejected", set_aside_and_forgotten_is_rejected);
	g_test_add_func("/settle/left-by-an-operator-is-no-failure", left_by_an_operator_is_no_failure);
	g_test_add_func("/settle/a-trial-has-one-name", a_trial_has_one_name);
	g_test_add_func("/settle/settles-once-a-boot", settles_once_a_boot);
	g_test_add_func("/settle/broken-state-is-begun-anew", broken_state_is_begun_anew);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/node.h"

#include "boot/attempts.h"
#include "boot/patience.h"
#include "boot/settle.h"
#include "tests/unit/boot/fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
}

static void blesses_a_trial(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_run_root(&fixture, HASH_2);
	g_assert_true(proa_attempts_write(fixture.state_dir, HASH_2, 2, NULL));
	fixture_settle(&fixture);
	fixture_bless(&fixture);
	fixture_expect_entries(&fixture, "proa_2.0.0.efi proa_1.0.0.efi");
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
	fixture_settle(&fixture);
	fixture_bless(&fixture);
	g_autofree char *before = proa_file_read(history, 1 << 20, NULL, NULL);
	fixture_bless(&fixture);
	g_autofree char *after = proa_file_read(history, 1 << 20, NULL, NULL);
	g_assert_cmpstr(before, ==, after);
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);
}

/* A release staged meanwhile must not be forgotten by a health check that ends late. */
static void blessing_leaves_staged_alone(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, NULL);
	fixture_bless(&fixture);
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
	fixture_bless(&fixture);
	g_assert_true(g_file_test(own, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
}

/* Tried again, it starts from what the good release's /etc is then. */
static void blessing_prunes_the_generation_of_what_failed(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *failed = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/bbbbbbbbccccddddeeeeffffffffffff/upper/x", "x", -1);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+1-2.efi", "2.0.0", HASH_2);
	fixture_bless(&fixture);
	g_assert_true(g_file_test(failed, G_FILE_TEST_EXISTS));

	g_auto(Fixture) later = fixture_new();
	g_autofree char *given_up = scratch_write(&later.scratch,
		"root" PROA_STATE_DIR "/etc/bbbbbbbbccccddddeeeeffffffffffff/upper/x", "x", -1);
	fixture_entry(later.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(later.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_bless(&later);
	g_assert_false(g_file_test(given_up, G_FILE_TEST_EXISTS));
}

/* The way forward after an operator's rollback, with what was changed there. */
static void blessing_keeps_the_generation_of_what_an_operator_left(void)
{
	static const char *const reasons[] = { "rolled-back", "rejected", "unit-failed" };

	for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *left = scratch_write(&fixture.scratch,
			"root" PROA_STATE_DIR "/etc/bbbbbbbbccccddddeeeeffffffffffff/upper/x", "x", -1);
		fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
		fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
		g_assert_true(proa_rejected_add(fixture.state_dir, HASH_2, "2.0.0", reasons[i], NULL, NULL));
		fixture_bless(&fixture);
		g_assert_cmpint(g_file_test(left, G_FILE_TEST_EXISTS), ==, i < 2);
	}
}

/* proa-etc could not note it on a full disk; the next release must not start from what the bad one left. */
static void blessing_notes_the_generation_in_use(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *own = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/11111111222233334444555555555555/upper/x", "x", -1);
	g_autofree char *last = scratch_write(&fixture.scratch, "root" PROA_STATE_DIR "/etc/last",
		"bbbbbbbbccccddddeeeeffffffffffff\n", -1);

	g_assert_nonnull(own);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_bless(&fixture);
	g_autofree char *text = proa_file_read(last, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "11111111222233334444555555555555\n");
}

static void cannot_bless_without_an_entry(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = fixture_open(&fixture);

	g_assert_false(proa_node_bless(node, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_BOOT_ENTRY);
}

/* Its images of system extensions come back with it. */
static void a_blessing_remembers_the_extensions(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *kept =
		g_strdup_printf("root/var/lib/proa/etc/%.32s/extensions/var/tool.raw", HASH_1);
	g_autofree char *path = scratch_file(&fixture.scratch, kept);
	g_autofree char *upper = g_strdup_printf("root/var/lib/proa/etc/%.32s/upper/x", HASH_1);

	fixture_entry(fixture.esp, "proa_1.0.0+2-1.efi", "1.0.0", HASH_1);
	g_free(scratch_write(&fixture.scratch, upper, "", 0));
	g_free(scratch_write(&fixture.scratch, "root/var/lib/extensions/tool.raw", "x", 1));
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_true(proa_node_bless(node, NULL));
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* A disk that dies after the rename: a good release must not be reset by its own trial's watch. */
static void patience_ends_with_the_blessing(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *state = g_build_filename(fixture.state_dir, "state.json", NULL);

	fixture_entry(fixture.esp, "proa_1.0.0+2-1.efi", "1.0.0", HASH_1);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_cmpint(g_mkdir_with_parents(fixture.state_dir, 0755), ==, 0);
	g_assert_true(g_unlink(state) == 0 || errno == ENOENT);
	g_assert_cmpint(mkfifo(state, 0600), ==, 0);
	pid_t child = fork();
	if (child == 0) {
		proa_patience_renew(2, TRUE);
		_exit(proa_node_bless(node, NULL) ? 0 : 2);
	}
	g_usleep(4 * G_USEC_PER_SEC);
	g_assert_cmpint(waitpid(child, NULL, WNOHANG), ==, 0);
	g_assert_cmpint(kill(child, SIGKILL), ==, 0);
	g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
	fixture_expect_entries(&fixture, "proa_1.0.0.efi");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/node/a-blessing-remembers-the-extensions", a_blessing_remembers_the_extensions);
	g_test_add_func("/node/patience-ends-with-the-blessing", patience_ends_with_the_blessing);
	g_test_add_func("/node/knows-both-slots", knows_both_slots);
	g_test_add_func("/node/other-needs-its-partitions", other_needs_its_partitions);
	g_test_add_func("/node/blesses-a-trial", blesses_a_trial);
	g_test_add_func("/node/blesses-quietly-what-is-blessed", blesses_quietly_what_is_blessed);
	g_test_add_func("/node/blessing-leaves-staged-alone", blessing_leaves_staged_alone);
	g_test_add_func("/node/blessing-prunes-generations", blessing_prunes_generations);
	g_test_add_func("/node/blessing-prunes-the-generation-of-what-failed",
		blessing_prunes_the_generation_of_what_failed);
	g_test_add_func("/node/blessing-keeps-the-generation-of-what-an-operator-left",
		blessing_keeps_the_generation_of_what_an_operator_left);
	g_test_add_func("/node/blessing-notes-the-generation-in-use", blessing_notes_the_generation_in_use);
	g_test_add_func("/node/cannot-bless-without-an-entry", cannot_bless_without_an_entry);
	return g_test_run();
}

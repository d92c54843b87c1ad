/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/operator.h"

#include "base/pin.h"
#include "tests/unit/boot/fixture.h"

typedef gboolean (*Decide)(
	ProaNode *node, const char *release, ProaStateRelease *ret_release, GError **error);

static void decide(const Fixture *fixture, Decide how, const char *word, const char *expected_hash)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	ProaStateRelease release = { 0 };
	g_autoptr(GError) error = NULL;

	gboolean ok = how(node, word, &release, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpstr(release.root_hash, ==, expected_hash);
	proa_state_set_release(&release, NULL, NULL, NULL);
}

static void expect_refused(const Fixture *fixture, Decide how, const char *word, ProaReason reason)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	ProaStateRelease release = { 0 };
	g_autoptr(GError) error = NULL;
	g_autofree char *before = fixture_entries(node->esp);

	g_assert_false(how(node, word, &release, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	fixture_expect_entries(fixture, before);
}

/* Runs 1.0.0, good; 2.0.0 is staged. */
static Fixture staged(void)
{
	Fixture fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	return fixture;
}

static void expect_rejected(const Fixture *fixture, const char *root_hash, const char *reason)
{
	g_autofree char *seen = fixture_rejected(fixture, root_hash);

	g_assert_cmpstr(seen, ==, reason);
}

static void what_is_staged_is_not_tried_any_more(void)
{
	g_auto(Fixture) fixture = staged();

	decide(&fixture, proa_operator_reject, NULL, HASH_2);
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	expect_rejected(&fixture, HASH_2, "rejected");
	g_assert_true(fixture_history_has(&fixture, "rejected", HASH_2, "rejected"));
	/* The next boot finds it as it was left. */
	fixture_reboot(&fixture, HASH_1);
	fixture_settle(&fixture);
	expect_rejected(&fixture, HASH_2, "rejected");
	g_assert_false(fixture_history_has(&fixture, "fell-back", NULL, NULL));
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);
}

static void rejecting_what_runs_makes_the_other_slot_next(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_state(&fixture, PROA_STATE_STAGED, HASH_2, HASH_1);
	fixture_reboot(&fixture, HASH_2);
	fixture_settle(&fixture);
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_TRIAL);
	decide(&fixture, proa_operator_reject, "2.0.0", HASH_2);
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	fixture_reboot(&fixture, HASH_1);
	fixture_settle(&fixture);
	expect_rejected(&fixture, HASH_2, "rejected");
	g_assert_false(fixture_history_has(&fixture, "failed", HASH_2, NULL));
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);
}

static void the_only_release_is_not_rejected(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	expect_refused(&fixture, proa_operator_reject, "1.0.0", PROA_REASON_NOTHING_TO_ROLL_BACK);
	expect_rejected(&fixture, HASH_1, NULL);
}

static void a_root_hash_names_what_is_not_here(void)
{
	g_auto(Fixture) fixture = staged();

	decide(&fixture, proa_operator_reject, HASH_3, HASH_3);
	expect_rejected(&fixture, HASH_3, "rejected");
	expect_refused(&fixture, proa_operator_reject, "9.9.9", PROA_REASON_NO_SUCH_RELEASE);
	fixture_expect_entries(&fixture, "proa_2.0.0+3.efi proa_1.0.0.efi");
}

/* A disk damaged a good release: once the disk is mended, it may come again, and no boot takes that back. */
static void a_rejection_is_taken_back_for_good(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-3.efi", "2.0.0", HASH_2);
	fixture_settle(&fixture);
	expect_rejected(&fixture, HASH_2, "boot-failed");
	g_autofree char *generation = scratch_write(&fixture.scratch,
		"root" PROA_STATE_DIR "/etc/bbbbbbbbccccddddeeeeffffffffffff/upper/x", "x", -1);
	decide(&fixture, proa_operator_unreject, "2.0.0", HASH_2);
	expect_rejected(&fixture, HASH_2, NULL);
	/* The next try starts from what the good release's /etc is then. */
	g_assert_false(g_file_test(generation, G_FILE_TEST_EXISTS));
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-3.efi");
	fixture_reboot(&fixture, HASH_1);
	fixture_settle(&fixture);
	expect_rejected(&fixture, HASH_2, NULL);
	expect_refused(&fixture, proa_operator_unreject, "2.0.0", PROA_REASON_NO_SUCH_RELEASE);
	expect_refused(&fixture, proa_operator_unreject, NULL, PROA_REASON_NO_SUCH_RELEASE);
}

static void the_newest_rejection_is_meant_if_none_is_named(void)
{
	g_auto(Fixture) fixture = staged();

	decide(&fixture, proa_operator_reject, HASH_3, HASH_3);
	decide(&fixture, proa_operator_reject, HASH_2, HASH_2);
	decide(&fixture, proa_operator_unreject, NULL, HASH_2);
	decide(&fixture, proa_operator_unreject, HASH_3, HASH_3);
}

static gboolean unpin(ProaNode *node, const char *release, ProaStateRelease *ret, GError **error)
{
	return proa_operator_unpin(node, ret, error);
}

static gboolean pin(ProaNode *node, const char *release, ProaStateRelease *ret, GError **error)
{
	g_autofree char *left = NULL;

	return proa_operator_pin(node, release, ret, &left, error);
}

/* "Holds the node to what it runs": the next reboot, whenever that is, must not go into what is staged. */
static void a_pin_takes_what_is_staged_out_of_its_turn(void)
{
	g_auto(Fixture) fixture = staged();
	ProaStateRelease release = { 0 };
	g_autofree char *left = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = fixture_open(&fixture);

	g_assert_true(proa_operator_pin(node, NULL, &release, &left, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(release.version, ==, "1.0.0");
	g_assert_cmpstr(left, ==, "2.0.0");
	proa_state_set_release(&release, NULL, NULL, NULL);
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	expect_rejected(&fixture, HASH_2, "rolled-back");
	g_assert_cmpint(fixture_kind(&fixture), ==, PROA_STATE_GOOD);

	/* Another version than the running one does nothing to the entries, and neither does a second time.
	 */
	g_auto(Fixture) other = staged();
	decide(&other, pin, "2.0.0", NULL);
	fixture_expect_entries(&other, "proa_2.0.0+3.efi proa_1.0.0.efi");
	decide(&fixture, pin, "1.0.0", NULL);
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
}

/* What an operator left by a rollback is another matter. */
static void what_lost_its_turn_gets_it_back_with_the_pin(void)
{
	g_auto(Fixture) fixture = staged();
	g_autoptr(GError) error = NULL;

	decide(&fixture, pin, "1.0.0", NULL);
	expect_rejected(&fixture, HASH_2, "rolled-back");
	g_assert_true(proa_rejected_add(
		fixture.state_dir, HASH_3, "3.0.0", "rolled-back", "an operator went back to 1.0.0", &error));
	g_assert_no_error(error);
	decide(&fixture, unpin, NULL, NULL);
	expect_rejected(&fixture, HASH_2, NULL);
	expect_rejected(&fixture, HASH_3, "rolled-back");
	fixture_expect_entries(&fixture, "proa_1.0.0.efi proa_2.0.0+0-1.efi");
	g_assert_true(proa_rejected_lifted(fixture.state_dir, HASH_2));
}

static void a_pin_waits_for_a_transaction(void)
{
	g_auto(Fixture) fixture = staged();
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	PROA_AUTO_FD int lock = proa_node_lock_install(node, NULL);

	expect_refused(&fixture, pin, NULL, PROA_REASON_BUSY);
	g_assert_null(proa_pin_load(fixture.state_dir));
}

static void a_pin_is_kept_and_taken_back(void)
{
	g_auto(Fixture) fixture = staged();

	expect_refused(&fixture, unpin, NULL, PROA_REASON_NO_UPDATE);
	decide(&fixture, pin, NULL, NULL);
	g_autofree char *running = proa_pin_load(fixture.state_dir);
	g_assert_cmpstr(running, ==, "1.0.0");
	decide(&fixture, pin, "7.0.0", NULL);
	g_autofree char *named = proa_pin_load(fixture.state_dir);
	g_assert_cmpstr(named, ==, "7.0.0");
	expect_refused(&fixture, pin, "../7", PROA_REASON_USAGE);
	decide(&fixture, unpin, NULL, NULL);
	g_assert_null(proa_pin_load(fixture.state_dir));
	g_assert_true(fixture_history_has(&fixture, "unpinned", NULL, NULL));
}

static void a_transaction_is_waited_for(void)
{
	g_auto(Fixture) fixture = staged();
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	PROA_AUTO_FD int lock = proa_node_lock_install(node, NULL);

	g_assert_cmpint(lock, >=, 0);
	expect_refused(&fixture, proa_operator_reject, NULL, PROA_REASON_BUSY);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func(
		"/operator/what-is-staged-is-not-tried-any-more", what_is_staged_is_not_tried_any_more);
	g_test_add_func("/operator/rejecting-what-runs-makes-the-other-slot-next",
		rejecting_what_runs_makes_the_other_slot_next);
	g_test_add_func("/operator/the-only-release-is-not-rejected", the_only_release_is_not_rejected);
	g_test_add_func("/operator/a-root-hash-names-what-is-not-here", a_root_hash_names_what_is_not_here);
	g_test_add_func("/operator/a-rejection-is-taken-back-for-good", a_rejection_is_taken_back_for_good);
	g_test_add_func("/operator/the-newest-rejection-is-meant-if-none-is-named",
		the_newest_rejection_is_meant_if_none_is_named);
	g_test_add_func("/operator/a-pin-takes-what-is-staged-out-of-its-turn",
		a_pin_takes_what_is_staged_out_of_its_turn);
	g_test_add_func("/operator/what-lost-its-turn-gets-it-back-with-the-pin",
		what_lost_its_turn_gets_it_back_with_the_pin);
	g_test_add_func("/operator/a-pin-waits-for-a-transaction", a_pin_waits_for_a_transaction);
	g_test_add_func("/operator/a-pin-is-kept-and-taken-back", a_pin_is_kept_and_taken_back);
	g_test_add_func("/operator/a-transaction-is-waited-for", a_transaction_is_waited_for);
	return g_test_run();
}

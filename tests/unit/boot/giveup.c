/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/giveup.h"

#include "boot/evidence.h"
#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <unistd.h>

static gboolean give_up(const ProaEsp *esp, const char *root_hash)
{
	ProaGiveUp what = { .root_hash = root_hash,
		.reason = PROA_REASON_ROOT_CORRUPT,
		.detail = "data block 7",
		.where = "guard" };
	gboolean switched = FALSE;
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_give_up(esp, &what, &switched, &error));
	g_assert_no_error(error);
	return switched;
}

static void expect(const ProaEsp *esp, const char *entries, const char *evidence_of)
{
	g_autofree char *names = fixture_entries(esp);
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaEvidence) evidence = proa_evidence_read(esp, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(names, ==, entries);
	g_assert_cmpstr(evidence->root_hash, ==, evidence_of);
	g_assert_cmpstr(evidence->reason, ==, "root-corrupt");
	g_assert_cmpstr(evidence->detail, ==, "data block 7");
	g_assert_cmpstr(evidence->where, ==, "guard");
	g_assert_cmpint(evidence->time, >, 0);
}

static void switches_to_the_other_slot(void)
{
	g_auto(Scratch) scratch = scratch_new();

	fixture_entry(scratch.path, "proa_1.0.1.efi", "1.0.1", HASH_2);
	fixture_entry(scratch.path, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_assert_true(give_up(esp, HASH_2));
	expect(esp, "proa_1.0.0.efi proa_1.0.1+0-1.efi", HASH_2);
}

static void sets_duplicates_aside_too(void)
{
	g_auto(Scratch) scratch = scratch_new();

	fixture_entry(scratch.path, "proa_1.0.1.efi", "1.0.1", HASH_2);
	fixture_entry(scratch.path, "proa_1.0.2+2-1.efi", "1.0.2", HASH_2);
	fixture_entry(scratch.path, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_assert_true(give_up(esp, HASH_2));
	expect(esp, "proa_1.0.0.efi proa_1.0.2+0-1.efi proa_1.0.1+0-1.efi", HASH_2);
}

/* A root that fails is better than none. */
static void keeps_the_only_one(void)
{
	g_auto(Scratch) scratch = scratch_new();

	fixture_entry(scratch.path, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(scratch.path, "proa_1.0.1+0-3.efi", "1.0.1", HASH_2);
	g_autofree char *broken = scratch_write(&scratch, PROA_ESP_ENTRY_DIR "/proa_3.0.0.efi", "no UKI", -1);
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_assert_false(give_up(esp, HASH_1));
	g_unlink(broken);
	expect(esp, "proa_1.0.0.efi proa_1.0.1+0-3.efi", HASH_1);
}

static void names_a_missing_root(void)
{
	g_autofree char *detail = NULL;

	/* No disk of this machine has partitions of this root hash. */
	g_assert_cmpint(proa_give_up_diagnose(HASH_3, &detail), ==, PROA_REASON_ROOT_MISSING);
	g_assert_nonnull(strstr(detail, "cafecafe-0000-0000-0000-000000000000"));
}

static void sees_no_corruption_where_there_is_no_device(void)
{
	PROA_AUTO_FD int dev_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	g_assert_false(proa_verity_corrupt(dev_fd, "no-such-device"));
}

/* Who counts a release's boots: systemd-boot those of a trial, unless the firmware cannot rename on the ESP.
 */
static void who_counts_what(void)
{
	static const struct {
		const char *name;
		gboolean counts;
	} cases[] = { { "proa_1.0.0.efi", TRUE }, { "proa_1.0.0+2-1.efi", FALSE },
		{ "proa_1.0.0+0-3.efi", FALSE }, { "proa_1.0.0+3.efi", TRUE },
		{ "proa_1.0.0+1-2.efi", FALSE } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Scratch) scratch = scratch_new();
		fixture_entry(scratch.path, cases[i].name, "1.0.0", HASH_1);
		g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
		g_autoptr(GPtrArray) entries = proa_entry_list(esp, NULL);
		g_assert_cmpint(proa_give_up_counts(proa_entry_find(entries, HASH_1)), ==, cases[i].counts);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/giveup/switches-to-the-other-slot", switches_to_the_other_slot);
	g_test_add_func("/giveup/sets-duplicates-aside-too", sets_duplicates_aside_too);
	g_test_add_func("/giveup/keeps-the-only-one", keeps_the_only_one);
	g_test_add_func("/giveup/who-counts-what", who_counts_what);
	g_test_add_func("/giveup/names-a-missing-root", names_a_missing_root);
	g_test_add_func("/giveup/sees-no-corruption-where-there-is-no-device",
		sees_no_corruption_where_there_is_no_device);
	return g_test_run();
}

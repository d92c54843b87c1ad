/* SPDX-License-Identifier: Apache-2.0 */
/* A real hash tree, whose root hash names the partitions of the other slot. */
#include "boot/proof.h"

#include "base/digest.h"
#include "base/json.h"
#include "boot/disk.h"
#include "tests/unit/boot/fixture.h"
#include "verity/build.h"

#define BLOCKS 300

typedef struct {
	Fixture node;
	char *root_hash, *data, *hash;
} Slot;

static void slot_clear(Slot *slot)
{
	fixture_clear(&slot->node);
	g_free(slot->root_hash);
	g_free(slot->data);
	g_free(slot->hash);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Slot, slot_clear)

/* Gives root-b the UUIDs of the release that is in it. */
static void name_partitions(const Slot *slot)
{
	char root[37], verity[37];
	g_autoptr(GError) error = NULL;

	proa_partition_uuid_of_root(slot->root_hash, root);
	proa_partition_uuid_of_verity(slot->root_hash, verity);
	const char *const uuids[] = { root, verity };
	for (int i = 0; i < 2; i++) {
		g_autofree char *number = g_strdup_printf("%d", 4 + i);
		g_autoptr(GSubprocess) sfdisk = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error,
			"sfdisk", "--quiet", "--part-uuid", slot->node.disk, number, uuids[i], NULL);
		g_assert_no_error(error);
		g_assert_true(g_subprocess_wait_check(sfdisk, NULL, &error));
	}
}

/* 1.0.0 runs from root-a, blessed; 2.0.0 lies in root-b with an entry called @entry. */
static Slot slot_new(const char *entry)
{
	Slot slot = { .node = fixture_new() };
	ProaVerityParams params = { .data_size = BLOCKS * 4096,
		.uuid = "3a2f4b5c-1111-4222-8333-444455556666" };
	g_autofree char *bytes = g_strnfill(BLOCKS * 4096, 'x');
	g_autoptr(GError) error = NULL;

	slot.data =
		scratch_write(&slot.node.scratch, "root/dev/disk/by-partlabel/root-b", bytes, BLOCKS * 4096);
	slot.hash = scratch_write(&slot.node.scratch, "root/dev/disk/by-partlabel/root-b-verity", "", 0);
	g_assert_true(proa_verity_build(slot.data, slot.hash, &params, &slot.root_hash, &error));
	name_partitions(&slot);
	fixture_entry(slot.node.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(slot.node.esp, entry, "2.0.0", slot.root_hash);
	fixture_state(&slot.node, PROA_STATE_GOOD, NULL, HASH_1);
	return slot;
}

static void damage(const Slot *slot)
{
	g_autofree char *bytes = NULL;
	gsize size;

	g_assert_true(g_file_get_contents(slot->data, &bytes, &size, NULL));
	bytes[200 * 4096 + 7] ^= 4;
	g_assert_true(g_file_set_contents(slot->data, bytes, (gssize)size, NULL));
}

static void expect_check(const Slot *slot, const char *version, int reason)
{
	g_autoptr(ProaNode) node = fixture_open(&slot->node);
	const ProaStateRelease *next = NULL;
	g_autoptr(GError) error = NULL;

	g_autofree char *note = NULL;

	gboolean ok = proa_proof_rollback(node, version, NULL, NULL, &next, &note, &error);
	if (reason >= 0)
		g_assert_error(error, PROA_ERROR, reason);
	else
		g_assert_no_error(error);
	g_assert_cmpint(ok, ==, reason < 0);
	if (ok)
		g_assert_cmpstr(next->root_hash, ==, slot->root_hash);
	/* It is a question: nothing was renamed. */
	g_autofree char *after = fixture_entries(node->esp);
	g_assert_null(strstr(after, "proa_1.0.0+"));
}

static void a_sound_slot_would_work(void)
{
	g_auto(Slot) slot = slot_new("proa_2.0.0+0-3.efi");

	expect_check(&slot, NULL, -1);
	expect_check(&slot, "2.0.0", -1);
	expect_check(&slot, "3.0.0", PROA_REASON_NO_BOOT_ENTRY);
	g_autoptr(JsonObject) kept = proa_proof_load(slot.node.state_dir, slot.root_hash);
	g_assert_true(proa_json_bool_or(kept, "sound", FALSE));
	g_assert_cmpint(proa_json_int_or(kept, "blocks", 0), ==, BLOCKS);
	/* Of another release nothing is known. */
	g_assert_null(proa_proof_load(slot.node.state_dir, HASH_3));
}

static void a_damaged_one_would_not(void)
{
	g_auto(Slot) slot = slot_new("proa_2.0.0+0-3.efi");

	damage(&slot);
	expect_check(&slot, NULL, PROA_REASON_ROOT_CORRUPT);
	g_autoptr(JsonObject) kept = proa_proof_load(slot.node.state_dir, slot.root_hash);
	g_assert_false(proa_json_bool_or(kept, "sound", TRUE));
	g_assert_cmpint(proa_json_int_or(kept, "bad", 0), ==, 1);
	g_assert_cmpint(proa_json_int_or(kept, "first_bad", 0), ==, 200);
	g_assert_true(fixture_history_has(&slot.node, "scrubbed", slot.root_hash, "root-corrupt"));
}

/* A root that is sound is of no use if its kernel is cut off, or if what it would run with cannot be read. */
static void its_boot_image_must_be_whole(void)
{
	g_auto(Slot) slot = slot_new("proa_2.0.0+0-3.efi");
	g_autofree char *path =
		g_build_filename(slot.node.esp, PROA_ESP_ENTRY_DIR, "proa_2.0.0+0-3.efi", NULL);

	/* .cmdline and .osrel are still there. */
	g_assert_cmpint(truncate(path, 2200), ==, 0);
	expect_check(&slot, NULL, PROA_REASON_BAD_UKI);
	g_assert_null(proa_proof_load(slot.node.state_dir, slot.root_hash));
}

static char *note_of(const Slot *slot)
{
	g_autoptr(ProaNode) node = fixture_open(&slot->node);
	const ProaStateRelease *next = NULL;
	g_autoptr(GError) error = NULL;
	char *note = NULL;

	g_assert_true(proa_proof_rollback(node, NULL, NULL, NULL, &next, &note, &error));
	g_assert_no_error(error);
	return note;
}

static void its_generation_of_etc_is_looked_at(void)
{
	g_auto(Slot) slot = slot_new("proa_2.0.0+0-3.efi");
	g_autofree char *note = note_of(&slot);
	g_autofree char *name = g_strndup(slot.root_hash, 32);
	g_autofree char *upper = g_build_filename(slot.node.state_dir, "etc", name, "upper", NULL);
	g_autofree char *generation = g_path_get_dirname(upper);

	/* None yet is worth a word, and no more. */
	g_assert_nonnull(strstr(note, "2.0.0"));
	g_assert_cmpint(g_mkdir_with_parents(generation, 0755), ==, 0);
	g_assert_true(g_file_set_contents(upper, "no folder", -1, NULL));
	expect_check(&slot, NULL, PROA_REASON_IO);
	g_assert_cmpint(g_unlink(upper), ==, 0);
	g_assert_cmpint(g_mkdir(upper, 0755), ==, 0);
	g_assert_null(note_of(&slot));
}

static void an_empty_slot_has_nothing_to_scrub(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	ProaScrub scrub;

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_false(proa_proof_other(node, 0, NULL, NULL, &scrub, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOTHING_TO_ROLL_BACK);
}

static gboolean remove_entry(guint64 done, guint64 total, gpointer data)
{
	g_autofree char *path = g_build_filename(data, PROA_ESP_ENTRY_DIR, "proa_2.0.0.efi", NULL);

	g_unlink(path);
	return TRUE;
}

/* What a transaction writes meanwhile looks like damage, and is none. */
static void a_slot_written_to_meanwhile_is_not_judged(void)
{
	g_auto(Slot) slot = slot_new("proa_2.0.0.efi");
	g_autoptr(GError) error = NULL;
	ProaScrub scrub;

	damage(&slot);
	g_autoptr(ProaNode) node = fixture_open(&slot.node);
	g_assert_false(proa_proof_other(node, 0, remove_entry, slot.node.esp, &scrub, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_CANCELLED);
	g_assert_null(proa_proof_load(slot.node.state_dir, slot.root_hash));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/proof/a-sound-slot-would-work", a_sound_slot_would_work);
	g_test_add_func("/proof/a-damaged-one-would-not", a_damaged_one_would_not);
	g_test_add_func("/proof/its-boot-image-must-be-whole", its_boot_image_must_be_whole);
	g_test_add_func("/proof/its-generation-of-etc-is-looked-at", its_generation_of_etc_is_looked_at);
	g_test_add_func("/proof/an-empty-slot-has-nothing-to-scrub", an_empty_slot_has_nothing_to_scrub);
	g_test_add_func("/proof/a-slot-written-to-meanwhile-is-not-judged",
		a_slot_written_to_meanwhile_is_not_judged);
	return g_test_run();
}

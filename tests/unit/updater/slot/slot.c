/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot.h"

#include "tests/unit/updater/slot/image.h"

#define HASH_B "bbbbbbbb000040008000000000000001bbbbbbbb000040008000000000000002"
#define HASH_C "cccccccc000040008000000000000001dddddddd000040008000000000000002"

typedef struct {
	Scratch scratch;
	char *path;
	ProaDisk *disk;
} Fixture;

static void set_up(Fixture *f, gconstpointer table)
{
	f->scratch = scratch_new();
	f->path = image_new(&f->scratch, table);
	f->disk = proa_disk_open(f->path, "/parts", NULL);
	g_assert_nonnull(f->disk);
}

static void tear_down(Fixture *f, gconstpointer table)
{
	proa_disk_free(f->disk);
	g_free(f->path);
	scratch_clear(&f->scratch);
}

static void uuids_are_halves(void)
{
	char data[PROA_UUID_SIZE], hash[PROA_UUID_SIZE];

	proa_slot_uuids(HASH_A, data, hash);
	g_assert_cmpstr(data, ==, UUID_A);
	g_assert_cmpstr(hash, ==, UUID_A_VERITY);
}

static void finds_booted_by_uuid(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_true(proa_slots_find(f->disk, HASH_A, NULL, &slots, &error));
	g_assert_cmpstr(slots.booted.name, ==, "root-a");
	g_assert_cmpstr(slots.other.name, ==, "root-b");
	g_assert_cmpstr(slots.other.hash->path, ==, "/parts/root-b-verity");
	g_assert_true(proa_slots_find(f->disk, HASH_B, NULL, &slots, &error));
	g_assert_cmpstr(slots.booted.name, ==, "root-b");
	g_assert_cmpstr(slots.other.name, ==, "root-a");
}

static void finds_booted_by_device(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_true(proa_slots_find(f->disk, HASH_C, "/parts/root-b-verity", &slots, &error));
	g_assert_cmpstr(slots.booted.name, ==, "root-b");
}

static void refuses_unknown_root(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_false(proa_slots_find(f->disk, HASH_C, NULL, &slots, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_SLOT);
}

static void refuses_contradiction(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_false(proa_slots_find(f->disk, HASH_A, "/parts/root-b", &slots, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

static void refuses_missing_hash_partition(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_false(proa_slots_find(f->disk, HASH_A, NULL, &slots, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_SLOT);
}

static void refuses_twins(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_true(proa_slots_find(f->disk, HASH_A, NULL, &slots, &error));
	g_assert_true(proa_slot_set_root_hash(f->disk, &slots.other, HASH_A, &error));
	g_autoptr(ProaDisk) again = proa_disk_open(f->path, "/parts", NULL);
	g_assert_false(proa_slots_find(again, HASH_A, NULL, &slots, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

static void takes_root_hash(Fixture *f, gconstpointer table)
{
	g_autoptr(GError) error = NULL;
	ProaSlots slots;

	g_assert_true(proa_slots_find(f->disk, HASH_A, NULL, &slots, &error));
	g_assert_true(proa_slot_set_root_hash(f->disk, &slots.other, HASH_C, &error));
	g_assert_no_error(error);
	g_autoptr(ProaDisk) again = proa_disk_open(f->path, "/parts", NULL);
	g_assert_true(proa_slots_find(again, HASH_C, NULL, &slots, &error));
	g_assert_cmpstr(slots.booted.name, ==, "root-b");
	g_assert_cmpstr(slots.other.data->uuid, ==, UUID_A);
}

static const char without_hash[] = "label: gpt\n"
				   "size=1MiB, name=\"root-a\", uuid=" UUID_A "\n"
				   "size=1MiB, name=\"root-a-verity\"\n"
				   "size=1MiB, name=\"root-b\"\n";

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/slot/slot/uuids-are-halves", uuids_are_halves);
#define ADD(name, table, function) g_test_add("/slot/slot/" name, Fixture, table, set_up, function, tear_down)
	ADD("finds-booted-by-uuid", node_table, finds_booted_by_uuid);
	ADD("finds-booted-by-device", node_table, finds_booted_by_device);
	ADD("refuses-unknown-root", node_table, refuses_unknown_root);
	ADD("refuses-contradiction", node_table, refuses_contradiction);
	ADD("refuses-missing-hash-partition", without_hash, refuses_missing_hash_partition);
	ADD("refuses-twins", node_table, refuses_twins);
	ADD("takes-root-hash", node_table, takes_root_hash);
	return g_test_run();
}

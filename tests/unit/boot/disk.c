/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/disk.h"

#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <unistd.h>

static void reads_what_sfdisk_writes(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = proa_disk_of_node(fixture.disk, NULL, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(list->len, ==, 5);
	const ProaPartition *esp = proa_partition_by_label(list, "esp");
	g_assert_cmpuint(esp->number, ==, 1);
	g_assert_cmpstr(esp->type, ==, PROA_GPT_TYPE_ESP);
	const ProaPartition *root_b = proa_partition_by_uuid(list, "bbbbbbbb-cccc-dddd-eeee-ffffffffffff");
	g_assert_cmpstr(root_b->label, ==, "root-b");
	g_assert_null(proa_partition_by_label(list, "root-c"));
}

static void finds_the_slot_of_a_root(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GPtrArray) list = proa_disk_of_node(fixture.disk, NULL, NULL);
	/* The root of one slot, the hash tree of the other. */
	static const char mixed[] = "1111111122223333444455555555555500000000111122223333444444444444";

	g_assert_cmpstr(proa_disk_slot_of(list, HASH_1), ==, "root-a");
	g_assert_cmpstr(proa_disk_slot_of(list, HASH_2), ==, "root-b");
	g_assert_null(proa_disk_slot_of(list, HASH_3));
	g_assert_null(proa_disk_slot_of(list, mixed));
	g_assert_null(proa_disk_slot_of(list, "nonsense"));
}

static void refuses_damage_anywhere(void)
{
	g_auto(Fixture) fixture = fixture_new();
	PROA_AUTO_FD int fd = open(fixture.disk, O_RDWR | O_CLOEXEC);

	/* Every byte of the header, and some of the entries. */
	for (goffset at = 512; at < 512 + 92; at++) {
		g_autoptr(GError) error = NULL;
		guint8 byte;
		g_assert_true(proa_pread_all(fd, &byte, 1, at, NULL));
		byte ^= 0x20;
		g_assert_true(proa_pwrite_all(fd, &byte, 1, at, NULL));
		g_assert_null(proa_gpt_read(fd, 512, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
		byte ^= 0x20;
		g_assert_true(proa_pwrite_all(fd, &byte, 1, at, NULL));
	}
	g_autoptr(GPtrArray) whole = proa_gpt_read(fd, 512, NULL);
	g_assert_nonnull(whole);
	g_assert_true(proa_pwrite_all(fd, "x", 1, 1024 + 56, NULL));
	g_assert_null(proa_gpt_read(fd, 512, NULL));
}

static void refuses_short_and_empty_disks(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "short", "EFI PART", -1);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_disk_of_node(path, NULL, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	g_assert_null(proa_disk_of_node("/nonexistent", NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

/* This machine's own disks: whatever they are, nothing crashes, and every partition named exists. */
static void looks_at_real_disks(void)
{
	g_autoptr(GPtrArray) list = proa_disk_partitions();

	for (guint i = 0; i < list->len; i++) {
		const ProaPartition *partition = g_ptr_array_index(list, i);
		g_autofree char *path = g_build_filename("/sys/class/block", partition->device, NULL);
		g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	}
}

static void makes_uuids_of_root_hashes(void)
{
	char uuid[37];

	proa_partition_uuid_of_root(HASH_1, uuid);
	g_assert_cmpstr(uuid, ==, "11111111-2222-3333-4444-555555555555");
	proa_partition_uuid_of_verity(HASH_1, uuid);
	g_assert_cmpstr(uuid, ==, "66666666-7777-8888-9999-aaaaaaaaaaaa");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/disk/reads-what-sfdisk-writes", reads_what_sfdisk_writes);
	g_test_add_func("/disk/finds-the-slot-of-a-root", finds_the_slot_of_a_root);
	g_test_add_func("/disk/refuses-damage-anywhere", refuses_damage_anywhere);
	g_test_add_func("/disk/refuses-short-and-empty-disks", refuses_short_and_empty_disks);
	g_test_add_func("/disk/looks-at-real-disks", looks_at_real_disks);
	g_test_add_func("/disk/makes-uuids-of-root-hashes", makes_uuids_of_root_hashes);
	return g_test_run();
}

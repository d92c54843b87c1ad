/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/disk.h"

#include "tests/unit/updater/slot/image.h"
#include "updater/slot/gpt.h"

#include <fcntl.h>
#include <unistd.h>

#define NEW_UUID "01234567-89ab-4cde-8f01-23456789abcd"
#define NEW_UUID_2 "11234567-89ab-4cde-8f01-23456789abcd"
#define DISK_SIZE (12u << 20)

static void lists_partitions(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_autoptr(ProaDisk) disk = proa_disk_open(path, "/parts", &error);

	g_assert_no_error(error);
	const ProaDiskPartition *partition = proa_disk_find(disk, "root-b", &error);
	g_assert_no_error(error);
	g_assert_cmpstr(partition->uuid, ==, UUID_B);
	g_assert_cmpuint(partition->number, ==, 3);
	g_assert_cmpuint(partition->size, ==, 2 << 20);
	g_assert_cmpstr(partition->path, ==, "/parts/root-b");
}

static void names_device_nodes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_autoptr(ProaDisk) disk = proa_disk_open(path, NULL, NULL);
	g_autofree char *expected = g_strconcat(path, "4", NULL);

	g_assert_cmpstr(proa_disk_find(disk, "root-b", NULL)->path, ==, expected);
}

static void names_missing_label(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_autoptr(ProaDisk) disk = proa_disk_open(path, NULL, NULL);

	g_assert_null(proa_disk_find(disk, "root-c", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_SLOT);
}

static void refuses_ambiguous_label(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path =
		image_new(&scratch, "label: gpt\nsize=1MiB, name=\"root-b\"\nsize=1MiB, name=\"root-b\"\n");
	g_autoptr(ProaDisk) disk = proa_disk_open(path, NULL, NULL);

	g_assert_null(proa_disk_find(disk, "root-b", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

static void refuses_no_gpt(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, "label: dos\nsize=1MiB\n");

	g_assert_null(proa_disk_open(path, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

static void refuses_empty_disk(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "disk", "", 0);

	g_assert_null(proa_disk_open(path, NULL, &error));
	g_assert_nonnull(error);
}

static void set_uuid(const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaDisk) disk = proa_disk_open(path, "/parts", &error);

	g_assert_no_error(error);
	const ProaUuidChange changes[] = { { proa_disk_find(disk, "root-b", NULL), NEW_UUID },
		{ proa_disk_find(disk, "root-b-verity", NULL), NEW_UUID_2 } };
	g_assert_true(proa_disk_set_uuids(disk, changes, 2, &error));
	g_assert_no_error(error);
}

static char *replace_in(const char *text, const char *from, const char *to)
{
	g_autofree char *upper_from = g_ascii_strup(from, -1), *upper_to = g_ascii_strup(to, -1);
	g_autoptr(GString) string = g_string_new(text);

	g_assert_cmpuint(g_string_replace(string, upper_from, upper_to, 0), ==, 1);
	return g_string_free(g_steal_pointer(&string), FALSE);
}

/* sfdisk is the judge: the two UUIDs and nothing else. */
static void sets_uuids_and_nothing_else(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_autofree char *before = image_dump(path);
	g_autofree char *half = replace_in(before, UUID_B, NEW_UUID);
	g_autofree char *expected = replace_in(half, UUID_B_VERITY, NEW_UUID_2);

	set_uuid(path);
	g_autofree char *after = image_dump(path);
	g_assert_cmpstr(after, ==, expected);
}

static void read_gpt(const char *path, ProaGptCopies *gpt)
{
	g_autoptr(GError) error = NULL;
	int fd = open(path, O_RDONLY);

	g_assert_true(proa_gpt_copies_read(fd, 512, DISK_SIZE, gpt, &error));
	close(fd);
}

static void both_copies_hold(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_auto(ProaGptCopies) before = { 0 }, after = { 0 };

	read_gpt(path, &before);
	g_assert_true(proa_gpt_copies_primary_valid(&before));
	g_assert_true(proa_gpt_copies_backup_valid(&before));
	set_uuid(path);
	read_gpt(path, &after);
	g_assert_true(proa_gpt_copies_primary_valid(&after));
	g_assert_true(proa_gpt_copies_backup_valid(&after));
	/* The protective MBR is not touched, and both copies hold the same entries. */
	g_assert_cmpmem(before.primary, 512, after.primary, 512);
	g_assert_cmpmem(after.primary + 1024, PROA_GPT_ENTRIES_SIZE, after.backup, PROA_GPT_ENTRIES_SIZE);
}

static void mends_broken_primary(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_auto(ProaGptCopies) gpt = { 0 };

	image_flip(path, 512 + 20);
	set_uuid(path);
	read_gpt(path, &gpt);
	g_assert_true(proa_gpt_copies_primary_valid(&gpt));
	g_assert_true(proa_gpt_copies_backup_valid(&gpt));
}

static void mends_broken_backup(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_auto(ProaGptCopies) gpt = { 0 };

	image_flip(path, DISK_SIZE - 512 + 20);
	set_uuid(path);
	read_gpt(path, &gpt);
	g_assert_true(proa_gpt_copies_primary_valid(&gpt));
	g_assert_true(proa_gpt_copies_backup_valid(&gpt));
}

static void refuses_both_broken(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);

	image_flip(path, 512 + 20);
	image_flip(path, DISK_SIZE - 512 + 20);
	g_assert_null(proa_disk_open(path, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_DISK_LAYOUT);
}

static void finds_flipped_entries(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_auto(ProaGptCopies) gpt = { 0 };

	image_flip(path, 1024 + 100);
	read_gpt(path, &gpt);
	g_assert_false(proa_gpt_copies_primary_valid(&gpt));
	g_assert_true(proa_gpt_copies_backup_valid(&gpt));
}

/* A cut after any one of the writes of a table, down to sectors: one copy always holds. */
static void a_cut_leaves_one_copy(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = image_new(&scratch, node_table);
	g_autofree char *old = NULL, *new = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(path, &old, &size, NULL));
	set_uuid(path);
	g_assert_true(g_file_get_contents(path, &new, &size, NULL));
	g_autofree char *torn = g_memdup2(old, size);
	const gsize areas[2][2] = { { size - 33 * 512, size }, { 512, 34 * 512 } };
	for (int area = 0; area < 2; area++)
		for (gsize at = areas[area][0]; at < areas[area][1]; at += 512) {
			g_autoptr(GError) error = NULL;
			memcpy(torn + at, new + at, 512);
			g_assert_true(g_file_set_contents(path, torn, (gssize)size, NULL));
			g_autoptr(ProaDisk) disk = proa_disk_open(path, NULL, &error);
			g_assert_no_error(error);
			const char *uuid = proa_disk_find(disk, "root-b", NULL)->uuid;
			g_assert_true(strcmp(uuid, UUID_B) == 0 || strcmp(uuid, NEW_UUID) == 0);
		}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/slot/disk/lists-partitions", lists_partitions);
	g_test_add_func("/slot/disk/names-device-nodes", names_device_nodes);
	g_test_add_func("/slot/disk/names-missing-label", names_missing_label);
	g_test_add_func("/slot/disk/refuses-ambiguous-label", refuses_ambiguous_label);
	g_test_add_func("/slot/disk/refuses-no-gpt", refuses_no_gpt);
	g_test_add_func("/slot/disk/refuses-empty-disk", refuses_empty_disk);
	g_test_add_func("/slot/disk/sets-uuids-and-nothing-else", sets_uuids_and_nothing_else);
	g_test_add_func("/slot/disk/both-copies-hold", both_copies_hold);
	g_test_add_func("/slot/disk/mends-broken-primary", mends_broken_primary);
	g_test_add_func("/slot/disk/mends-broken-backup", mends_broken_backup);
	g_test_add_func("/slot/disk/refuses-both-broken", refuses_both_broken);
	g_test_add_func("/slot/disk/finds-flipped-entries", finds_flipped_entries);
	g_test_add_func("/slot/disk/a-cut-leaves-one-copy", a_cut_leaves_one_copy);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/disk.h"

#include "base/file.h"
#include "updater/slot/gpt.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdisk.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct ProaDisk {
	char *path;
	char *parts_dir;
	guint32 sector_size;
	guint64 size;
	GPtrArray *partitions;
};

typedef struct fdisk_context Fdisk;
typedef struct fdisk_table FdiskTable;
typedef struct fdisk_partition FdiskPartition;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fdisk, fdisk_unref_context)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FdiskTable, fdisk_unref_table)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FdiskPartition, fdisk_unref_partition)

static void partition_free(gpointer data)
{
	ProaDiskPartition *partition = data;

	g_free(partition->label);
	g_free(partition->uuid);
	g_free(partition->path);
	g_free(partition);
}

void proa_disk_free(ProaDisk *disk)
{
	if (!disk)
		return;
	g_free(disk->path);
	g_free(disk->parts_dir);
	g_ptr_array_unref(disk->partitions);
	g_free(disk);
}

static gboolean measure(ProaDisk *disk, GError **error)
{
	PROA_AUTO_FD int fd = open(disk->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int sector_size = 512;

	if (fd < 0)
		return proa_fail_errno(error,
			errno == ENOENT   ? PROA_REASON_NOT_FOUND
			: errno == EACCES ? PROA_REASON_PERMISSION
					  : PROA_REASON_IO,
			errno, "opening %s", disk->path);
	if (fstat(fd, &st) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "measuring %s", disk->path);
	disk->size = (guint64)st.st_size;
	if (S_ISBLK(st.st_mode) &&
		(ioctl(fd, BLKGETSIZE64, &disk->size) < 0 || ioctl(fd, BLKSSZGET, &sector_size) < 0))
		return proa_fail_errno(error, PROA_REASON_IO, errno, "measuring %s", disk->path);
	disk->sector_size = (guint32)sector_size;
	return TRUE;
}

static char *partition_path(const ProaDisk *disk, const char *label, guint number)
{
	if (disk->parts_dir)
		return label ? g_build_filename(disk->parts_dir, label, NULL) : NULL;
	char *name = fdisk_partname(disk->path, number + 1);
	char *copy = g_strdup(name);
	free(name);
	return copy;
}

static void add_partition(ProaDisk *disk, FdiskPartition *found)
{
	const char *label = fdisk_partition_get_name(found), *uuid = fdisk_partition_get_uuid(found);

	if (!fdisk_partition_has_size(found) || !uuid)
		return;
	ProaDiskPartition *partition = g_new0(ProaDiskPartition, 1);
	partition->label = g_strdup(label ? label : "");
	partition->uuid = g_ascii_strdown(uuid, -1);
	partition->number = (guint)fdisk_partition_get_partno(found);
	partition->size = (guint64)fdisk_partition_get_size(found) * disk->sector_size;
	partition->path = partition_path(disk, label, partition->number);
	g_ptr_array_add(disk->partitions, partition);
}

static gboolean read_partitions(ProaDisk *disk, GError **error)
{
	g_autoptr(Fdisk) fdisk = fdisk_new_context();
	g_autoptr(FdiskTable) table = NULL;
	FdiskTable *got = NULL;

	int r = fdisk_assign_device(fdisk, disk->path, TRUE);
	if (r < 0)
		return proa_fail_errno(error, PROA_REASON_IO, -r, "opening %s", disk->path);
	if (!fdisk_has_label(fdisk) || !fdisk_is_labeltype(fdisk, FDISK_DISKLABEL_GPT))
		return proa_fail(error, PROA_REASON_DISK_LAYOUT, "%s has no GPT", disk->path);
	r = fdisk_get_partitions(fdisk, &got);
	table = got;
	if (r < 0)
		return proa_fail_errno(
			error, PROA_REASON_DISK_LAYOUT, -r, "reading the GPT of %s", disk->path);
	for (gsize i = 0; i < fdisk_table_get_nents(table); i++)
		add_partition(disk, fdisk_table_get_partition(table, i));
	return TRUE;
}

ProaDisk *proa_disk_open(const char *path, const char *parts_dir, GError **error)
{
	g_autoptr(ProaDisk) disk = g_new0(ProaDisk, 1);

	disk->path = g_strdup(path);
	disk->parts_dir = g_strdup(parts_dir);
	disk->partitions = g_ptr_array_new_with_free_func(partition_free);
	if (!measure(disk, error) || !read_partitions(disk, error))
		return NULL;
	return g_steal_pointer(&disk);
}

const ProaDiskPartition *proa_disk_find(const ProaDisk *disk, const char *label, GError **error)
{
	const ProaDiskPartition *found = NULL;

	for (guint i = 0; i < disk->partitions->len; i++) {
		const ProaDiskPartition *partition = disk->partitions->pdata[i];
		if (strcmp(partition->label, label) != 0)
			continue;
		if (found) {
			proa_fail(error, PROA_REASON_DISK_LAYOUT, "%s has several partitions labelled %s",
				disk->path, label);
			return NULL;
		}
		found = partition;
	}
	if (!found)
		proa_fail(error, PROA_REASON_NO_SLOT, "%s has no partition labelled %s", disk->path, label);
	return found;
}

/* Lets libfdisk write the changes to @fd, a copy of the disk's table. */
static gboolean change_copy(
	const ProaDisk *disk, int fd, const ProaUuidChange *changes, guint n_changes, GError **error)
{
	g_autoptr(Fdisk) fdisk = fdisk_new_context();

	fdisk_save_user_sector_size(fdisk, disk->sector_size, disk->sector_size);
	int r = fdisk_assign_device_by_fd(fdisk, fd, disk->path, FALSE);
	if (r < 0)
		return proa_fail_errno(
			error, PROA_REASON_DISK_LAYOUT, -r, "reading the GPT of %s", disk->path);
	if (!fdisk_has_label(fdisk) || !fdisk_is_labeltype(fdisk, FDISK_DISKLABEL_GPT))
		return proa_fail(error, PROA_REASON_DISK_LAYOUT, "%s has no GPT", disk->path);
	for (guint i = 0; i < n_changes; i++) {
		g_autoptr(FdiskPartition) template = fdisk_new_partition();
		r = fdisk_partition_set_uuid(template, changes[i].uuid);
		if (r == 0)
			r = fdisk_set_partition(fdisk, changes[i].partition->number, template);
		if (r < 0)
			return proa_fail_errno(error, PROA_REASON_DISK_LAYOUT, -r, "setting the UUID of %s",
				changes[i].partition->label);
	}
	r = fdisk_write_disklabel(fdisk);
	if (r < 0)
		return proa_fail_errno(
			error, PROA_REASON_DISK_LAYOUT, -r, "writing the GPT of %s", disk->path);
	return TRUE;
}

/* The disk's table on a sparse file in memory, as large as the disk: what libfdisk writes does not reach the
 * disk. */
static int copy_table(const ProaDisk *disk, const ProaGptCopies *gpt, GError **error)
{
	PROA_AUTO_FD int fd = memfd_create("proa-gpt", MFD_CLOEXEC);
	gsize primary = 2 * (gsize)gpt->sector_size + PROA_GPT_ENTRIES_SIZE;
	gsize backup = gpt->sector_size + PROA_GPT_ENTRIES_SIZE;

	if (fd < 0 || ftruncate(fd, (off_t)disk->size) < 0) {
		proa_fail_errno(error, PROA_REASON_INTERNAL, errno, "copying the GPT of %s", disk->path);
		return -1;
	}
	if (!proa_pwrite_all(fd, gpt->primary, primary, 0, error) ||
		!proa_pwrite_all(fd, gpt->backup, backup, (goffset)(disk->size - backup), error))
		return -1;
	return proa_steal_fd(&fd);
}

static gboolean write_table(ProaDisk *disk, const ProaUuidChange *changes, guint n_changes, GError **error)
{
	g_auto(ProaGptCopies) before = { 0 }, after = { 0 };
	PROA_AUTO_FD int fd = open(disk->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", disk->path);
	/* While it is locked, udev leaves the disk alone; it looks again when it is closed. */
	if (flock(fd, LOCK_EX) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "locking %s", disk->path);
	if (!proa_gpt_copies_read(fd, disk->sector_size, disk->size, &before, error))
		return FALSE;
	PROA_AUTO_FD int copy = copy_table(disk, &before, error);
	if (copy < 0 || !change_copy(disk, copy, changes, n_changes, error) ||
		!proa_gpt_copies_read(copy, disk->sector_size, disk->size, &after, error))
		return FALSE;
	/* The copy that holds now is the last to be touched. */
	return proa_gpt_copies_write(fd, &after, !proa_gpt_copies_primary_valid(&before), error);
}

/* Tells udev to look at the partition again; whoever does not run udev does not need it. */
static void announce(const ProaDiskPartition *partition)
{
	g_autofree char *name = g_path_get_basename(partition->path);
	g_autofree char *path = g_build_filename("/sys/class/block", name, "uevent", NULL);
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "change", 6);
}

gboolean proa_disk_set_uuids(ProaDisk *disk, const ProaUuidChange *changes, guint n_changes, GError **error)
{
	if (!write_table(disk, changes, n_changes, error)) {
		g_prefix_error(error, "changing the partition table of %s: ", disk->path);
		return FALSE;
	}
	g_autoptr(ProaDisk) now = proa_disk_open(disk->path, disk->parts_dir, error);
	if (!now)
		return FALSE;
	for (guint i = 0; i < n_changes; i++) {
		const ProaDiskPartition *partition = proa_disk_find(now, changes[i].partition->label, error);
		if (!partition)
			return FALSE;
		if (g_ascii_strcasecmp(partition->uuid, changes[i].uuid) != 0)
			return proa_fail(error, PROA_REASON_DISK_LAYOUT, "%s did not take the UUID of %s",
				disk->path, partition->label);
		if (!disk->parts_dir)
			announce(partition);
	}
	return TRUE;
}

/* The sysfs directory of a block device with device-mapper looked through: that of its first slave. */
static char *below_device_mapper(dev_t device)
{
	g_autofree char *link = g_strdup_printf("/sys/dev/block/%u:%u", major(device), minor(device));
	char *path = realpath(link, NULL);

	for (int depth = 0; path && depth < 8; depth++) {
		g_autofree char *slaves = g_build_filename(path, "slaves", NULL);
		g_autoptr(GDir) dir = g_dir_open(slaves, 0, NULL);
		/* The hash partition is a slave as well; both are on one disk, and the data partition has the
		 * root's label. */
		const char *first = NULL, *name;
		while (dir && (name = g_dir_read_name(dir)))
			if (!first || strcmp(name, first) < 0)
				first = name;
		if (!first)
			break;
		g_autofree char *slave = g_build_filename(slaves, first, NULL);
		free(path);
		path = realpath(slave, NULL);
	}
	char *copy = g_strdup(path);
	free(path);
	return copy;
}

gboolean proa_disk_of_root(char **ret_disk, char **ret_partition, GError **error)
{
	struct stat st;

	if (stat("/", &st) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "looking at /");
	g_autofree char *path = below_device_mapper(st.st_dev);
	g_autofree char *number = path ? g_build_filename(path, "partition", NULL) : NULL;
	if (!number || !g_file_test(number, G_FILE_TEST_EXISTS))
		return proa_fail(
			error, PROA_REASON_NO_SLOT, "the root file system is not on a partition of a disk");
	g_autofree char *parent = g_path_get_dirname(path);
	g_autofree char *disk = g_path_get_basename(parent);
	g_autofree char *partition = g_path_get_basename(path);
	*ret_disk = g_strconcat("/dev/", disk, NULL);
	*ret_partition = g_strconcat("/dev/", partition, NULL);
	return TRUE;
}

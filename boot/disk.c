/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/disk.h"

#include "base/digest.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* UEFI specification, "GUID Partition Table": header at logical block 1. */
#define HEADER_SIZE 92
#define ENTRY_MIN_SIZE 128
#define ENTRY_MAX_SIZE 512
#define NAME_UNITS 36
/* No disk has more blocks; keeps the arithmetic below from overflowing. */
#define MAX_LBA (G_GUINT64_CONSTANT(1) << 48)

void proa_partition_free(ProaPartition *partition)
{
	g_free(partition->device);
	g_free(partition->disk);
	g_free(partition);
}

static guint64 le(const guint8 *p, guint bytes)
{
	guint64 value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

static guint32 crc32_of(const guint8 *data, gsize size)
{
	guint32 crc = ~0U;

	for (gsize i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

/* A GUID on disk has its first three fields in little-endian order. */
static void format_guid(const guint8 *g, char *ret)
{
	g_snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3],
		g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14],
		g[15]);
}

static ProaPartition *read_entry(const guint8 *entry, guint number, guint block_size)
{
	static const guint8 unused[16] = { 0 };

	if (memcmp(entry, unused, sizeof unused) == 0)
		return NULL;
	ProaPartition *partition = g_new0(ProaPartition, 1);
	partition->number = number;
	format_guid(entry, partition->type);
	format_guid(entry + 16, partition->uuid);
	guint64 first = le(entry + 32, 8), last = le(entry + 40, 8);
	/* A table that says nonsense says no size. */
	if (last >= first && last - first < G_MAXUINT64 / block_size - 1)
		partition->size = (last - first + 1) * block_size;
	for (guint i = 0; i < NAME_UNITS; i++) {
		guint64 unit = le(entry + 56 + (gsize)2 * i, 2);
		if (unit == 0)
			break;
		partition->label[i] = unit >= 0x20 && unit < 0x7f ? (char)unit : '?';
	}
	return partition;
}

static gboolean read_header(int fd, guint block_size, guint8 *header, GError **error)
{
	if (!proa_pread_all(fd, header, HEADER_SIZE, (goffset)block_size, error))
		return FALSE;
	if (memcmp(header, "EFI PART", 8) != 0)
		return proa_fail(error, PROA_REASON_DISK_LAYOUT, "there is no GPT");
	guint32 crc = (guint32)le(header + 16, 4);
	memset(header + 16, 0, 4);
	if (le(header + 12, 4) != HEADER_SIZE || crc32_of(header, HEADER_SIZE) != crc)
		return proa_fail(error, PROA_REASON_DISK_LAYOUT, "the GPT header is damaged");
	return TRUE;
}

GPtrArray *proa_gpt_read(int fd, guint block_size, GError **error)
{
	guint8 header[HEADER_SIZE];

	if (!read_header(fd, block_size, header, error))
		return NULL;
	guint64 lba = le(header + 72, 8);
	guint32 count = (guint32)le(header + 80, 4), size = (guint32)le(header + 84, 4);
	if (count == 0 || count > PROA_GPT_MAX_ENTRIES || size < ENTRY_MIN_SIZE || size > ENTRY_MAX_SIZE ||
		lba < 2 || lba > MAX_LBA) {
		proa_fail(error, PROA_REASON_DISK_LAYOUT, "the GPT has %u entries of %u bytes", count, size);
		return NULL;
	}
	gsize total = (gsize)count * size;
	g_autofree guint8 *table = g_malloc(total);
	if (!proa_pread_all(fd, table, total, (goffset)(lba * block_size), error))
		return NULL;
	if (crc32_of(table, total) != (guint32)le(header + 88, 4)) {
		proa_fail(error, PROA_REASON_DISK_LAYOUT, "the GPT's entries are damaged");
		return NULL;
	}
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)proa_partition_free);
	for (guint i = 0; i < count; i++) {
		ProaPartition *partition = read_entry(table + (gsize)i * size, i + 1, block_size);
		if (partition)
			g_ptr_array_add(list, partition);
	}
	return list;
}

static GPtrArray *read_disk(const char *path, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int block_size = 512;

	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_DISK_LAYOUT, errno, "opening %s", path);
		return NULL;
	}
	if (ioctl(fd, BLKSSZGET, &block_size) < 0 || (block_size != 512 && block_size != 4096))
		block_size = 512; /* an image file */
	GPtrArray *list = proa_gpt_read(fd, (guint)block_size, error);
	if (!list)
		g_prefix_error(error, "%s: ", path);
	return list;
}

static gboolean read_number(const char *path, guint *ret_number)
{
	g_autofree char *text = proa_file_read(path, 64, NULL, NULL);

	if (!text || !g_ascii_isdigit(text[0]))
		return FALSE;
	*ret_number = (guint)g_ascii_strtoull(text, NULL, 10);
	return TRUE;
}

/* Fills in the kernel's names; takes out entries that the kernel has no device for. */
static void add_device_names(GPtrArray *list, const char *disk)
{
	g_autofree char *sys = g_build_filename("/sys/class/block", disk, NULL);
	g_autoptr(GDir) dir = g_dir_open(sys, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(sys, name, "partition", NULL);
		guint number;
		if (!read_number(path, &number))
			continue;
		for (guint i = 0; i < list->len; i++) {
			ProaPartition *partition = g_ptr_array_index(list, i);
			if (partition->number != number || partition->device)
				continue;
			partition->device = g_strdup(name);
			partition->disk = g_strdup(disk);
		}
	}
	for (guint i = list->len; i-- > 0;)
		if (!((ProaPartition *)g_ptr_array_index(list, i))->device)
			g_ptr_array_remove_index(list, i);
}

GPtrArray *proa_disk_partitions(void)
{
	GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)proa_partition_free);
	g_autoptr(GDir) dir = g_dir_open("/sys/block", 0, NULL);
	const char *disk;

	while (dir && (disk = g_dir_read_name(dir))) {
		/* Device-mapper, RAM and loop disks without media never hold the node's own partitions. */
		if (g_str_has_prefix(disk, "dm-") || g_str_has_prefix(disk, "ram") ||
			g_str_has_prefix(disk, "zram"))
			continue;
		g_autofree char *path = g_build_filename("/dev", disk, NULL);
		g_autoptr(GPtrArray) list = read_disk(path, NULL);
		if (!list)
			continue;
		add_device_names(list, disk);
		g_ptr_array_extend_and_steal(all, g_steal_pointer(&list));
	}
	return all;
}

static const char *disk_of_partition(const GPtrArray *all, const char *uuid)
{
	const ProaPartition *partition = uuid ? proa_partition_by_uuid(all, uuid) : NULL;

	if (!partition)
		partition = proa_partition_by_label(all, "root-a");
	return partition ? partition->disk : NULL;
}

GPtrArray *proa_disk_of_node(const char *image, const char *root_uuid, GError **error)
{
	if (image)
		return read_disk(image, error);

	g_autoptr(GPtrArray) all = proa_disk_partitions();
	g_autofree char *disk = g_strdup(disk_of_partition(all, root_uuid));
	if (!disk) {
		proa_fail(error, PROA_REASON_NO_SLOT, "no disk has a partition labelled root-a");
		return NULL;
	}
	for (guint i = all->len; i-- > 0;)
		if (strcmp(((ProaPartition *)g_ptr_array_index(all, i))->disk, disk) != 0)
			g_ptr_array_remove_index(all, i);
	return g_steal_pointer(&all);
}

const ProaPartition *proa_partition_by_label(const GPtrArray *partitions, const char *label)
{
	for (guint i = 0; i < partitions->len; i++) {
		const ProaPartition *partition = g_ptr_array_index(partitions, i);
		if (strcmp(partition->label, label) == 0)
			return partition;
	}
	return NULL;
}

const ProaPartition *proa_partition_by_uuid(const GPtrArray *partitions, const char *uuid)
{
	for (guint i = 0; i < partitions->len; i++) {
		const ProaPartition *partition = g_ptr_array_index(partitions, i);
		if (strcmp(partition->uuid, uuid) == 0)
			return partition;
	}
	return NULL;
}

static void format_uuid(const char *hex, char *ret)
{
	g_snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void proa_partition_uuid_of_root(const char *root_hash, char *ret)
{
	format_uuid(root_hash, ret);
}

void proa_partition_uuid_of_verity(const char *root_hash, char *ret)
{
	format_uuid(root_hash + 32, ret);
}

const char *proa_disk_slot_of(const GPtrArray *partitions, const char *root_hash)
{
	static const char *const slots[][2] = { { "root-a", "root-a-verity" },
		{ "root-b", "root-b-verity" } };
	char root_uuid[37], verity_uuid[37];

	if (!proa_sha256_hex_valid(root_hash))
		return NULL;
	proa_partition_uuid_of_root(root_hash, root_uuid);
	proa_partition_uuid_of_verity(root_hash, verity_uuid);
	for (gsize i = 0; i < G_N_ELEMENTS(slots); i++) {
		const ProaPartition *root = proa_partition_by_label(partitions, slots[i][0]);
		const ProaPartition *verity = proa_partition_by_label(partitions, slots[i][1]);
		if (root && verity && strcmp(root->uuid, root_uuid) == 0 &&
			strcmp(verity->uuid, verity_uuid) == 0)
			return slots[i][0];
	}
	return NULL;
}

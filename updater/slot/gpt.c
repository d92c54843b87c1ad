/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/gpt.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Offsets in a header (UEFI 2.10, table 5.5). */
#define HEADER_MIN_SIZE 92
#define AT_HEADER_SIZE 12
#define AT_HEADER_CRC 16
#define AT_MY_LBA 24
#define AT_ALTERNATE_LBA 32
#define AT_ENTRIES_LBA 72
#define AT_N_ENTRIES 80
#define AT_ENTRY_SIZE 84
#define AT_ENTRIES_CRC 88

static guint32 get_u32(const guint8 *p)
{
	guint32 value;

	memcpy(&value, p, sizeof value);
	return GUINT32_FROM_LE(value);
}

static guint64 get_u64(const guint8 *p)
{
	guint64 value;

	memcpy(&value, p, sizeof value);
	return GUINT64_FROM_LE(value);
}

/* CRC-32 of IEEE 802.3, bit by bit: 16 KiB a table, twice an update. */
static guint32 crc32_add(guint32 crc, const guint8 *data, gsize size)
{
	for (gsize i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
	}
	return crc;
}

static gsize primary_size(const ProaGptCopies *gpt)
{
	return 2 * (gsize)gpt->sector_size + PROA_GPT_ENTRIES_SIZE;
}

static gsize backup_size(const ProaGptCopies *gpt)
{
	return gpt->sector_size + PROA_GPT_ENTRIES_SIZE;
}

void proa_gpt_copies_clear(ProaGptCopies *gpt)
{
	g_clear_pointer(&gpt->primary, g_free);
	g_clear_pointer(&gpt->backup, g_free);
}

gboolean proa_gpt_copies_read(
	int fd, guint32 sector_size, guint64 disk_size, ProaGptCopies *ret_gpt, GError **error)
{
	g_auto(ProaGptCopies) gpt = { .sector_size = sector_size, .disk_size = disk_size };

	if (sector_size < 512 || sector_size > PROA_GPT_ENTRIES_SIZE || disk_size % sector_size != 0 ||
		disk_size < primary_size(&gpt) + backup_size(&gpt))
		return proa_fail(error, PROA_REASON_DISK_LAYOUT,
			"a disk of %" G_GUINT64_FORMAT " bytes is too small", disk_size);
	gpt.primary = g_malloc(primary_size(&gpt));
	gpt.backup = g_malloc(backup_size(&gpt));
	if (!proa_pread_all(fd, gpt.primary, primary_size(&gpt), 0, error) ||
		!proa_pread_all(
			fd, gpt.backup, backup_size(&gpt), (goffset)(disk_size - backup_size(&gpt)), error))
		return FALSE;
	*ret_gpt = gpt;
	gpt.primary = gpt.backup = NULL;
	return TRUE;
}

/* The header at @header says that it lies at @my_lba, its twin at @alternate, its entries at @entries_lba. */
static gboolean copy_valid(const ProaGptCopies *gpt, const guint8 *header, const guint8 *entries,
	guint64 my_lba, guint64 alternate, guint64 entries_lba)
{
	static const guint8 zero[4] = { 0 };
	guint32 size = get_u32(header + AT_HEADER_SIZE);
	guint64 entries_size = (guint64)get_u32(header + AT_N_ENTRIES) * get_u32(header + AT_ENTRY_SIZE);

	if (memcmp(header, "EFI PART", 8) != 0 || size < HEADER_MIN_SIZE || size > gpt->sector_size ||
		entries_size == 0 || entries_size > PROA_GPT_ENTRIES_SIZE)
		return FALSE;
	guint32 crc = crc32_add(~0u, header, AT_HEADER_CRC);
	crc = crc32_add(crc, zero, sizeof zero);
	crc = crc32_add(crc, header + AT_HEADER_CRC + 4, size - AT_HEADER_CRC - 4);
	return ~crc == get_u32(header + AT_HEADER_CRC) && get_u64(header + AT_MY_LBA) == my_lba &&
	       get_u64(header + AT_ALTERNATE_LBA) == alternate &&
	       get_u64(header + AT_ENTRIES_LBA) == entries_lba &&
	       ~crc32_add(~0u, entries, (gsize)entries_size) == get_u32(header + AT_ENTRIES_CRC);
}

gboolean proa_gpt_copies_primary_valid(const ProaGptCopies *gpt)
{
	return copy_valid(gpt, gpt->primary + gpt->sector_size, gpt->primary + 2 * gpt->sector_size, 1,
		gpt->disk_size / gpt->sector_size - 1, 2);
}

gboolean proa_gpt_copies_backup_valid(const ProaGptCopies *gpt)
{
	guint64 last = gpt->disk_size / gpt->sector_size - 1;

	return copy_valid(gpt, gpt->backup + PROA_GPT_ENTRIES_SIZE, gpt->backup, last, 1,
		last - PROA_GPT_ENTRIES_SIZE / gpt->sector_size);
}

static gboolean write_copy(int fd, const guint8 *data, gsize size, goffset offset, GError **error)
{
	if (!proa_pwrite_all(fd, data, size, offset, error))
		return FALSE;
	if (fsync(fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing the partition table");
	return TRUE;
}

static gboolean write_primary(int fd, const ProaGptCopies *gpt, GError **error)
{
	return write_copy(fd, gpt->primary + gpt->sector_size, primary_size(gpt) - gpt->sector_size,
		(goffset)gpt->sector_size, error);
}

static gboolean write_backup(int fd, const ProaGptCopies *gpt, GError **error)
{
	return write_copy(
		fd, gpt->backup, backup_size(gpt), (goffset)(gpt->disk_size - backup_size(gpt)), error);
}

gboolean proa_gpt_copies_write(int fd, const ProaGptCopies *gpt, gboolean primary_first, GError **error)
{
	if (!proa_gpt_copies_primary_valid(gpt) || !proa_gpt_copies_backup_valid(gpt))
		return proa_fail(error, PROA_REASON_DISK_LAYOUT,
			"the new partition table does not hold; none was written");
	if (primary_first)
		return write_primary(fd, gpt, error) && write_backup(fd, gpt, error);
	return write_backup(fd, gpt, error) && write_primary(fd, gpt, error);
}

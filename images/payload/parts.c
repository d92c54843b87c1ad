/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/parts.h"

#include "updater/payload/wire.h"

#include <string.h>

/* PE: where the header's place is told; of the header; of a section's header. */
#define PE_AT 0x3c
#define PE_HEADER_SIZE 24
#define PE_SECTION_SIZE 40
/* bzImage, boot.rst: setup_sects, magic, version (2.08 tells of the payload), payload_offset and _length. */
#define SETUP_SECTORS 0x1f1
#define SETUP_MAGIC 0x202
#define SETUP_VERSION 0x206
#define PAYLOAD_VERSION 0x0208
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define SETUP_END 0x250
#define SECTOR 512u
/* "newc": a magic and 13 numbers of 8 hexadecimal digits. */
#define CPIO_HEADER_SIZE 110
#define CPIO_MODE 1
#define CPIO_SIZE 6
#define CPIO_NAME_SIZE 11
#define CPIO_TYPE_MASK 0170000u
#define CPIO_REGULAR 0100000u
#define CPIO_MAX_NAME 4096u

static gboolean within(guint64 at, guint64 length, gsize size)
{
	return at <= size && length <= size - at;
}

gboolean proa_parts_section(const guint8 *uki, gsize size, const char *name, ProaRange *ret)
{
	gsize length = strlen(name);

	if (size < PE_AT + 4 || memcmp(uki, "MZ", 2) != 0 || length > 8)
		return FALSE;
	guint64 pe = proa_get_u32(uki + PE_AT);
	if (!within(pe, PE_HEADER_SIZE, size) || memcmp(uki + pe, "PE\0\0", 4) != 0)
		return FALSE;
	guint64 at = pe + PE_HEADER_SIZE + proa_get_u16(uki + pe + 20);
	guint n = proa_get_u16(uki + pe + 6);
	for (guint i = 0; i < n; i++, at += PE_SECTION_SIZE) {
		if (!within(at, PE_SECTION_SIZE, size))
			return FALSE;
		const guint8 *section = uki + at;
		if (memcmp(section, name, length) != 0 || (length < 8 && section[length] != '\0'))
			continue;
		ProaRange range = { proa_get_u32(section + 20),
			MIN(proa_get_u32(section + 8), proa_get_u32(section + 16)) };
		if (!within(range.at, range.length, size))
			return FALSE;
		*ret = range;
		return TRUE;
	}
	return FALSE;
}

gboolean proa_parts_kernel(const guint8 *image, gsize size, ProaRange *ret)
{
	static const guint8 zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };

	if (size < SETUP_END || memcmp(image + SETUP_MAGIC, "HdrS", 4) != 0 ||
		proa_get_u16(image + SETUP_VERSION) < PAYLOAD_VERSION)
		return FALSE;
	/* "For backwards compatibility, if the setup_sects field contains 0, the real value is 4." */
	guint64 sectors = image[SETUP_SECTORS] ? image[SETUP_SECTORS] : 4;
	guint64 at = (sectors + 1) * SECTOR + proa_get_u32(image + PAYLOAD_OFFSET);
	guint64 length = proa_get_u32(image + PAYLOAD_LENGTH);
	/* The payload ends with the kernel's size, which is none of the frame. */
	if (length < sizeof zstd + 4 || !within(at, length, size) ||
		memcmp(image + at, zstd, sizeof zstd) != 0)
		return FALSE;
	*ret = (ProaRange){ at, length - 4 };
	return TRUE;
}

GPtrArray *proa_parts_new(void)
{
	return g_ptr_array_new_with_free_func(proa_erofs_file_free);
}

void proa_parts_add(GPtrArray *files, const char *path, guint64 at, guint64 size)
{
	ProaErofsFile *file = g_new0(ProaErofsFile, 1);

	*file = (ProaErofsFile){ .path = g_strdup(path), .size = size, .blocks_at = at, .blocks = size };
	g_ptr_array_add(files, file);
}

static gboolean number(const guint8 *entry, guint index, guint64 *ret)
{
	*ret = 0;
	for (guint i = 0; i < 8; i++) {
		int digit = g_ascii_xdigit_value((char)entry[6 + index * 8 + i]);
		if (digit < 0)
			return FALSE;
		*ret = *ret << 4 | (guint64)digit;
	}
	return TRUE;
}

static guint64 align4(guint64 at)
{
	return (at + 3) & ~(guint64)3;
}

guint proa_parts_files(const guint8 *archive, gsize size, guint64 base, GPtrArray *files)
{
	guint64 at = 0, mode, length, name_size;
	guint n = 0;

	while (n < PROA_PARTS_MAX_FILES && within(at, CPIO_HEADER_SIZE, size)) {
		const guint8 *entry = archive + at;
		if (memcmp(entry, "070701", 6) != 0 || !number(entry, CPIO_MODE, &mode) ||
			!number(entry, CPIO_SIZE, &length) || !number(entry, CPIO_NAME_SIZE, &name_size) ||
			name_size < 1 || name_size > CPIO_MAX_NAME ||
			!within(at + CPIO_HEADER_SIZE, name_size, size) ||
			entry[CPIO_HEADER_SIZE + name_size - 1] != '\0')
			break;
		guint64 data = align4(at + CPIO_HEADER_SIZE + name_size);
		if (!within(data, length, size))
			break;
		if ((mode & CPIO_TYPE_MASK) == CPIO_REGULAR && length > 0) {
			proa_parts_add(files, (const char *)entry + CPIO_HEADER_SIZE, base + data, length);
			n++;
		}
		at = align4(data + length);
	}
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* uki: UKIs with what the real ones have: PE sections, a bzImage, a packed archive. For unit tests only. */
#pragma once

#include "tests/unit/images/payload/delta.h"
#include "updater/payload/repack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* @data as one zstd frame. */
static inline GByteArray *frame_new(const GByteArray *data, guint8 level, gboolean workers)
{
	g_autoptr(GError) error = NULL;
	int fd = memfd_create("frame", MFD_CLOEXEC);
	GByteArray *packed = g_byte_array_new();

	/* How long it gets is known only once it is made: as much as was asked for is refused first. */
	for (guint64 size = data->len + 4096, made;; size = made) {
		const ProaRepackFrame frame = { 0, size, data->len, { level, workers, TRUE, FALSE } };
		g_autoptr(ProaPacker) packer = proa_packer_new(&frame, fd, &error);
		g_assert_no_error(error);
		if (proa_packer_take(packer, data->data, data->len, NULL))
			break;
		made = (guint64)lseek(fd, 0, SEEK_END);
	}
	g_byte_array_set_size(packed, (guint)lseek(fd, 0, SEEK_END));
	g_assert_cmpint(pread(fd, packed->data, packed->len, 0), ==, packed->len);
	close(fd);
	return packed;
}

/* A bzImage around the frame of a kernel (Linux, Documentation/arch/x86/boot.rst). */
static inline GByteArray *bzimage_new(const GByteArray *frame)
{
	GByteArray *image = image_new(77, 2048);
	guint8 size[4];

	memset(image->data, 0, 2048);
	image->data[0x1f1] = 1;
	memcpy(image->data + 0x202, "HdrS", 4);
	proa_put_u16(image->data + 0x206, 0x20f);
	proa_put_u32(image->data + 0x248, 1024);
	proa_put_u32(image->data + 0x24c, frame->len + 4);
	proa_put_u32(size, frame->len);
	g_byte_array_append(image, frame->data, frame->len);
	g_byte_array_append(image, size, sizeof size);
	g_byte_array_append(image, (const guint8 *)"what unpacks it", 15);
	return image;
}

static inline void cpio_add(GByteArray *archive, const char *name, guint mode, const guint8 *data, gsize size)
{
	static const guint8 zero[4] = { 0 };
	g_autofree char *head = g_strdup_printf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		archive->len, mode, 0, 0, 1, 0, (guint)size, 0, 0, 0, 0, (guint)strlen(name) + 1, 0);

	g_byte_array_append(archive, (const guint8 *)head, 110);
	g_byte_array_append(archive, (const guint8 *)name, (guint)strlen(name) + 1);
	g_byte_array_append(archive, zero, -archive->len & 3);
	g_byte_array_append(archive, data, (guint)size);
	g_byte_array_append(archive, zero, -archive->len & 3);
}

static inline void pe_put(GByteArray *image, guint index, const char *name, guint32 at, guint32 size)
{
	guint8 *section = image->data + 0x80 + 24 + index * 40;

	memcpy(section, name, strlen(name));
	proa_put_u32(section + 8, size);
	proa_put_u32(section + 16, (size + 511) & ~511u);
	proa_put_u32(section + 20, at);
}

/* A PE image with these two sections, each at a multiple of 512 (Microsoft, "PE Format"). */
static inline GByteArray *uki_new(const GByteArray *linux_image, const GByteArray *initrd)
{
	GByteArray *image = g_byte_array_new();
	guint32 linux_at = 1024, initrd_at = (linux_at + linux_image->len + 511) & ~511u;

	g_byte_array_set_size(image, (initrd_at + initrd->len + 511) & ~511u);
	memset(image->data, 0, image->len);
	memcpy(image->data, "MZ", 2);
	proa_put_u32(image->data + 0x3c, 0x80);
	memcpy(image->data + 0x80, "PE\0\0", 4);
	proa_put_u16(image->data + 0x80 + 6, 2);
	pe_put(image, 0, ".linux", linux_at, linux_image->len);
	pe_put(image, 1, ".initrd", initrd_at, initrd->len);
	memcpy(image->data + linux_at, linux_image->data, linux_image->len);
	if (initrd->len > 0)
		memcpy(image->data + initrd_at, initrd->data, initrd->len);
	return image;
}

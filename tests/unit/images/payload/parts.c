/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/parts.h"

#include "tests/unit/images/payload/uki.h"

#define CONTENT "what a file holds"

static GByteArray *archive_new(void)
{
	GByteArray *archive = g_byte_array_new();

	cpio_add(archive, "usr", 0040755, NULL, 0);
	cpio_add(archive, "usr/file", 0100644, (const guint8 *)CONTENT, strlen(CONTENT));
	cpio_add(archive, "usr/empty", 0100644, NULL, 0);
	cpio_add(archive, "usr/link", 0120777, (const guint8 *)"file", 4);
	cpio_add(archive, "usr/other", 0100644, (const guint8 *)"x", 1);
	cpio_add(archive, "TRAILER!!!", 0, NULL, 0);
	return archive;
}

static GByteArray *whole_new(void)
{
	g_autoptr(GByteArray) kernel = image_new(3, 30000), frame = frame_new(kernel, 3, FALSE),
			      linux_image = bzimage_new(frame), archive = archive_new();

	return uki_new(linux_image, archive);
}

static void finds_kernel_and_files(void)
{
	g_autoptr(GByteArray) uki = whole_new();
	g_autoptr(GPtrArray) files = proa_parts_new();
	ProaRange section, frame;

	g_assert_true(proa_parts_section(uki->data, uki->len, ".linux", &section));
	g_assert_true(proa_parts_kernel(uki->data + section.at, section.length, &frame));
	guint8 *packed = uki->data + section.at + frame.at;
	g_assert_cmpuint(proa_get_u32(packed), ==, 0xfd2fb528u);
	g_assert_cmpuint(proa_get_u32(packed + frame.length), ==, frame.length);
	g_assert_false(proa_parts_section(uki->data, uki->len, ".initr", &section));
	g_assert_true(proa_parts_section(uki->data, uki->len, ".initrd", &section));
	g_assert_cmpuint(proa_parts_files(uki->data + section.at, section.length, section.at, files), ==, 2);
	const ProaErofsFile *file = files->pdata[0];
	g_assert_cmpstr(file->path, ==, "usr/file");
	g_assert_cmpmem(uki->data + file->blocks_at, file->blocks, CONTENT, strlen(CONTENT));
	g_assert_cmpstr(((const ProaErofsFile *)files->pdata[1])->path, ==, "usr/other");
}

/* In a copy that ends where the data does, so that a sanitizer sees what reads on. */
static void look(const guint8 *data, gsize size)
{
	g_autofree guint8 *copy = g_memdup2(data, size);
	g_autoptr(GPtrArray) files = proa_parts_new();
	ProaRange section, frame;

	if (proa_parts_section(copy, size, ".linux", &section)) {
		g_assert_cmpuint(section.at + section.length, <=, size);
		if (proa_parts_kernel(copy + section.at, section.length, &frame))
			g_assert_cmpuint(frame.at + frame.length, <=, section.length);
	}
	if (!proa_parts_section(copy, size, ".initrd", &section))
		return;
	proa_parts_files(copy + section.at, section.length, section.at, files);
	for (guint i = 0; i < files->len; i++) {
		const ProaErofsFile *file = files->pdata[i];
		g_assert_cmpuint(file->blocks_at + file->blocks, <=, section.at + section.length);
	}
}

static void damage_is_bounded(void)
{
	g_autoptr(GByteArray) uki = whole_new();
	Dice dice = { 6 };

	for (guint i = 0; i < 3000; i++) {
		guint at = i % 3 == 0   ? dice_roll(&dice, 256)
			   : i % 3 == 1 ? 1024 + dice_roll(&dice, 1024)
					: uki->len - 1 - dice_roll(&dice, 1024);
		guint8 was = uki->data[at];
		uki->data[at] = (guint8)dice_roll(&dice, 256);
		look(uki->data, i % 2 ? uki->len : 1 + dice_roll(&dice, uki->len));
		uki->data[at] = was;
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/parts/finds-kernel-and-files", finds_kernel_and_files);
	g_test_add_func("/payload/parts/damage-is-bounded", damage_is_bounded);
	return g_test_run();
}

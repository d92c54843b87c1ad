/* SPDX-License-Identifier: Apache-2.0 */
/* delta: generated images, and kernel modules whose tables shift as real ones do. For unit tests only. */
#pragma once

#include "updater/payload/wire.h"

#include <elf.h>

/* The EROFS image of @folder, made at @path as proa-image makes root images. */
static inline GByteArray *erofs_new(char *folder, char *path)
{
	char make[] = "mkfs.erofs", quiet[] = "--quiet", uuid[] = "-U7c4f5d0a-6b0e-4c53-9d0c-3a1f0b6a52e1",
	     epoch[] = "-T0", times[] = "--all-time", block[] = "-b4096";
	char *argv[] = { make, quiet, uuid, epoch, times, block, path, folder, NULL };
	int status = -1;
	char *data = NULL;
	gsize size = 0;

	g_assert_true(
		g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
	g_assert_cmpint(status, ==, 0);
	g_assert_true(g_file_get_contents(path, &data, &size, NULL));
	return g_byte_array_new_take((guint8 *)data, size);
}

typedef struct {
	guint32 state;
} Dice;

static inline guint32 dice_roll(Dice *dice, guint32 below)
{
	dice->state ^= dice->state << 13;
	dice->state ^= dice->state >> 17;
	dice->state ^= dice->state << 5;
	return (dice->state >> 3) % below;
}

/* @size bytes, some repeating, some not, some zero. */
static inline GByteArray *image_new(guint32 seed, gsize size)
{
	GByteArray *image = g_byte_array_new();
	Dice dice = { seed };

	g_byte_array_set_size(image, (guint)size);
	for (gsize i = 0; i < size; i++)
		image->data[i] =
			(i / 1500) % 4 == 3 ? 0 : (guint8)((i / 700) % 3 ? dice_roll(&dice, 256) : i / 90);
	return image;
}

typedef struct {
	GByteArray *text, *relocations, *symbols, *names;
} ModuleParts;

static inline void module_add_symbol(
	ModuleParts *parts, const char *name, guint8 info, guint16 section, guint64 value, guint64 size)
{
	guint8 record[24];

	proa_put_u32(record, *name ? parts->names->len : 0);
	record[4] = info;
	record[5] = 0;
	proa_put_u16(record + 6, section);
	proa_put_u64(record + 8, value);
	proa_put_u64(record + 16, size);
	g_byte_array_append(parts->symbols, record, sizeof record);
	if (*name)
		g_byte_array_append(parts->names, (const guint8 *)name, (guint)strlen(name) + 1);
}

/* A function of random bytes; each calls a few others and refers to places in the text. */
static inline void module_add_function(
	ModuleParts *parts, guint index, guint n_functions, guint without, gboolean edited)
{
	Dice dice = { index * 77 + 5 };
	guint size = 40 + dice_roll(&dice, 200), begin = parts->text->len;
	g_autofree char *name = g_strdup_printf("function_%u%s", index, edited ? "_renamed" : "");

	for (guint i = 0; i < size + (edited ? 24 : 0); i++) {
		guint8 byte = (guint8)dice_roll(&dice, 256);
		g_byte_array_append(parts->text, &byte, 1);
	}
	for (guint at = begin + 8; at + 16 < begin + size; at += 20) {
		guint8 record[24];
		guint target = dice_roll(&dice, n_functions);
		gboolean local = target % 3 == 0 || target == without;
		proa_put_u64(record, at);
		proa_put_u32(record + 8, local ? R_X86_64_PC32 : R_X86_64_PLT32);
		proa_put_u32(record + 12, local ? 1 : 2 + target - (target > without));
		proa_put_u64(record + 16, local ? begin + dice_roll(&dice, size) - 4 : (guint64)-4);
		g_byte_array_append(parts->relocations, record, sizeof record);
	}
	module_add_symbol(
		parts, name, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 1, begin, parts->text->len - begin);
}

static inline guint64 module_append(GByteArray *file, const GByteArray *part)
{
	static const guint8 padding[8] = { 0 };

	g_byte_array_append(file, padding, (8 - file->len % 8) % 8);
	g_byte_array_append(file, part->data, part->len);
	return file->len - part->len;
}

static inline void module_section(guint8 *header, guint32 name, guint32 type, guint64 flags, guint64 at,
	guint64 size, guint32 link, guint32 info)
{
	proa_put_u32(header, name);
	proa_put_u32(header + 4, type);
	proa_put_u64(header + 8, flags);
	proa_put_u64(header + 24, at);
	proa_put_u64(header + 32, size);
	proa_put_u32(header + 40, link);
	proa_put_u32(header + 44, info);
	proa_put_u64(header + 56, type == SHT_RELA || type == SHT_SYMTAB ? 24 : 0);
}

static inline GByteArray *module_join(const ModuleParts *parts, guint signature)
{
	static const char names[] = "\0.text\0.rela.text\0.symtab\0.strtab\0.shstrtab";
	GByteArray *file = g_byte_array_new();
	guint8 header[64] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 }, sections[6 * 64] = { 0 };
	g_autoptr(GByteArray) section_names = g_byte_array_new(), table = g_byte_array_new();

	g_byte_array_append(file, header, sizeof header);
	g_byte_array_append(section_names, (const guint8 *)names, sizeof names);
	module_section(sections + 64, 1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR,
		module_append(file, parts->text), parts->text->len, 0, 0);
	module_section(sections + 3 * 64, 18, SHT_SYMTAB, 0, module_append(file, parts->symbols),
		parts->symbols->len, 4, 2);
	module_section(sections + 4 * 64, 26, SHT_STRTAB, 0, module_append(file, parts->names),
		parts->names->len, 0, 0);
	module_section(sections + 2 * 64, 7, SHT_RELA, 0, module_append(file, parts->relocations),
		parts->relocations->len, 3, 1);
	module_section(sections + 5 * 64, 34, SHT_STRTAB, 0, module_append(file, section_names),
		section_names->len, 0, 0);
	g_byte_array_append(table, sections, sizeof sections);
	guint64 at = module_append(file, table);
	for (guint i = 0; i < signature; i++)
		g_byte_array_append(file, (const guint8 *)"signature" + i % 9, 1);
	proa_put_u16(file->data + 16, ET_REL);
	proa_put_u16(file->data + 18, EM_X86_64);
	proa_put_u64(file->data + 40, at);
	proa_put_u16(file->data + 58, 64);
	proa_put_u16(file->data + 60, 6);
	proa_put_u16(file->data + 62, 5);
	return file;
}

/* A module of @n_functions; the functions number @without and @edited are gone and changed (G_MAXUINT: none).
 */
static inline GByteArray *module_new(guint n_functions, guint without, guint edited)
{
	g_autoptr(GByteArray) text = g_byte_array_new(), relocations = g_byte_array_new(),
			      symbols = g_byte_array_new(), names = g_byte_array_new();
	ModuleParts parts = { text, relocations, symbols, names };

	g_byte_array_append(names, (const guint8 *)"", 1);
	module_add_symbol(&parts, "", 0, 0, 0, 0);
	module_add_symbol(&parts, "", ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 1, 0, 0);
	for (guint i = 0; i < n_functions; i++)
		if (i != without)
			module_add_function(&parts, i, n_functions, without, i == edited);
	return module_join(&parts, 700);
}

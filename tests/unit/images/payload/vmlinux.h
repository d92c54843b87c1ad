/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux: kernels as they are unpacked: an ELF file with code and tables of places in it. For unit tests
 * only. */
#pragma once

#include "tests/unit/images/payload/delta.h"
#include "updater/payload/wire.h"

#include <elf.h>
#include <string.h>

#define VMLINUX_TEXT 300000u
#define VMLINUX_PLACES 20000u
#define VMLINUX_RECORDS 500u
#define VMLINUX_RELOCATIONS 10000u
#define VMLINUX_SYMBOLS 3000u
#define VMLINUX_CODE 0xffffffff81000000ull

static inline void vmlinux_section(GByteArray *heads, guint32 name, guint32 type, guint64 at, guint64 size)
{
	const Elf64_Shdr section = { .sh_name = GUINT32_TO_LE(name),
		.sh_addr = GUINT64_TO_LE(VMLINUX_CODE),
		.sh_type = GUINT32_TO_LE(type),
		.sh_offset = GUINT64_TO_LE(at),
		.sh_size = GUINT64_TO_LE(size) };

	g_byte_array_append(heads, (const guint8 *)&section, sizeof section);
}

/* A place in code of which all behind the first @where bytes is @shift bytes further on. */
static inline guint32 vmlinux_place(guint32 at, guint32 where, guint32 shift)
{
	return at < where ? at : at + shift;
}

static inline void vmlinux_add(GByteArray *kernel, guint32 number)
{
	guint8 bytes[4];

	proa_put_u32(bytes, number);
	g_byte_array_append(kernel, bytes, sizeof bytes);
}

/* In the kernel of a newer release, @shift bytes of code have come in at its byte 1000. */
static inline GByteArray *vmlinux_new(guint32 shift)
{
	static const char names[] = "\0.text\0.orc_unwind_ip\0.altinstructions\0.shstrtab\0.bss\0.rodata";
	g_autoptr(GByteArray) text = image_new(5, VMLINUX_TEXT), more = image_new(6, shift + 1),
			      heads = g_byte_array_new();
	GByteArray *kernel = g_byte_array_new();
	Elf64_Ehdr head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_machine = GUINT16_TO_LE(EM_X86_64),
		.e_shentsize = GUINT16_TO_LE(sizeof(Elf64_Shdr)),
		.e_shstrndx = GUINT16_TO_LE(5) };
	Dice dice = { 11 };
	guint32 at = 0;

	g_byte_array_append(kernel, (const guint8 *)&head, sizeof head);
	vmlinux_section(heads, 0, SHT_NULL, 0, 0);
	vmlinux_section(heads, 1, SHT_PROGBITS, kernel->len, VMLINUX_TEXT);
	g_byte_array_append(kernel, text->data, 1000);
	g_byte_array_append(kernel, more->data, shift);
	g_byte_array_append(kernel, text->data + 1000, VMLINUX_TEXT - 1000 - shift);
	vmlinux_section(heads, 7, SHT_PROGBITS, kernel->len, VMLINUX_PLACES * 4);
	for (guint32 i = 0; i < VMLINUX_PLACES; i++) {
		at += dice_roll(&dice, 28);
		vmlinux_add(kernel, vmlinux_place(at, 1000, shift) - kernel->len);
	}
	vmlinux_section(heads, 22, SHT_PROGBITS, kernel->len, VMLINUX_RECORDS * 14);
	for (guint32 i = 0; i < VMLINUX_RECORDS; i++) {
		vmlinux_add(kernel, vmlinux_place(i * 500, 1000, shift) - kernel->len);
		vmlinux_add(kernel, i * 20 - kernel->len);
		g_byte_array_append(kernel, (const guint8 *)"\1\2\3\4\5\6", 6);
	}
	vmlinux_section(heads, 54, SHT_PROGBITS, kernel->len, 100 + 512 + VMLINUX_SYMBOLS * 4 + 8 + 100);
	g_byte_array_append(kernel, text->data, 100);
	for (guint16 i = 0; i < 256; i++)
		g_byte_array_append(kernel, (const guint8[]){ (guint8)(i * 3), (guint8)(i * 3 >> 8) }, 2);
	for (guint32 i = 0; i < VMLINUX_SYMBOLS; i++)
		vmlinux_add(kernel, ~vmlinux_place(i * 100, 1000, shift));
	vmlinux_add(kernel, (guint32)VMLINUX_CODE);
	vmlinux_add(kernel, (guint32)(VMLINUX_CODE >> 32));
	g_byte_array_append(kernel, text->data + 100, 100);
	vmlinux_section(heads, 39, SHT_STRTAB, kernel->len, sizeof names);
	g_byte_array_append(kernel, (const guint8 *)names, sizeof names);
	/* One that takes no bytes of the file, whatever it says. */
	vmlinux_section(heads, 49, SHT_NOBITS, 1u << 30, 1u << 30);
	while (kernel->len % 8 != 0)
		g_byte_array_append(kernel, (const guint8 *)"", 1);
	Elf64_Ehdr *there = (Elf64_Ehdr *)(gpointer)kernel->data;
	there->e_shoff = GUINT64_TO_LE((guint64)kernel->len);
	there->e_shnum = GUINT16_TO_LE((guint16)(heads->len / sizeof(Elf64_Shdr)));
	g_byte_array_append(kernel, heads->data, heads->len);
	/* Behind the file: what is relocated. */
	at = 0x81000000;
	for (guint32 i = 0; i < VMLINUX_RELOCATIONS; i++)
		vmlinux_add(kernel, vmlinux_place(at += dice_roll(&dice, 50), 0x81000000 + 1000, shift));
	return kernel;
}

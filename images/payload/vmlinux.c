/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/vmlinux.h"

#include "images/payload/align.h"
#include "updater/payload/wire.h"

#include <elf.h>

/*
 * Sections whose records begin with one or two numbers of 32 bits, each a place less the place of the number
 * itself, sorted by the first (Linux, arch/x86/kernel/vmlinux.lds.S, tools/objtool/check.c,
 * arch/x86/include/asm/alternative.h, arch/x86/include/asm/extable.h, include/asm-generic/bug.h).
 */
static const struct {
	const char *name;
	guint16 record_size, fields;
} known[] = {
	{ ".orc_unwind_ip", 4, 1 },
	{ ".call_sites", 4, 1 },
	{ ".return_sites", 4, 1 },
	{ ".retpoline_sites", 4, 1 },
	{ ".ibt_endbr_seal", 4, 1 },
	{ ".cfi_sites", 4, 1 },
	{ ".smp_locks", 4, 1 },
	{ ".altinstructions", 14, 3 },
	{ "__bug_table", 12, 3 },
	{ "__ex_table", 12, 3 },
};

static gboolean within(guint64 at, guint64 length, gsize size)
{
	return at <= size && length <= size - at;
}

static void add_table(
	ProaStepTable *tables, guint *n, guint64 at, guint64 length, guint16 record_size, guint16 fields)
{
	guint64 records = length / record_size;

	if (*n < PROA_STEPS_MAX_TABLES && records > 0 && records <= G_MAXUINT32)
		tables[(*n)++] = (ProaStepTable){ at, (guint32)records, record_size, fields };
}

static void add_section(ProaStepTable *tables, guint *n, const char *name, guint64 at, guint64 length)
{
	for (guint i = 0; i < G_N_ELEMENTS(known); i++)
		if (strcmp(name, known[i].name) == 0)
			add_table(tables, n, at, length, known[i].record_size, known[i].fields);
}

static int by_offset(gconstpointer a, gconstpointer b)
{
	const ProaStepTable *first = a, *second = b;

	return first->offset < second->offset ? -1 : first->offset > second->offset;
}

/* Sorted; none if some overlap: it is not the file that it seems to be. */
static guint settle(ProaStepTable *tables, guint n)
{
	qsort(tables, n, sizeof *tables, by_offset);
	for (guint i = 1; i < n; i++)
		if (tables[i - 1].offset + (guint64)tables[i - 1].n * tables[i - 1].record_size >
			tables[i].offset)
			return 0;
	return n;
}

/* Of what the kernel's own symbol table is told by. */
#define TOKENS 256u
#define TOKEN_INDEX_SIZE ((gsize)TOKENS * 2)

/* Whether 256 places in a string of tokens lie here: from 0 on, each behind the one before. */
static gboolean is_token_index(const guint8 *data)
{
	for (guint i = 1; i < TOKENS; i++)
		if (proa_get_u16(data + 2 * (gsize)i) <= proa_get_u16(data + 2 * (gsize)(i - 1)))
			return FALSE;
	return proa_get_u16(data) == 0;
}

/*
 * The addresses of the kernel's symbols, in order: in the @size bytes at @data, between the index of the
 * tokens that their names are made of and the address of the first byte of code, which they count from
 * (Linux, scripts/kallsyms.c).
 */
static gboolean find_symbols(const guint8 *data, gsize size, guint64 code, ProaRange *ret)
{
	gsize behind = 0; /* the last index */

	for (gsize at = 0; at + 8 <= size; at += 4) {
		if (at >= TOKEN_INDEX_SIZE && is_token_index(data + at - TOKEN_INDEX_SIZE))
			behind = at;
		if (behind == 0 || at == behind || proa_get_u64(data + at) != code)
			continue;
		*ret = (ProaRange){ behind, at - behind };
		return TRUE;
	}
	return FALSE;
}

/* A kernel's sections; what is said of them lies within it. */
typedef struct {
	const guint8 *kernel;
	gsize size;
	guint64 sections, n; /* where their heads are, and how many */
	guint64 names;       /* where these are; each ends within the file */
	guint64 names_size;
} Elf;

static gboolean open_elf(const guint8 *kernel, gsize size, Elf *elf)
{
	static const guint8 magic[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB };
	Elf64_Ehdr head;
	Elf64_Shdr names;

	if (size < sizeof head)
		return FALSE;
	memcpy(&head, kernel, sizeof head);
	*elf = (Elf){ kernel, size, GUINT64_FROM_LE(head.e_shoff), GUINT16_FROM_LE(head.e_shnum), 0, 0 };
	guint64 of_names = GUINT16_FROM_LE(head.e_shstrndx);
	if (memcmp(kernel, magic, sizeof magic) != 0 || GUINT16_FROM_LE(head.e_machine) != EM_X86_64 ||
		GUINT16_FROM_LE(head.e_shentsize) != sizeof names || of_names >= elf->n ||
		!within(elf->sections, elf->n * sizeof names, size))
		return FALSE;
	memcpy(&names, kernel + elf->sections + of_names * sizeof names, sizeof names);
	elf->names = GUINT64_FROM_LE(names.sh_offset);
	elf->names_size = GUINT64_FROM_LE(names.sh_size);
	return elf->names_size >= 1 && within(elf->names, elf->names_size, size) &&
	       kernel[elf->names + elf->names_size - 1] == '\0';
}

/* A section: its name and its bytes, none of which may be there. */
static gboolean get_section(
	const Elf *elf, guint64 index, const char **ret_name, ProaRange *ret, guint64 *ret_address)
{
	Elf64_Shdr section;

	memcpy(&section, elf->kernel + elf->sections + index * sizeof section, sizeof section);
	guint64 name = GUINT32_FROM_LE(section.sh_name);
	*ret = (ProaRange){ GUINT64_FROM_LE(section.sh_offset), GUINT64_FROM_LE(section.sh_size) };
	*ret_address = GUINT64_FROM_LE(section.sh_addr);
	if (GUINT32_FROM_LE(section.sh_type) == SHT_NOBITS)
		*ret = (ProaRange){ 0, 0 };
	if (name >= elf->names_size || !within(ret->at, ret->length, elf->size))
		return FALSE;
	*ret_name = (const char *)elf->kernel + elf->names + name;
	return TRUE;
}

guint proa_vmlinux_tables(const guint8 *kernel, gsize size, ProaStepTable ret_tables[PROA_STEPS_MAX_TABLES])
{
	Elf elf;
	guint n = 0;
	guint64 code = 0, address;

	if (!open_elf(kernel, size, &elf))
		return 0;
	guint64 end = elf.sections + elf.n * sizeof(Elf64_Shdr);
	for (guint64 i = 1; i < elf.n; i++) {
		const char *name;
		ProaRange bytes, symbols;
		if (!get_section(&elf, i, &name, &bytes, &address))
			return 0;
		end = MAX(end, bytes.at + bytes.length);
		add_section(ret_tables, &n, name, bytes.at, bytes.length);
		if (strcmp(name, ".text") == 0)
			code = address;
		if (strcmp(name, ".rodata") == 0 &&
			find_symbols(kernel + bytes.at, bytes.length, code, &symbols))
			add_table(ret_tables, &n, bytes.at + symbols.at, symbols.length, 4, 1);
	}
	/* Behind the file: 32 bits of each address that is relocated, sorted (arch/x86/tools/relocs.c). */
	add_table(ret_tables, &n, end, size - end, 4, 1);
	return settle(ret_tables, n);
}

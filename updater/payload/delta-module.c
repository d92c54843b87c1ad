/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-module.h"

#include "updater/payload/wire.h"

#include <elf.h>

#define BAD PROA_REASON_BAD_PAYLOAD

G_STATIC_ASSERT(sizeof(Elf64_Sym) == PROA_DELTA_RECORD_SIZE && sizeof(Elf64_Rela) == PROA_DELTA_RECORD_SIZE);

static gboolean within(guint64 offset, guint64 length, guint64 size)
{
	return offset <= size && length <= size - offset;
}

gboolean proa_delta_module_head(ProaDeltaModuleRead read, gpointer user_data, guint64 size,
	ProaDeltaModuleHead *ret_head, GError **error)
{
	guint8 data[sizeof(Elf64_Ehdr)];

	if (size < sizeof data)
		return proa_fail(error, BAD, "a module is shorter than an ELF header");
	if (!read(user_data, 0, data, sizeof data, error))
		return FALSE;
	if (memcmp(data, ELFMAG, SELFMAG) != 0 || data[EI_CLASS] != ELFCLASS64 ||
		data[EI_DATA] != ELFDATA2LSB || proa_get_u16(data + 16) != ET_REL ||
		proa_get_u16(data + 18) != EM_X86_64 || proa_get_u16(data + 58) != sizeof(Elf64_Shdr))
		return proa_fail(error, BAD, "a module is not a relocatable x86-64 file");
	*ret_head = (ProaDeltaModuleHead){ proa_get_u64(data + 40), proa_get_u16(data + 60),
		proa_get_u16(data + 62) };
	return TRUE;
}

static void parse_section(const guint8 *data, ProaDeltaSection *section)
{
	section->type = proa_get_u32(data + 4);
	section->flags = proa_get_u64(data + 8);
	section->offset = proa_get_u64(data + 24);
	section->size = proa_get_u64(data + 32);
	section->link = proa_get_u32(data + 40);
	section->info = proa_get_u32(data + 44);
}

static gboolean read_sections(ProaDeltaModule *module, guint8 *headers, GError **error)
{
	const ProaDeltaModuleHead *head = &module->head;

	for (guint32 i = 0; i < head->count; i++) {
		ProaDeltaSection *section = &module->sections[i];
		parse_section(headers + (gsize)i * sizeof(Elf64_Shdr), section);
		if (section->type == SHT_NOBITS || section->type == SHT_NULL)
			section->size = 0;
		if (section->size > 0 && !within(section->offset, section->size, module->size))
			return proa_fail(error, BAD, "section %u of a module lies outside of it", i);
	}
	const ProaDeltaSection *names = &module->sections[head->names];
	if (names->size > PROA_DELTA_MAX_SECTIONS * 64)
		return proa_fail(error, BAD, "the section names of a module are too long");
	module->names = g_malloc0(names->size + 1);
	if (names->size > 0 &&
		!module->read(module->user_data, names->offset, (guint8 *)module->names, names->size, error))
		return FALSE;
	for (guint32 i = 0; i < head->count; i++) {
		guint32 name = proa_get_u32(headers + (gsize)i * sizeof(Elf64_Shdr));
		module->sections[i].name = module->names + MIN(name, names->size);
		if (strnlen(module->sections[i].name, PROA_DELTA_MAX_SECTION_NAME + 1) >
			PROA_DELTA_MAX_SECTION_NAME)
			return proa_fail(error, BAD, "the name of section %u of a module is too long", i);
	}
	return TRUE;
}

ProaDeltaModule *proa_delta_module_open(ProaDeltaModuleRead read, gpointer user_data, guint64 size,
	const ProaDeltaModuleHead *head, GError **error)
{
	guint64 length = (guint64)head->count * sizeof(Elf64_Shdr);

	if (head->count == 0 || head->count > PROA_DELTA_MAX_SECTIONS || head->names >= head->count ||
		!within(head->offset, length, size)) {
		proa_fail(error, BAD, "the section headers of a module lie outside of it");
		return NULL;
	}
	g_autofree guint8 *headers = g_malloc(length);
	if (!read(user_data, head->offset, headers, length, error))
		return NULL;
	g_autoptr(ProaDeltaModule) module = g_new0(ProaDeltaModule, 1);
	*module = (ProaDeltaModule){ .size = size, .read = read, .user_data = user_data, .head = *head };
	module->sections = g_new0(ProaDeltaSection, head->count);
	return read_sections(module, headers, error) ? g_steal_pointer(&module) : NULL;
}

void proa_delta_module_free(ProaDeltaModule *module)
{
	if (!module)
		return;
	g_free(module->sections);
	g_free(module->names);
	g_free(module);
}

ProaDeltaStream proa_delta_column_stream(ProaDeltaTableKind kind, guint column)
{
	static const ProaDeltaStream symbols[] = { PROA_DELTA_SYMBOL_NAME, PROA_DELTA_SYMBOL_OPS,
		PROA_DELTA_SYMBOL_OPS, PROA_DELTA_SYMBOL_VALUE, PROA_DELTA_SYMBOL_VALUE };
	static const ProaDeltaStream rela[] = { PROA_DELTA_RELA_OFFSET, PROA_DELTA_RELA_OPS,
		PROA_DELTA_RELA_SYMBOL, PROA_DELTA_RELA_ADDEND };

	return kind == PROA_DELTA_TABLE_SYMBOLS ? symbols[column] : rela[column];
}

guint proa_delta_table_columns(ProaDeltaTableKind kind)
{
	return kind == PROA_DELTA_TABLE_SYMBOLS ? 5 : 4;
}

void proa_delta_record_parse(ProaDeltaTableKind kind, const guint8 *data, ProaDeltaRecord *ret)
{
	if (kind == PROA_DELTA_TABLE_SYMBOLS)
		*ret = (ProaDeltaRecord){ { proa_get_u32(data), proa_get_u16(data + 4),
			proa_get_u16(data + 6), (gint64)proa_get_u64(data + 8),
			(gint64)proa_get_u64(data + 16) } };
	else
		*ret = (ProaDeltaRecord){ { (gint64)proa_get_u64(data), proa_get_u32(data + 8),
			proa_get_u32(data + 12), (gint64)proa_get_u64(data + 16) } };
}

void proa_delta_record_write(ProaDeltaTableKind kind, const ProaDeltaRecord *record, guint8 *data)
{
	const gint64 *column = record->column;

	if (kind == PROA_DELTA_TABLE_SYMBOLS) {
		proa_put_u32(data, (guint32)column[0]);
		proa_put_u16(data + 4, (guint16)column[1]);
		proa_put_u16(data + 6, (guint16)column[2]);
		proa_put_u64(data + 8, (guint64)column[3]);
		proa_put_u64(data + 16, (guint64)column[4]);
	} else {
		proa_put_u64(data, (guint64)column[0]);
		proa_put_u32(data + 8, (guint32)column[1]);
		proa_put_u32(data + 12, (guint32)column[2]);
		proa_put_u64(data + 16, (guint64)column[3]);
	}
}

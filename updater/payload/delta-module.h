/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta-module: predicts the symbol table and the relocation tables of a new kernel module (ELF, "System V
 * ABI, AMD64 supplement") from those of the old one.
 *
 * Most bytes of a module are tables whose numbers shift whenever code moves: offsets into sections, indices
 * of symbols. Where code moved is known from the operations that made it, so those numbers follow; only what
 * is truly new is on the wire. Applier and maker predict with this same code. All of it treats both modules
 * as hostile: whatever lies outside of a file is refused, and a wrong prediction is just a wrong prediction.
 */
#pragma once

#include "updater/payload/delta-format.h"
#include "updater/payload/delta-map.h"

/* A module with more sections, a longer name, or a table with more bytes is not taken apart. */
#define PROA_DELTA_MAX_SECTIONS 1024u
#define PROA_DELTA_MAX_SECTION_NAME 511u
#define PROA_DELTA_MAX_TABLE (4u * 1024 * 1024)

/* Reads @size bytes at @offset of the file; what is asked for lies within the file. */
typedef gboolean (*ProaDeltaModuleRead)(
	gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error);

/* Where the section headers are; in an old module its ELF header says so. */
typedef struct {
	guint64 offset;
	guint32 count, names; /* names: index of the section with the sections' names */
} ProaDeltaModuleHead;

typedef struct {
	guint32 type, link, info;
	guint64 flags, offset, size;
	const char *name;
} ProaDeltaSection;

typedef struct {
	guint64 size;
	ProaDeltaModuleRead read;
	gpointer user_data;
	ProaDeltaModuleHead head;
	ProaDeltaSection *sections;
	char *names;
} ProaDeltaModule;

/* Reads the ELF header of a relocatable x86-64 file; BAD_PAYLOAD if it is none. */
gboolean proa_delta_module_head(ProaDeltaModuleRead read, gpointer user_data, guint64 size,
	ProaDeltaModuleHead *ret_head, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the section headers and names of a file of @size bytes. BAD_PAYLOAD if anything is out of bounds. */
ProaDeltaModule *proa_delta_module_open(ProaDeltaModuleRead read, gpointer user_data, guint64 size,
	const ProaDeltaModuleHead *head, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_delta_module_free(ProaDeltaModule *module);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaModule, proa_delta_module_free)

typedef enum {
	PROA_DELTA_TABLE_SYMBOLS,
	PROA_DELTA_TABLE_RELA,
} ProaDeltaTableKind;

/* Both kinds have records of this many bytes. */
#define PROA_DELTA_RECORD_SIZE 24u

/* A table of the new module that is predicted from one of the old. Offsets in bytes within the files. */
typedef struct {
	ProaDeltaTableKind kind;
	guint32 new_section, old_section;
	guint64 new_offset, old_offset;
	guint32 new_count, old_count; /* records */
} ProaDeltaTable;

/* A record as numbers. Symbols: name, info and other, section, value, size. Rela: offset, type, symbol,
 * addend. */
#define PROA_DELTA_MAX_COLUMNS 5
typedef struct {
	gint64 column[PROA_DELTA_MAX_COLUMNS];
} ProaDeltaRecord;

/* The stream that column @column of a table is told in; some share one. Column 1's has the operations as
 * well. */
ProaDeltaStream proa_delta_column_stream(ProaDeltaTableKind kind, guint column);
guint proa_delta_table_columns(ProaDeltaTableKind kind);
void proa_delta_record_parse(ProaDeltaTableKind kind, const guint8 *data, ProaDeltaRecord *ret);
void proa_delta_record_write(ProaDeltaTableKind kind, const ProaDeltaRecord *record, guint8 *data);

typedef struct ProaDeltaPredict ProaDeltaPredict;

/*
 * Begins to predict @new_module from @old_module; both must outlive it. Of the new one only the first @limit
 * bytes are made (the rest is there already): tables are cut to whole records below that. BAD_PAYLOAD if
 * tables overlap, or take more than PROA_DELTA_MAX_UNIT_MEMORY with the new module.
 */
ProaDeltaPredict *proa_delta_predict_new(const ProaDeltaModule *old_module, const ProaDeltaModule *new_module,
	guint64 limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_delta_predict_free(ProaDeltaPredict *predict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaPredict, proa_delta_predict_free)

/* The tables, by their place in the new file: a GArray of ProaDeltaTable owned by @predict. */
const GArray *proa_delta_predict_tables(const ProaDeltaPredict *predict);

/* From here on it is known where the old bytes went; @map must outlive @predict. */
void proa_delta_predict_learn(ProaDeltaPredict *predict, const ProaDeltaMap *map);

/* Makes @table the one that the functions below are about: reads its old records. Symbols come first. */
gboolean proa_delta_predict_begin(
	ProaDeltaPredict *predict, const ProaDeltaTable *table, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Predicts what became of old record @index; FALSE if it is likely gone. @previous: the new record that comes
 * before (NULL: none).
 */
gboolean proa_delta_predict_record(const ProaDeltaPredict *predict, guint32 index,
	const ProaDeltaRecord *previous, ProaDeltaRecord *ret);

/* Whether the first column of its table says little by itself: records shift when others come or go. */
gboolean proa_delta_predict_relative(const ProaDeltaPredict *predict);

/* Old symbol @old_index is new symbol @new_index; to be told while the symbols are made. */
void proa_delta_predict_symbol(ProaDeltaPredict *predict, guint32 old_index, guint32 new_index);

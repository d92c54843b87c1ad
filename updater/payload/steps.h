/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps: tables whose numbers are told by how far each is from the one before. A kernel's tables of places in
 * its code are sorted: where code moves all numbers behind it change, and the steps between them do not. So a
 * delta is made of, and makes, kernels whose tables hold steps (docs/formats.md, "Payload of a UKI").
 */
#pragma once

#include "base/reason.h"

/* Caps of the parser. */
#define PROA_STEPS_MAX_TABLES 32u
#define PROA_STEPS_MAX_RECORD 64u
#define PROA_STEPS_ENTRY_SIZE 16

/* Records in a row. Bit i of @fields: bytes 4i to 4i + 3 of each are a number that becomes a step. */
typedef struct {
	guint64 offset;      /* of the first record, bytes */
	guint32 n;           /* records, at least 1 */
	guint16 record_size; /* bytes, 4 to PROA_STEPS_MAX_RECORD */
	guint16 fields;      /* at least one */
} ProaStepTable;

/*
 * Parses @n entries (PROA_STEPS_ENTRY_SIZE each): tables in order, without overlap, within @size bytes.
 * BAD_PAYLOAD otherwise. @n is at most PROA_STEPS_MAX_TABLES.
 */
gboolean proa_steps_parse(const guint8 *entries, guint n, guint64 size, ProaStepTable *ret_tables,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_steps_serialize(const ProaStepTable *tables, guint n, guint8 *entries);

/* A walk over bytes in order, in pieces of any size. @tables must outlive it. */
typedef struct {
	const ProaStepTable *tables;
	guint n;
	gboolean undo;                      /* steps become numbers again */
	guint64 at;                         /* the next byte */
	guint32 within;                     /* where it is in its record */
	gboolean carry;                     /* of the byte before, into this one */
	guint8 last[PROA_STEPS_MAX_RECORD]; /* the numbers of the record before */
} ProaSteps;

/* From byte @at on, which lies in no table. */
ProaSteps proa_steps_begin(const ProaStepTable *tables, guint n, guint64 at, gboolean undo);

/* Changes the next @size bytes in place. */
void proa_steps_run(ProaSteps *steps, guint8 *data, gsize size);

/* How many of the next bytes are in no table; G_MAXUINT64: none that comes is. */
guint64 proa_steps_ahead(const ProaSteps *steps);

/* Passes over the next @size bytes, at most so many. */
void proa_steps_skip(ProaSteps *steps, gsize size);

/* Makes steps of the tables of the file @fd, whose first byte is that of offset 0. IO. */
gboolean proa_steps_file(
	const ProaStepTable *tables, guint n, int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/* delta-ops: the operations of a delta (docs/formats.md, "Payload `delta`"). */
#pragma once

/* The lowest bits of a number of the stream OPS; the upper bits are the length, at least 1 byte. */
#define PROA_DELTA_OP_BITS 3

typedef enum {
	PROA_DELTA_COPY,    /* old bytes that follow those of the operation before */
	PROA_DELTA_COPY_AT, /* old bytes from elsewhere: SEEK says how far from there */
	PROA_DELTA_PATCH,   /* the same two, with DIFF added byte by byte */
	PROA_DELTA_PATCH_AT,
	PROA_DELTA_NEW,         /* bytes of LITERAL */
	PROA_DELTA_ZERO,        /* zeros */
	PROA_DELTA_UNIT,        /* a kernel module, made as a whole */
	PROA_DELTA_PATCH_WORDS, /* in a module: as PATCH_AT, with WORDS added by 4 bytes */
} ProaDeltaOp;

/* Operations on the records of a module's table: the lowest 2 bits of a number, the upper ones its argument.
 */
#define PROA_DELTA_ROW_BITS 2

typedef enum {
	PROA_DELTA_ROW_SKIP,       /* so many old records are gone */
	PROA_DELTA_ROW_INSERT,     /* so many new records, each relative to the one before */
	PROA_DELTA_ROW_SUBSTITUTE, /* the next record, with these columns corrected (a bit each) */
} ProaDeltaRowOp;

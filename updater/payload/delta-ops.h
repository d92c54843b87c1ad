/* SPDX-License-Identifier: Apache-2.0 */
/* delta-ops: the operations of a delta (docs/formats.md, "Payload `delta`"). */
#pragma once

#include <glib.h>

/* The lowest bits of a number of the stream OPS; the upper bits are the length, at least 1 byte. */
#define PROA_DELTA_OP_BITS 3

typedef enum {
	PROA_DELTA_COPY,    /* old bytes that follow those of the operation before */
	PROA_DELTA_COPY_AT, /* old bytes from elsewhere: SEEK says how far from there */
	PROA_DELTA_PATCH,   /* the same two, with DIFF added */
	PROA_DELTA_PATCH_AT,
	PROA_DELTA_NEW,         /* bytes of LITERAL */
	PROA_DELTA_ZERO,        /* zeros */
	PROA_DELTA_UNIT,        /* a kernel module, made as a whole */
	PROA_DELTA_PATCH_WORDS, /* in a module: as PATCH_AT, with WORDS added by 4 bytes */
} ProaDeltaOp;

/*
 * DIFF is added to old bytes as numbers of 32 bits, lowest byte first: one begins at each byte of DIFF that
 * is not 0 and in none yet. What is carried goes on within it, and no further; bytes in none are the old
 * ones.
 */
#define PROA_DELTA_DIFF_BYTES 4u

typedef struct {
	guint left;     /* bytes of the number under way that are still to come */
	gboolean carry; /* into the next of them; of a difference: borrowed from it */
} ProaDeltaDiff;

/* Adds the next byte of DIFF to the next old byte. */
static inline guint8 proa_delta_diff_add(ProaDeltaDiff *diff, guint8 old_byte, guint8 byte)
{
	guint sum = (guint)old_byte + byte;

	if (diff->left > 0) {
		sum += diff->carry ? 1 : 0;
		diff->left--;
	} else if (byte != 0) {
		diff->left = PROA_DELTA_DIFF_BYTES - 1;
	}
	diff->carry = sum > 0xff;
	return (guint8)sum;
}

/* The byte of DIFF that makes @new_byte of @old_byte. */
static inline guint8 proa_delta_diff_take(ProaDeltaDiff *diff, guint8 old_byte, guint8 new_byte)
{
	guint borrow = diff->left > 0 && diff->carry ? 1 : 0,
	      difference = (guint)new_byte - old_byte - borrow;

	if (diff->left > 0)
		diff->left--;
	else if ((guint8)difference != 0)
		diff->left = PROA_DELTA_DIFF_BYTES - 1;
	diff->carry = difference > 0xff;
	return (guint8)difference;
}

/* Operations on the records of a module's table: the lowest 2 bits of a number, the upper ones its argument.
 */
#define PROA_DELTA_ROW_BITS 2

typedef enum {
	PROA_DELTA_ROW_SKIP,       /* so many old records are gone */
	PROA_DELTA_ROW_INSERT,     /* so many new records, each relative to the one before */
	PROA_DELTA_ROW_SUBSTITUTE, /* the next record, with these columns corrected (a bit each) */
} ProaDeltaRowOp;

/* SPDX-License-Identifier: Apache-2.0 */
/* align: which bytes of something new are best made from which bytes of something old. */
#pragma once

#include <glib.h>

/* @length bytes at @at. What is to be made, or made from, is a list of these, read as if they lay in a row.
 */
typedef struct {
	guint64 at, length;
} ProaRange;

/* @length new bytes at @new_at are like the old ones at @old_at, if @matched, or like none. */
typedef struct {
	guint64 new_at, old_at, length;
	gboolean matched;
} ProaPiece;

/* Both are GArrays: of ranges, of pieces. */
GArray *proa_ranges_new(void);
GArray *proa_pieces_new(void);

/* Adds a range unless it is empty. */
void proa_ranges_add(GArray *ranges, guint64 at, guint64 length);

/*
 * Appends the pieces that make all of @new_ranges (of @new_data) from @old_ranges (of @old_data); no piece
 * goes beyond a range. Old ranges hold at most 2 GiB. Within a matched piece bytes may differ.
 */
void proa_align(const guint8 *old_data, const GArray *old_ranges, const guint8 *new_data,
	const GArray *new_ranges, GArray *pieces);

/* The same where both have the same bytes. */
void proa_align_equal(const GArray *old_ranges, const GArray *new_ranges, GArray *pieces);

/*
 * The same as proa_align() for what is too large for it, in time and memory that do not grow with more than
 * the size: only blocks of 4096 bytes that are the same at the same place of both rows are matched.
 */
void proa_align_in_place(const guint8 *old_data, const GArray *old_ranges, const guint8 *new_data,
	const GArray *new_ranges, GArray *pieces);

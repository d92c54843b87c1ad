/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/align.h"

#include <divsufsort.h>
#include <string.h>

/* A match must be so much better than going on as before; bytes. */
#define MIN_GAIN 8
/* So long a match that is no better than going on as before is gone over in one go. */
#define LONG_MATCH 1024
/* What is too large to be compared is looked at by so many bytes. */
#define BLOCK_SIZE ((guint64)4096)

GArray *proa_ranges_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(ProaRange));
}

GArray *proa_pieces_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(ProaPiece));
}

void proa_ranges_add(GArray *ranges, guint64 at, guint64 length)
{
	const ProaRange range = { at, length };

	if (length > 0)
		g_array_append_val(ranges, range);
}

static gsize total(const GArray *ranges)
{
	gsize size = 0;

	for (guint i = 0; i < ranges->len; i++)
		size += g_array_index(ranges, ProaRange, i).length;
	return size;
}

/* The ranges in a row; @ret_copy is to be freed, or NULL when they already lie so. */
static const guint8 *join(const guint8 *data, const GArray *ranges, guint8 **ret_copy)
{
	*ret_copy = NULL;
	if (ranges->len == 1)
		return data + g_array_index(ranges, ProaRange, 0).at;
	guint8 *copy = g_malloc(MAX(total(ranges), 1)), *to = copy;
	for (guint i = 0; i < ranges->len; i++) {
		const ProaRange *range = &g_array_index(ranges, ProaRange, i);
		memcpy(to, data + range->at, range->length);
		to += range->length;
	}
	return *ret_copy = copy;
}

/* Where a place in the row lies, and how many bytes go on there. */
static guint64 place(const GArray *ranges, guint64 at, guint64 *ret_left)
{
	guint i = 0;

	for (; at >= g_array_index(ranges, ProaRange, i).length; i++)
		at -= g_array_index(ranges, ProaRange, i).length;
	*ret_left = g_array_index(ranges, ProaRange, i).length - at;
	return g_array_index(ranges, ProaRange, i).at + at;
}

static void add_piece(const GArray *old_ranges, const GArray *new_ranges, guint64 new_at, guint64 old_at,
	guint64 length, gboolean matched, GArray *pieces)
{
	while (length > 0) {
		guint64 new_left, old_left = length;
		ProaPiece piece = { .new_at = place(new_ranges, new_at, &new_left), .matched = matched };
		if (matched)
			piece.old_at = place(old_ranges, old_at, &old_left);
		piece.length = MIN(length, MIN(new_left, old_left));
		g_array_append_val(pieces, piece);
		new_at += piece.length;
		old_at += piece.length;
		length -= piece.length;
	}
}

void proa_align_equal(const GArray *old_ranges, const GArray *new_ranges, GArray *pieces)
{
	add_piece(old_ranges, new_ranges, 0, 0, total(new_ranges), TRUE, pieces);
}

/* A place in a row, and how many bytes go on there; 0 at the end of the row. */
typedef struct {
	const GArray *ranges;
	guint index;
	guint64 within;
} Cursor;

static guint64 left_at(const Cursor *cursor, guint64 *ret_at)
{
	if (cursor->index >= cursor->ranges->len)
		return 0;
	const ProaRange *range = &g_array_index(cursor->ranges, ProaRange, cursor->index);
	*ret_at = range->at + cursor->within;
	return range->length - cursor->within;
}

static void advance(Cursor *cursor, guint64 length)
{
	cursor->within += length;
	while (cursor->index < cursor->ranges->len &&
		cursor->within >= g_array_index(cursor->ranges, ProaRange, cursor->index).length)
		cursor->within -= g_array_index(cursor->ranges, ProaRange, cursor->index++).length;
}

/* Makes the last piece longer if this one goes on where that ends. */
static void join_piece(GArray *pieces, const ProaPiece *piece)
{
	ProaPiece *last = pieces->len > 0 ? &g_array_index(pieces, ProaPiece, pieces->len - 1) : NULL;

	if (last && last->matched == piece->matched && last->new_at + last->length == piece->new_at &&
		(!piece->matched || last->old_at + last->length == piece->old_at))
		last->length += piece->length;
	else
		g_array_append_vals(pieces, piece, 1);
}

void proa_align_in_place(const guint8 *old_data, const GArray *old_ranges, const guint8 *new_data,
	const GArray *new_ranges, GArray *pieces)
{
	Cursor from = { old_ranges, 0, 0 }, to = { new_ranges, 0, 0 };
	guint64 old_at = 0, new_at = 0, left;

	while ((left = left_at(&to, &new_at)) > 0) {
		guint64 old_left = left_at(&from, &old_at);
		guint64 n = MIN(MIN(left, old_left > 0 ? old_left : left), BLOCK_SIZE);
		gboolean same = old_left > 0 && memcmp(old_data + old_at, new_data + new_at, n) == 0;
		const ProaPiece piece = { new_at, same ? old_at : 0, n, same };
		join_piece(pieces, &piece);
		advance(&to, n);
		advance(&from, n);
	}
}

typedef struct {
	const guint8 *old_data, *new_data;
	gint64 old_size, new_size;
	const saidx_t *suffixes;
	const GArray *old_ranges, *new_ranges;
	GArray *pieces;
} Align;

static gint64 common(const Align *align, gint64 old_at, gint64 new_at)
{
	gint64 n = MIN(align->old_size - old_at, align->new_size - new_at), i = 0;
	const guint8 *a = align->old_data + old_at, *b = align->new_data + new_at;

	for (; i + 8 <= n; i += 8) {
		guint64 x, y;
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			break;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* The longest match of the new bytes at @new_at anywhere in the old ones. */
static gint64 longest(const Align *align, gint64 new_at, gint64 *ret_old_at)
{
	gint64 low = 0, high = align->old_size - 1, best = 0;

	while (low <= high) {
		gint64 middle = low + (high - low) / 2, at = align->suffixes[middle];
		gint64 n = common(align, at, new_at);
		if (n > best) {
			best = n;
			*ret_old_at = at;
		}
		if (new_at + n == align->new_size)
			break;
		if (at + n < align->old_size && align->old_data[at + n] > align->new_data[new_at + n])
			high = middle - 1;
		else
			low = middle + 1;
	}
	return best;
}

/* How far it pays to go on from both places, @step being 1 or -1: as long as more bytes match than differ. */
static gint64 stretch(const Align *align, gint64 old_at, gint64 new_at, gint64 step, gint64 limit)
{
	gint64 score = 0, best_score = 0, best = 0;

	for (gint64 i = 1; i <= limit; i++) {
		gint64 a = old_at + (step > 0 ? i - 1 : -i), b = new_at + (step > 0 ? i - 1 : -i);
		if (a < 0 || a >= align->old_size)
			break;
		score += align->old_data[a] == align->new_data[b] ? 1 : -1;
		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

/* Where two neighbours that claim the same @overlap bytes part best: how many of them the first one gets. */
static gint64 part(const Align *align, gint64 first_old, gint64 second_old, gint64 new_at, gint64 overlap)
{
	gint64 score = 0, best_score = 0, best = 0;

	for (gint64 i = 0; i < overlap; i++) {
		guint8 byte = align->new_data[new_at + i];
		score += (align->old_data[first_old + i] == byte) - (align->old_data[second_old + i] == byte);
		if (score > best_score) {
			best_score = score;
			best = i + 1;
		}
	}
	return best;
}

/* The alignment that holds now: new byte @new_at belongs to old byte @old_at. */
typedef struct {
	gint64 new_at, old_at;
} Anchor;

static gboolean agrees(const Align *align, const Anchor *anchor, gint64 new_at)
{
	gint64 at = new_at - anchor->new_at + anchor->old_at;

	return at >= 0 && at < align->old_size && align->old_data[at] == align->new_data[new_at];
}

/* Ends the alignment that held so far, where the next one begins. Returns where that one really begins. */
static Anchor hand_over(const Align *align, const Anchor *now, gint64 next_new, gint64 next_old)
{
	gint64 gap = next_new - now->new_at;
	gint64 forward = stretch(align, now->old_at, now->new_at, 1, gap);
	gint64 backward = next_new < align->new_size ? stretch(align, next_old, next_new, -1, gap) : 0;

	if (forward + backward > gap) {
		gint64 overlap = forward + backward - gap;
		gint64 begin = now->new_at + forward - overlap;
		gint64 first =
			part(align, now->old_at + forward - overlap, next_old - backward, begin, overlap);
		forward += first - overlap;
		backward -= first;
	}
	add_piece(align->old_ranges, align->new_ranges, (guint64)now->new_at, (guint64)now->old_at,
		(guint64)forward, TRUE, align->pieces);
	add_piece(align->old_ranges, align->new_ranges, (guint64)(now->new_at + forward), 0,
		(guint64)(gap - forward - backward), FALSE, align->pieces);
	return (Anchor){ next_new - backward, next_old - backward };
}

/*
 * Walks through the new bytes. Wherever some place in the old ones has clearly more of what comes than the
 * alignment that holds would give, that place takes over.
 */
static void walk(const Align *align)
{
	Anchor anchor = { 0, 0 };
	gint64 at = 0, length = 0, old_at = 0;

	while (at < align->new_size) {
		gint64 agreeing = 0, counted;
		at += length;
		counted = at;
		for (length = 0; at < align->new_size; at++) {
			length = longest(align, at, &old_at);
			for (; counted < at + length; counted++)
				agreeing += agrees(align, &anchor, counted);
			/* Byte after byte would find it again, a byte shorter each time. */
			if (length >= LONG_MATCH && length <= agreeing + MIN_GAIN)
				agreeing = length;
			if ((length == agreeing && length > 0) || length > agreeing + MIN_GAIN)
				break;
			if (counted > at)
				agreeing -= agrees(align, &anchor, at);
			else
				counted = at + 1;
		}
		if (at >= align->new_size || length != agreeing)
			anchor = hand_over(align, &anchor, MIN(at, align->new_size), old_at);
	}
}

void proa_align(const guint8 *old_data, const GArray *old_ranges, const guint8 *new_data,
	const GArray *new_ranges, GArray *pieces)
{
	guint8 *old_copy, *new_copy;
	Align align = { .old_data = join(old_data, old_ranges, &old_copy),
		.new_data = join(new_data, new_ranges, &new_copy),
		.old_size = (gint64)total(old_ranges),
		.new_size = (gint64)total(new_ranges),
		.old_ranges = old_ranges,
		.new_ranges = new_ranges,
		.pieces = pieces };
	g_autofree saidx_t *suffixes = g_new(saidx_t, (gsize)MAX(align.old_size, 1));

	align.suffixes = suffixes;
	g_assert(align.old_size <= G_MAXINT32);
	if (align.old_size > 0 && divsufsort(align.old_data, suffixes, (saidx_t)align.old_size) == 0)
		walk(&align);
	else
		add_piece(old_ranges, new_ranges, 0, 0, (guint64)align.new_size, FALSE, pieces);
	g_free(old_copy);
	g_free(new_copy);
}

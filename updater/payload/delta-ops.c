/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-work.h"
#include "updater/payload/wire.h"

#include <string.h>

#define CHUNK_SIZE ((gsize)16 * 1024)

/* Adds @size bytes of DIFF to the old bytes at @out. */
static void add_diff(ProaDeltaDiff *state, guint8 *out, const guint8 *diff, gsize size)
{
	for (gsize i = 0; i < size; i++) {
		/* Mostly nothing is to be added. */
		for (guint64 next; state->left == 0 && i + sizeof next <= size; i += sizeof next) {
			memcpy(&next, diff + i, sizeof next);
			if (next != 0)
				break;
		}
		if (i < size)
			out[i] = proa_delta_diff_add(state, out[i], diff[i]);
	}
}

static gboolean patch(ProaDeltaWork *work, ProaDeltaPlace *place, ProaDeltaDiff *state, guint8 *out,
	gsize size, GError **error)
{
	guint8 diff[CHUNK_SIZE];

	while (size > 0) {
		gsize n = MIN(size, sizeof diff);
		if (!place->read_old(place->user_data, *place->old_at, out, n, error) ||
			!proa_delta_take(work->streams, PROA_DELTA_DIFF, diff, n, error))
			return FALSE;
		add_diff(state, out, diff, n);
		*place->old_at += n;
		out += n;
		size -= n;
	}
	return TRUE;
}

/* @size is a multiple of 4, as is a chunk. */
static gboolean patch_words(
	ProaDeltaWork *work, ProaDeltaPlace *place, guint8 *out, gsize size, GError **error)
{
	guint8 words[CHUNK_SIZE];

	while (size > 0) {
		gsize n = MIN(size, sizeof words);
		if (!place->read_old(place->user_data, *place->old_at, out, n, error) ||
			!proa_delta_take(work->streams, PROA_DELTA_WORDS, words, n, error))
			return FALSE;
		for (gsize i = 0; i < n; i += 4)
			proa_put_u32(out + i, proa_get_u32(out + i) + proa_get_u32(words + i));
		*place->old_at += n;
		out += n;
		size -= n;
	}
	return TRUE;
}

/* @size bytes of one operation, all of them into @out. @diff: of that operation, zero in the beginning. */
static gboolean fill(ProaDeltaWork *work, ProaDeltaPlace *place, ProaDeltaOp op, ProaDeltaDiff *diff,
	guint8 *out, gsize size, GError **error)
{
	switch (op) {
	case PROA_DELTA_COPY:
	case PROA_DELTA_COPY_AT:
		if (!place->read_old(place->user_data, *place->old_at, out, size, error))
			return FALSE;
		*place->old_at += size;
		return TRUE;
	case PROA_DELTA_PATCH:
	case PROA_DELTA_PATCH_AT:
		return patch(work, place, diff, out, size, error);
	case PROA_DELTA_PATCH_WORDS:
		if (!place->memory || size % 4 != 0)
			return proa_fail(
				error, PROA_REASON_BAD_PAYLOAD, "a frame adds words where it may not");
		return patch_words(work, place, out, size, error);
	case PROA_DELTA_NEW:
		return proa_delta_take(work->streams, PROA_DELTA_LITERAL, out, size, error);
	case PROA_DELTA_ZERO:
		memset(out, 0, size);
		return TRUE;
	default:
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a frame has an operation %d", (int)op);
	}
}

static gboolean learn(ProaDeltaPlace *place, const guint8 *out, gsize size, GError **error)
{
	proa_delta_map_learn(place->map, *place->old_at - size, place->at, out, size);
	return !proa_delta_map_overflowed(place->map) ||
	       proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a module's bytes come from more than %u places",
		       PROA_DELTA_MAX_RUNS);
}

static gboolean run_op(
	ProaDeltaWork *work, ProaDeltaPlace *place, ProaDeltaOp op, guint64 length, GError **error)
{
	ProaDeltaDiff diff = { 0 };

	while (length > 0) {
		/* In memory an operation is one step: what is learnt of it must not depend on how it is cut.
		 */
		gsize size = (gsize)(place->memory ? length : MIN(length, (guint64)PROA_DELTA_OUT_SIZE));
		guint8 *out = place->memory ? place->memory + place->at : proa_delta_room(work, size, &size);
		if (!fill(work, place, op, &diff, out, size, error))
			return FALSE;
		if (place->map && (op <= PROA_DELTA_PATCH_AT || op == PROA_DELTA_PATCH_WORDS) &&
			!learn(place, out, size, error))
			return FALSE;
		place->at += size;
		length -= size;
		if (!place->memory && !proa_delta_commit(work, size, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_delta_keep_tail(ProaDeltaWork *work, guint64 at, const guint8 *data, gsize size, GError **error)
{
	guint index = work->tails->len;

	if (work->tails->len >= PROA_DELTA_MAX_TAILS || work->tail_bytes + size > PROA_DELTA_MAX_TAIL_BYTES)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a frame keeps too many tails of modules");
	ProaDeltaTail tail = { at, size, g_memdup2(data, size) };
	work->tail_bytes += size;
	while (index > 0 && g_array_index(work->tails, ProaDeltaTail, index - 1).at > at)
		index--;
	g_array_insert_val(work->tails, index, tail);
	return TRUE;
}

/* Appends the tail that comes next in the image, if there is one. */
static gboolean run_tail(ProaDeltaWork *work, guint64 *length, GError **error)
{
	if (work->tails->len == 0)
		return TRUE;
	const ProaDeltaTail *tail = &g_array_index(work->tails, ProaDeltaTail, 0);
	if (tail->at > work->made)
		return TRUE;
	if (tail->at < work->made || tail->size > *length)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a module's tail has no place in the image");
	*length -= tail->size;
	if (!proa_delta_emit(work, tail->data, tail->size, error))
		return FALSE;
	work->tail_bytes -= tail->size;
	g_array_remove_index(work->tails, 0);
	return TRUE;
}

gboolean proa_delta_run_ops(ProaDeltaWork *work, ProaDeltaPlace *place, guint64 length, GError **error)
{
	for (;;) {
		guint64 number;
		if (place->units && !run_tail(work, &length, error))
			return FALSE;
		if (length == 0)
			return TRUE;
		/* A tail may be followed by another one. */
		if (place->units && work->tails->len > 0 &&
			g_array_index(work->tails, ProaDeltaTail, 0).at == work->made)
			continue;
		gint64 step;
		if (!proa_delta_number(work->streams, PROA_DELTA_OPS, &number, error))
			return FALSE;
		ProaDeltaOp op = (ProaDeltaOp)(number & ((1u << PROA_DELTA_OP_BITS) - 1));
		guint64 n = number >> PROA_DELTA_OP_BITS;
		if (n == 0 || n > length)
			return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
				"an operation makes nothing, or more than its place holds");
		if (op == PROA_DELTA_COPY_AT || op == PROA_DELTA_PATCH_AT || op == PROA_DELTA_PATCH_WORDS) {
			if (!proa_delta_signed(work->streams, PROA_DELTA_SEEK, &step, error))
				return FALSE;
			*place->old_at += (guint64)step;
		}
		if (op == PROA_DELTA_UNIT && place->units ? !proa_delta_run_unit(work, n, error)
							  : !run_op(work, place, op, n, error))
			return FALSE;
		length -= n;
	}
}

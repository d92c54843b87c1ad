/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/builder.h"

#include "updater/payload/delta-ops.h"
#include "updater/payload/wire.h"

#include <string.h>

/* Shorter runs cost more as operations of their own than as zeros in a difference, or as literal zeros. */
#define MIN_COPY 48
#define MIN_ZERO 32

ProaBuilder *proa_builder_new(void)
{
	ProaBuilder *builder = g_new0(ProaBuilder, 1);

	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		builder->streams[i] = g_byte_array_new();
	return builder;
}

void proa_builder_free(ProaBuilder *builder)
{
	if (!builder)
		return;
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		g_byte_array_unref(builder->streams[i]);
	g_free(builder);
}

void proa_builder_number(ProaBuilder *builder, ProaDeltaStream stream, guint64 value)
{
	guint8 bytes[10];
	guint n = 0;

	do {
		bytes[n++] = (guint8)(value | 0x80);
		value >>= 7;
	} while (value > 0);
	bytes[n - 1] &= 0x7f;
	g_byte_array_append(builder->streams[stream], bytes, n);
	builder->news += n;
}

void proa_builder_signed(ProaBuilder *builder, ProaDeltaStream stream, gint64 value)
{
	proa_builder_number(builder, stream, ((guint64)value << 1) ^ (guint64)(value >> 63));
}

void proa_builder_op(ProaBuilder *builder, guint op, guint64 length)
{
	proa_builder_number(builder, PROA_DELTA_OPS, length << PROA_DELTA_OP_BITS | op);
}

static void append_new(ProaBuilder *builder, const guint8 *data, gsize size)
{
	proa_builder_op(builder, PROA_DELTA_NEW, size);
	g_byte_array_append(builder->streams[PROA_DELTA_LITERAL], data, (guint)size);
	builder->news += size;
}

static gsize zeros(const guint8 *data, gsize size)
{
	gsize n = 0;

	while (n < size && data[n] == 0)
		n++;
	return n;
}

/* Bytes that are like no old ones: zeros where there are many, and literals. */
static void append_unmatched(ProaBuilder *builder, const guint8 *data, gsize size)
{
	gsize from = 0, at = 0;

	while (at < size) {
		gsize n = zeros(data + at, size - at);
		if (n < MIN_ZERO) {
			at += n + 1;
			continue;
		}
		if (at > from)
			append_new(builder, data + from, at - from);
		proa_builder_op(builder, PROA_DELTA_ZERO, n);
		from = at += n;
	}
	if (size > from)
		append_new(builder, data + from, size - from);
}

static void append_matched(ProaBuilder *builder, const guint8 *old_data, const guint8 *new_data,
	guint64 old_at, guint64 new_at, gsize size, gboolean equal, ProaDeltaMap *map)
{
	gint64 step = (gint64)(old_at - builder->old_at);
	guint op = equal ? PROA_DELTA_COPY : PROA_DELTA_PATCH;

	if (size == 0)
		return;
	if (map)
		proa_delta_map_learn(map, old_at, new_at, new_data + new_at, size);
	proa_builder_op(builder, step == 0 ? op : op + 1, size);
	if (step != 0)
		proa_builder_signed(builder, PROA_DELTA_SEEK, step);
	builder->old_at = old_at + size;
	if (equal)
		return;
	GByteArray *diff = builder->streams[PROA_DELTA_DIFF];
	ProaDeltaDiff state = { 0 };
	guint at = diff->len;
	g_byte_array_set_size(diff, at + (guint)size);
	for (gsize i = 0; i < size; i++) {
		guint8 difference = proa_delta_diff_take(&state, old_data[old_at + i], new_data[new_at + i]);
		diff->data[at + i] = difference;
		builder->news += difference != 0;
	}
}

/* memcmp() looks at many bytes at once, but does not say where they differ. */
static gsize equal_bytes(const guint8 *a, const guint8 *b, gsize size)
{
	const gsize step = 256;
	gsize n = 0;

	while (size - n >= step && memcmp(a + n, b + n, step) == 0)
		n += step;
	while (n < size && a[n] == b[n])
		n++;
	return n;
}

void proa_builder_piece(ProaBuilder *builder, const guint8 *old_data, const guint8 *new_data,
	const ProaPiece *piece, ProaDeltaMap *map)
{
	const guint8 *a = old_data + piece->old_at, *b = new_data + piece->new_at;
	gsize from = 0, at = 0, size = piece->length;

	if (!piece->matched) {
		append_unmatched(builder, b, size);
		return;
	}
	while (at < size) {
		gsize n = equal_bytes(a + at, b + at, size - at);
		gsize zero = n >= MIN_COPY ? zeros(b + at, n) : 0;
		if (n < MIN_COPY && !(n == size && from == 0)) {
			at += n + 1;
			continue;
		}
		append_matched(builder, old_data, new_data, piece->old_at + from, piece->new_at + from,
			at - from, FALSE, map);
		/* Zeros say nothing of where they came from. */
		if (zero == n)
			proa_builder_op(builder, PROA_DELTA_ZERO, n);
		else
			append_matched(builder, old_data, new_data, piece->old_at + at, piece->new_at + at, n,
				TRUE, map);
		from = at += n;
	}
	append_matched(builder, old_data, new_data, piece->old_at + from, piece->new_at + from, size - from,
		FALSE, map);
}

void proa_builder_words(ProaBuilder *builder, const guint8 *old_data, const guint8 *new_data,
	const ProaPiece *piece, ProaDeltaMap *map)
{
	GByteArray *words = builder->streams[PROA_DELTA_WORDS];
	guint at = words->len;

	g_assert(piece->matched && piece->length % 4 == 0);
	if (map)
		proa_delta_map_learn(
			map, piece->old_at, piece->new_at, new_data + piece->new_at, piece->length);
	proa_builder_op(builder, PROA_DELTA_PATCH_WORDS, piece->length);
	proa_builder_signed(builder, PROA_DELTA_SEEK, (gint64)(piece->old_at - builder->old_at));
	builder->old_at = piece->old_at + piece->length;
	g_byte_array_set_size(words, at + (guint)piece->length);
	for (guint64 i = 0; i < piece->length; i += 4) {
		guint32 difference = proa_get_u32(new_data + piece->new_at + i) -
				     proa_get_u32(old_data + piece->old_at + i);
		proa_put_u32(words->data + at + i, difference);
		builder->news += difference != 0;
	}
}

void proa_builder_append(ProaBuilder *builder, const ProaBuilder *part)
{
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		g_byte_array_append(builder->streams[i], part->streams[i]->data, part->streams[i]->len);
	builder->news += part->news;
}

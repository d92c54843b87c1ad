/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/builder.h"

#include "images/payload/pack.h"
#include "updater/payload/delta-streams.h"

/* What the applier's own streams read of what was built; NULL is never given back. */
static ProaDeltaStreams *streams_of(const ProaBuilder *builder, GByteArray **ret_frame)
{
	g_autoptr(GError) error = NULL;
	GByteArray *frame = proa_pack_frame(builder, &error);

	g_assert_no_error(error);
	ProaDeltaStreams *streams = proa_delta_streams_new(frame->data, frame->len, &error);
	g_assert_no_error(error);
	*ret_frame = frame;
	return streams;
}

static void numbers_come_back(void)
{
	static const guint64 numbers[] = { 0, 1, 127, 128, 16383, 16384, G_MAXUINT32, G_MAXUINT64 - 1,
		G_MAXUINT64 };
	static const gint64 steps[] = { 0, -1, 1, 63, -64, 64, G_MAXINT32, G_MININT64, G_MAXINT64 };
	g_autoptr(ProaBuilder) builder = proa_builder_new();
	g_autoptr(GByteArray) frame = NULL;

	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
		proa_builder_number(builder, PROA_DELTA_OPS, numbers[i]);
	for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
		proa_builder_signed(builder, PROA_DELTA_SEEK, steps[i]);
	g_autoptr(ProaDeltaStreams) streams = streams_of(builder, &frame);
	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
		guint64 number = 5;
		g_assert_true(proa_delta_number(streams, PROA_DELTA_OPS, &number, NULL));
		g_assert_cmpuint(number, ==, numbers[i]);
	}
	for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
		gint64 step = 5;
		g_assert_true(proa_delta_signed(streams, PROA_DELTA_SEEK, &step, NULL));
		g_assert_cmpint(step, ==, steps[i]);
	}
	g_assert_true(proa_delta_streams_ended(streams));
}

/* Parts that were built apart are one frame, stream by stream. */
static void parts_follow_each_other(void)
{
	g_autoptr(ProaBuilder) whole = proa_builder_new(), first = proa_builder_new(),
			       second = proa_builder_new();

	for (guint i = 0; i < 40; i++) {
		ProaBuilder *part = i < 20 ? first : second;
		proa_builder_op(whole, i % 6, i + 1);
		proa_builder_op(part, i % 6, i + 1);
		proa_builder_signed(whole, (ProaDeltaStream)(i % _PROA_DELTA_STREAM_MAX), -(gint64)i);
		proa_builder_signed(part, (ProaDeltaStream)(i % _PROA_DELTA_STREAM_MAX), -(gint64)i);
	}
	proa_builder_append(first, second);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		g_assert_cmpmem(first->streams[i]->data, first->streams[i]->len, whole->streams[i]->data,
			whole->streams[i]->len);
}

/* What is all zero takes no literals, and an unchanged piece no differences. */
static void pieces_take_what_they_need(void)
{
	guint8 old_data[4096], new_data[4096] = { 0 };
	g_autoptr(ProaBuilder) zeros = proa_builder_new(), copied = proa_builder_new(),
			       changed = proa_builder_new();
	ProaPiece piece = { .new_at = 0, .old_at = 0, .length = sizeof new_data, .matched = FALSE };

	for (guint i = 0; i < sizeof old_data; i++)
		old_data[i] = (guint8)(i * 7 + 1);
	proa_builder_piece(zeros, old_data, new_data, &piece, NULL);
	g_assert_cmpuint(zeros->streams[PROA_DELTA_LITERAL]->len, ==, 0);
	piece.matched = TRUE;
	proa_builder_piece(copied, old_data, old_data, &piece, NULL);
	g_assert_cmpuint(copied->streams[PROA_DELTA_DIFF]->len, ==, 0);
	g_assert_cmpuint(copied->old_at, ==, sizeof old_data);
	memcpy(new_data, old_data, sizeof new_data);
	new_data[100] ^= 1;
	g_autoptr(ProaDeltaMap) map = proa_delta_map_new();
	proa_builder_piece(changed, old_data, new_data, &piece, map);
	g_assert_cmpuint(changed->streams[PROA_DELTA_DIFF]->len, >, 0);
	g_assert_cmpuint(changed->streams[PROA_DELTA_LITERAL]->len, ==, 0);
	proa_delta_map_seal(map);
	guint64 where = 0;
	g_assert_true(proa_delta_map_find(map, 4000, &where));
	g_assert_cmpuint(where, ==, 4000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/builder/numbers-come-back", numbers_come_back);
	g_test_add_func("/payload/builder/parts-follow-each-other", parts_follow_each_other);
	g_test_add_func("/payload/builder/pieces-take-what-they-need", pieces_take_what_they_need);
	return g_test_run();
}

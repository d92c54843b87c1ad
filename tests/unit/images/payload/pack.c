/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/pack.h"

#include "updater/payload/delta-ops.h"
#include "updater/payload/delta-streams.h"

#include <string.h>

/* What the maker appends is what the node reads, packed or stored. */
static void node_reads_streams(void)
{
	static const gint64 numbers[] = { 0, 1, -1, 63, -64, 64, G_MAXINT64, G_MININT64 };
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBuilder) builder = proa_builder_new();
	guint8 byte;

	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
		proa_builder_signed(builder, PROA_DELTA_SEEK, numbers[i]);
		proa_builder_number(builder, PROA_DELTA_OPS, (guint64)numbers[i]);
	}
	for (guint i = 0; i < 100000; i++)
		g_byte_array_append(builder->streams[PROA_DELTA_DIFF], (const guint8 *)"delta" + i % 5, 1);
	g_autoptr(GByteArray) frame = proa_pack_frame(builder, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(frame->len, <, 500);
	g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
	g_assert_no_error(error);
	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
		gint64 sign;
		guint64 number;
		g_assert_true(proa_delta_signed(streams, PROA_DELTA_SEEK, &sign, &error));
		g_assert_true(proa_delta_number(streams, PROA_DELTA_OPS, &number, &error));
		g_assert_cmpint(sign, ==, numbers[i]);
		g_assert_cmpuint(number, ==, (guint64)numbers[i]);
	}
	for (guint i = 0; i < 100000; i++) {
		g_assert_true(proa_delta_take(streams, PROA_DELTA_DIFF, &byte, 1, &error));
		g_assert_cmpuint(byte, ==, (guint8) "delta"[i % 5]);
	}
	g_assert_true(proa_delta_streams_ended(streams));
}

/* Every stream wants a large dictionary: together they get what a node has. */
static void dictionaries_fit_together(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBuilder) builder = proa_builder_new();

	for (guint id = 0; id < _PROA_DELTA_STREAM_MAX; id++)
		for (guint i = 0; i < 300000; i++)
			g_byte_array_append(builder->streams[id], (const guint8 *)"delta" + i % 5, 1);
	g_autoptr(GByteArray) frame = proa_pack_frame(builder, &error);
	g_assert_no_error(error);
	g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
	g_assert_no_error(error);
	g_assert_nonnull(streams);
}

/* New tables of words are packed as such, however many they are. */
static void literals_that_are_words_pack_well(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBuilder) builder = proa_builder_new();
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX];

	for (guint32 i = 0; i < 100000; i++) {
		guint32 word = (guint32)g_rand_int_range(rand, 0, 1 << 16) | 0x81000000u;
		g_byte_array_append(builder->streams[PROA_DELTA_LITERAL], (const guint8 *)&word, 4);
	}
	g_autoptr(GByteArray) frame = proa_pack_frame(builder, &error);
	g_assert_no_error(error);
	g_assert_true(proa_delta_streams_parse(frame->data, frame->len, entries, &error));
	g_assert_cmpuint(entries[PROA_DELTA_LITERAL].pb, ==, 2);
}

static void frame_over_the_cap_refused(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBuilder) builder = proa_builder_new();
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);

	for (guint i = 0; i < PROA_DELTA_MAX_FRAME_SIZE / 4 + 10; i++) {
		guint32 word = g_rand_int(rand);
		g_byte_array_append(builder->streams[PROA_DELTA_LITERAL], (const guint8 *)&word, 4);
	}
	g_assert_null(proa_pack_frame(builder, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

/* Zeros become zeros, equal bytes copies, and a changed byte a short patch. */
static void piece_told_in_operations(void)
{
	g_autoptr(ProaBuilder) builder = proa_builder_new();
	guint8 old_data[1000], new_data[1000];
	const ProaPiece matched = { 0, 100, 900, TRUE }, unmatched = { 900, 0, 100, FALSE };

	for (guint i = 0; i < sizeof old_data; i++)
		old_data[i] = (guint8)(i * i + 1);
	memcpy(new_data, old_data + 100, 900);
	memset(new_data + 900, 0, 100);
	new_data[450] ^= 1;
	proa_builder_piece(builder, old_data, new_data, &matched, NULL);
	g_assert_cmpuint(builder->old_at, ==, 1000);
	g_assert_cmpuint(builder->streams[PROA_DELTA_DIFF]->len, ==, 1);
	g_assert_cmpuint(builder->streams[PROA_DELTA_SEEK]->len, ==, 2);
	proa_builder_piece(builder, old_data, new_data, &unmatched, NULL);
	g_assert_cmpuint(builder->streams[PROA_DELTA_LITERAL]->len, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/pack/node-reads-streams", node_reads_streams);
	g_test_add_func("/payload/pack/dictionaries-fit-together", dictionaries_fit_together);
	g_test_add_func("/payload/pack/literals-that-are-words-pack-well", literals_that_are_words_pack_well);
	g_test_add_func("/payload/pack/frame-over-the-cap-refused", frame_over_the_cap_refused);
	g_test_add_func("/payload/pack/piece-told-in-operations", piece_told_in_operations);
	return g_test_run();
}

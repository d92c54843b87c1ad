/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-streams.h"

#include <lzma.h>
#include <string.h>

/* A frame whose streams are stored as they are; OPS has @size bytes. */
static GByteArray *frame_new(const void *ops, guint size)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { 0 };
	GByteArray *frame = g_byte_array_new();

	entries[PROA_DELTA_OPS].size = entries[PROA_DELTA_OPS].packed_size = size;
	g_byte_array_set_size(frame, (guint)PROA_DELTA_STREAM_TABLE_SIZE);
	proa_delta_streams_serialize(entries, frame->data);
	g_byte_array_append(frame, ops, size);
	return frame;
}

static void numbers_as_written(void)
{
	static const guint8 bytes[] = { 0, 0x7f, 0x80, 1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 1 };
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) frame = frame_new(bytes, sizeof bytes);
	g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
	static const guint64 expected[] = { 0, 127, 128 };
	guint64 value;
	gint64 sign;

	for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
		g_assert_true(proa_delta_number(streams, PROA_DELTA_OPS, &value, &error));
		g_assert_cmpuint(value, ==, expected[i]);
	}
	g_assert_true(proa_delta_signed(streams, PROA_DELTA_OPS, &sign, &error));
	g_assert_cmpint(sign, ==, -2);
	g_assert_false(proa_delta_streams_ended(streams));
	g_assert_true(proa_delta_number(streams, PROA_DELTA_OPS, &value, &error));
	g_assert_cmpuint(value, ==, G_MAXUINT64);
	g_assert_true(proa_delta_streams_ended(streams));
	g_assert_false(proa_delta_number(streams, PROA_DELTA_OPS, &value, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void number_over_64_bits_refused(void)
{
	guint8 bytes[11];
	guint64 value;

	memset(bytes, 0xff, sizeof bytes);
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) frame = frame_new(bytes, sizeof bytes);
	g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
	g_assert_false(proa_delta_number(streams, PROA_DELTA_OPS, &value, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

/* What is not LZMA at all, and what ends before its time. */
static void broken_packing_refused(void)
{
	guint8 out[100];

	for (guint size = 1; size < 60; size++) {
		g_autoptr(GError) error = NULL;
		ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { { 100, size, TRUE, 3, 0, 2, 12 } };
		g_autoptr(GByteArray) frame = g_byte_array_new();
		g_byte_array_set_size(frame, (guint)PROA_DELTA_STREAM_TABLE_SIZE + size);
		memset(frame->data, (int)(size * 7), frame->len);
		proa_delta_streams_serialize(entries, frame->data);
		g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
		g_assert_no_error(error);
		if (!proa_delta_take(streams, PROA_DELTA_OPS, out, sizeof out, &error))
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		g_clear_error(&error);
		g_assert_false(proa_delta_take(streams, PROA_DELTA_OPS, out, 1, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

#define LONG ((gsize)400 * 1024)

/* Stream @id, byte @at. */
static guint8 byte_of(guint id, gsize at)
{
	return (guint8)((at * 2654435761u >> (10 + id % 3)) ^ (id * 77));
}

/* A frame of long streams, every other one packed: more than a ring of any of them. */
static GByteArray *long_frame_new(void)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { 0 };
	GByteArray *frame = g_byte_array_new();
	g_autofree guint8 *data = g_malloc(LONG), *packed = g_malloc(2 * LONG);
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };

	g_assert_false(lzma_lzma_preset(&options, 0));
	options.dict_size = 1u << 16;
	g_byte_array_set_size(frame, (guint)PROA_DELTA_STREAM_TABLE_SIZE);
	for (guint id = 0; id < _PROA_DELTA_STREAM_MAX; id++) {
		gsize n = 0;
		for (gsize at = 0; at < LONG; at++)
			data[at] = byte_of(id, at);
		entries[id] = (ProaDeltaStreamEntry){ .size = LONG, .packed_size = LONG };
		if (id % 2 == 0) {
			g_assert_cmpint(
				lzma_raw_buffer_encode(filters, NULL, data, LONG, packed, &n, 2 * LONG), ==,
				LZMA_OK);
			entries[id] = (ProaDeltaStreamEntry){ LONG, (guint32)n, TRUE, (guint8)options.lc,
				(guint8)options.lp, (guint8)options.pb, 16 };
		}
		g_byte_array_append(frame, n > 0 ? packed : data, entries[id].packed_size);
	}
	proa_delta_streams_serialize(entries, frame->data);
	return frame;
}

/* However it is asked for, what is unpacked ahead is what is there. */
static void unpacked_ahead_is_what_is_there(void)
{
	g_autoptr(GByteArray) frame = long_frame_new();
	guint8 data[50000];

	for (guint round = 0; round < 3; round++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
		gsize at[_PROA_DELTA_STREAM_MAX] = { 0 };
		g_assert_no_error(error);
		for (guint left = _PROA_DELTA_STREAM_MAX; left > 0;) {
			guint id = (guint)g_test_rand_int_range(0, _PROA_DELTA_STREAM_MAX);
			gsize most = (gsize)g_test_rand_int_range(1, sizeof data),
			      n = MIN(most, LONG - at[id]);
			if (n == 0)
				continue;
			g_assert_false(proa_delta_streams_ended(streams));
			g_assert_true(proa_delta_take(streams, (ProaDeltaStream)id, data, n, &error));
			for (gsize i = 0; i < n; i++)
				g_assert_cmpuint(data[i], ==, byte_of(id, at[id] + i));
			at[id] += n;
			left -= at[id] == LONG;
		}
		g_assert_true(proa_delta_streams_ended(streams));
		g_assert_false(proa_delta_take(streams, PROA_DELTA_DIFF, data, 1, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

/* Whoever gives up does not wait for what would have come, and what breaks ahead is told when it is reached.
 */
static void left_in_the_middle(void)
{
	g_autoptr(GByteArray) frame = long_frame_new();
	guint8 data[1000];

	for (guint round = 0; round < 30; round++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
		g_assert_no_error(error);
		for (guint id = 0; id < round % _PROA_DELTA_STREAM_MAX; id++)
			g_assert_true(
				proa_delta_take(streams, (ProaDeltaStream)id, data, round * 30, &error));
	}
	for (gsize at = PROA_DELTA_STREAM_TABLE_SIZE + 20000; at < PROA_DELTA_STREAM_TABLE_SIZE + 30000; at++)
		frame->data[at] ^= 0x5a;
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaDeltaStreams) streams = proa_delta_streams_new(frame->data, frame->len, &error);
	gsize right = 0;
	while (proa_delta_take(streams, PROA_DELTA_OPS, data, sizeof data, &error) &&
		memcmp(data, (guint8[]){ byte_of(PROA_DELTA_OPS, right) }, 1) == 0)
		right += sizeof data;
	g_assert_cmpuint(right, >, 5000);
	g_assert_cmpuint(right, <, LONG);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-streams/numbers-as-written", numbers_as_written);
	g_test_add_func("/payload/delta-streams/number-over-64-bits-refused", number_over_64_bits_refused);
	g_test_add_func("/payload/delta-streams/broken-packing-refused", broken_packing_refused);
	g_test_add_func(
		"/payload/delta-streams/unpacked-ahead-is-what-is-there", unpacked_ahead_is_what_is_there);
	g_test_add_func("/payload/delta-streams/left-in-the-middle", left_in_the_middle);
	return g_test_run();
}

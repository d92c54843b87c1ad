/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-streams.h"

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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-streams/numbers-as-written", numbers_as_written);
	g_test_add_func("/payload/delta-streams/number-over-64-bits-refused", number_over_64_bits_refused);
	g_test_add_func("/payload/delta-streams/broken-packing-refused", broken_packing_refused);
	return g_test_run();
}

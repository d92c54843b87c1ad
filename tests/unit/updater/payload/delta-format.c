/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-format.h"

#include "tests/unit/scratch.h"
#include "updater/payload/wire.h"

static ProaDeltaHeader *header_new(void)
{
	ProaDeltaHeader *header = proa_delta_header_new(2);

	header->old_size = 5000;
	header->new_size = 9000;
	for (guint i = 0; i < 2; i++)
		header->frames[i] = (ProaDeltaFrame){ 300, 4500, { (guint8)i } };
	return header;
}

static void round_trip(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaDeltaHeader) header = header_new();
	g_autoptr(GBytes) bytes = proa_delta_header_serialize(header);
	const guint8 *data = g_bytes_get_data(bytes, NULL);
	g_autoptr(ProaDeltaHeader) again = proa_delta_header_parse(data, &error);

	g_assert_no_error(error);
	g_assert_true(proa_delta_table_parse(again, data + PROA_DELTA_HEADER_SIZE, &error));
	g_assert_cmpuint(proa_delta_total_size(again), ==, g_bytes_get_size(bytes) + 600);
	g_autoptr(GBytes) once_more = proa_delta_header_serialize(again);
	g_assert_true(g_bytes_equal(bytes, once_more));
}

static const struct {
	gsize at;
	guint64 value;
} pokes[] = { { 0, 'X' }, { 8, 1 }, { 8, 3 }, { 12, 1 }, { 16, 0 }, { 16, PROA_DELTA_MAX_IMAGE_SIZE + 1 },
	{ 16, 9001 }, { 24, 1 }, { 28, 0 }, { 28, PROA_DELTA_MAX_FRAMES + 1 },
	{ 96, PROA_DELTA_MAX_IMAGE_SIZE + 1 }, { 104, 1 }, { 112, 1 }, { 112, PROA_DELTA_MAX_FRAME_SIZE + 1 },
	{ 116, 1 }, { 120, 0 }, { 120, 9001 }, { 120, G_MAXUINT64 - 4499 } };

static void hostile_headers_refused(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(pokes); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaDeltaHeader) header = header_new();
		g_autoptr(GBytes) bytes = proa_delta_header_serialize(header);
		gsize size = g_bytes_get_size(bytes);
		g_autofree guint8 *data = g_memdup2(g_bytes_get_data(bytes, NULL), size);
		gboolean wide =
			pokes[i].at == 16 || pokes[i].at == 96 || pokes[i].at == 104 || pokes[i].at == 120;

		if (wide)
			proa_put_u64(data + pokes[i].at, pokes[i].value);
		else
			proa_put_u32(data + pokes[i].at, (guint32)pokes[i].value);
		g_autoptr(ProaDeltaHeader) parsed = proa_delta_header_parse(data, &error);
		g_assert_false(
			parsed && proa_delta_table_parse(parsed, data + PROA_DELTA_HEADER_SIZE, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

static void hostile_stream_tables_refused(void)
{
	const ProaDeltaStreamEntry packed = { 100, 20, TRUE, 3, 0, 2, 16 },
				   stored = { 7, 7, FALSE, 0, 0, 0, 0 };
	static const struct {
		gsize at;
		guint8 value;
	} bad[] = { { 0, 8 }, { 8, 2 }, { 9, 225 }, { 10, 11 }, { 10, 21 }, { 11, 1 }, { 15, 0x7f },
		{ 4, 21 } };

	for (guint i = 0; i <= G_N_ELEMENTS(bad); i++) {
		ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { packed, stored },
				     got[_PROA_DELTA_STREAM_MAX];
		guint8 frame[PROA_DELTA_STREAM_TABLE_SIZE + 27] = { 0 };
		g_autoptr(GError) error = NULL;
		proa_delta_streams_serialize(entries, frame);
		if (i < G_N_ELEMENTS(bad))
			frame[bad[i].at + (bad[i].at == 0 ? 12 : 0)] = bad[i].value;
		gboolean ok = proa_delta_streams_parse(frame, sizeof frame, got, &error);
		g_assert_cmpint(ok, ==, i == G_N_ELEMENTS(bad));
		if (!ok)
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		g_assert_false(ok && proa_delta_streams_parse(frame, sizeof frame - 1, got, NULL));
	}
}

/* Each may be large, but not all at once. */
static void dictionaries_are_bounded_together(void)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { 0 }, got[_PROA_DELTA_STREAM_MAX];
	guint8 frame[PROA_DELTA_STREAM_TABLE_SIZE + 3] = { 0 };

	for (guint i = 0; i < 3; i++)
		entries[i] = (ProaDeltaStreamEntry){ 100, 1, TRUE, 3, 0, 0,
			i < 2 ? PROA_DELTA_MAX_DICTIONARY_LOG : PROA_DELTA_MIN_DICTIONARY_LOG };
	for (guint n = 2; n <= 3; n++) {
		g_autoptr(GError) error = NULL;
		entries[2].packed = n == 3;
		entries[2].size = entries[2].packed_size = 1;
		proa_delta_streams_serialize(entries, frame);
		g_assert_cmpint(proa_delta_streams_parse(frame, sizeof frame, got, &error), ==, n == 2);
		if (n == 3)
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

static void file_of_another_size_refused(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaDeltaHeader) header = header_new();
	g_autoptr(GBytes) bytes = proa_delta_header_serialize(header);
	gsize size = g_bytes_get_size(bytes);
	g_autofree char *whole = g_malloc0(size + 601), *sha256 = NULL;

	memcpy(whole, g_bytes_get_data(bytes, NULL), size);
	g_autofree char *good = scratch_write(&scratch, "good", whole, (gssize)size + 600);
	g_autofree char *cut = scratch_write(&scratch, "cut", whole, (gssize)size + 599);
	g_autofree char *more = scratch_write(&scratch, "more", whole, (gssize)size + 601);
	g_autoptr(ProaDeltaHeader) got = proa_delta_file_header(good, &sha256, &error);
	g_assert_no_error(error);
	g_autofree char *expected = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	g_assert_cmpstr(sha256, ==, expected);
	g_assert_null(proa_delta_file_header(cut, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	g_clear_error(&error);
	g_assert_null(proa_delta_file_header(more, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-format/round-trip", round_trip);
	g_test_add_func("/payload/delta-format/hostile-headers-refused", hostile_headers_refused);
	g_test_add_func("/payload/delta-format/hostile-stream-tables-refused", hostile_stream_tables_refused);
	g_test_add_func("/payload/delta-format/file-of-another-size-refused", file_of_another_size_refused);
	g_test_add_func(
		"/payload/delta-format/dictionaries-are-bounded-together", dictionaries_are_bounded_together);
	return g_test_run();
}

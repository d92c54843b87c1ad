/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/format.h"

#include "tests/unit/scratch.h"
#include "tests/unit/updater/payload/payload.h"

static void refused(const guint8 *bytes)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_payload_header_parse(bytes, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void round_trip(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new();
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_parse(whole->data, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(header->n_frames, ==, 4);
	g_assert_true(proa_payload_table_parse(header, whole->data + PROA_PAYLOAD_HEADER_SIZE, &error));
	g_assert_cmpuint(proa_payload_total_size(header), ==, whole->len);
	g_assert_cmpuint(proa_payload_frame_length(header, 0), ==, FRAME_SIZE);
	g_assert_cmpuint(proa_payload_frame_length(header, 3), ==, 4096);
	g_autoptr(GBytes) again = proa_payload_header_serialize(header);
	g_assert_cmpmem(
		g_bytes_get_data(again, NULL), g_bytes_get_size(again), whole->data, g_bytes_get_size(again));
}

/* A number of @size bytes at @at, little-endian. */
typedef struct {
	const char *name;
	gsize at, size;
	guint64 value;
} Poke;

static const Poke pokes[] = {
	{ "magic", 0, 1, 'X' },
	{ "format-version-0", 8, 4, 0 },
	{ "format-version-2", 8, 4, 2 },
	{ "type-delta", 12, 4, 2 },
	{ "image-size-0", 16, 8, 0 },
	{ "image-size-odd", 16, 8, IMAGE_SIZE + 1 },
	{ "image-size-other", 16, 8, IMAGE_SIZE + FRAME_SIZE },
	{ "image-size-huge", 16, 8, G_MAXUINT64 - 4095 },
	{ "frame-size-0", 24, 4, 0 },
	{ "frame-size-odd", 24, 4, FRAME_SIZE + 512 },
	{ "frame-size-over-cap", 24, 4, PROA_PAYLOAD_MAX_FRAME_SIZE + 4096 },
	{ "frames-0", 28, 4, 0 },
	{ "frames-too-many", 28, 4, 5 },
	{ "frames-huge", 28, 4, G_MAXUINT32 },
};

static void refuses_poke(gconstpointer data)
{
	const Poke *poke = data;
	g_autoptr(GByteArray) whole = payload_new();
	guint64 value = GUINT64_TO_LE(poke->value);

	memcpy(whole->data + poke->at, &value, poke->size);
	refused(whole->data);
}

/* Consistent, and too many frames all the same. */
static void caps_frames(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	guint64 image_size = GUINT64_TO_LE((guint64)(PROA_PAYLOAD_MAX_FRAMES + 1) * 4096);
	guint32 frame_size = GUINT32_TO_LE(4096), frames = GUINT32_TO_LE(PROA_PAYLOAD_MAX_FRAMES + 1);

	memcpy(whole->data + 16, &image_size, 8);
	memcpy(whole->data + 24, &frame_size, 4);
	memcpy(whole->data + 28, &frames, 4);
	refused(whole->data);
}

static void refuses_table(guint at, guint32 value)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new();
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_parse(whole->data, NULL);

	value = GUINT32_TO_LE(value);
	memcpy(whole->data + PROA_PAYLOAD_HEADER_SIZE + at, &value, 4);
	g_assert_false(proa_payload_table_parse(header, whole->data + PROA_PAYLOAD_HEADER_SIZE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void refuses_bad_tables(void)
{
	refuses_table(0, 0);
	refuses_table(0, (guint32)ZSTD_COMPRESSBOUND(FRAME_SIZE) + 1);
	refuses_table(0, G_MAXUINT32);
	refuses_table(4, 1);
	/* The last frame is shorter than the others. */
	refuses_table(3 * PROA_PAYLOAD_FRAME_ENTRY_SIZE, (guint32)ZSTD_COMPRESSBOUND(4096) + 1);
}

static void file_says_its_header(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) whole = payload_new();
	g_autofree char *path = scratch_write(&scratch, "x.full", (const char *)whole->data, whole->len);
	g_autofree char *digest = NULL;
	g_autofree char *expected = proa_sha256_hex(whole->data, 64 + 4 * 40);

	g_autoptr(ProaPayloadHeader) header = proa_payload_file_header(path, &digest, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(digest, ==, expected);
}

static void every_cut_file_refused(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) whole = payload_new();

	for (guint size = 0; size < whole->len; size += size < 300 ? 1 : 997) {
		g_autoptr(GError) error = NULL;
		g_autofree char *path = scratch_write(&scratch, "x.full", (const char *)whole->data, size);
		g_assert_null(proa_payload_file_header(path, NULL, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	}
}

static void file_with_more_refused(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) whole = payload_new();

	g_byte_array_append(whole, (const guint8 *)"x", 1);
	g_autofree char *path = scratch_write(&scratch, "x.full", (const char *)whole->data, whole->len);
	g_assert_null(proa_payload_file_header(path, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/format/round-trip", round_trip);
	for (guint i = 0; i < G_N_ELEMENTS(pokes); i++) {
		g_autofree char *path = g_strconcat("/payload/format/refuses/", pokes[i].name, NULL);
		g_test_add_data_func(path, &pokes[i], refuses_poke);
	}
	g_test_add_func("/payload/format/caps-frames", caps_frames);
	g_test_add_func("/payload/format/refuses-bad-tables", refuses_bad_tables);
	g_test_add_func("/payload/format/file-says-its-header", file_says_its_header);
	g_test_add_func("/payload/format/every-cut-file-refused", every_cut_file_refused);
	g_test_add_func("/payload/format/file-with-more-refused", file_with_more_refused);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-format.h"

#include "tests/unit/scratch.h"
#include "updater/payload/wire.h"

#include <string.h>

#define IMAGE_SIZE (1000ull * 4096)

static ProaBlocksHeader *example(void)
{
	ProaBlocksHeader *header = proa_blocks_header_new(IMAGE_SIZE, 65536, 1u << 20, 1u << 20);

	memset(header->root_hash, 0xab, sizeof header->root_hash);
	memset(header->salt, 0xcd, sizeof header->salt);
	for (guint32 i = 0; i < header->n_frames; i++) {
		header->frames[i].packed_size = 10 + i;
		header->frames[i].digest[0] = (guint8)i;
	}
	header->groups[33] = 7;
	return header;
}

static void survives_the_wire(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBlocksHeader) header = example();
	g_autoptr(GBytes) bytes = proa_blocks_header_serialize(header);
	const guint8 *data = g_bytes_get_data(bytes, NULL);

	g_assert_cmpuint(
		g_bytes_get_size(bytes), ==, PROA_BLOCKS_HEADER_SIZE + proa_blocks_tables_size(header));
	g_autoptr(ProaBlocksHeader) again = proa_blocks_header_parse(data, &error);
	g_assert_no_error(error);
	g_assert_true(proa_blocks_tables_parse(again, data + PROA_BLOCKS_HEADER_SIZE, &error));
	g_assert_cmpuint(again->image_size, ==, IMAGE_SIZE);
	g_assert_cmpuint(again->frame_size, ==, 65536);
	g_assert_cmpuint(again->window, ==, 1u << 20);
	g_assert_cmpuint(again->step, ==, 1u << 20);
	g_assert_cmpuint(again->n_frames, ==, 63);
	g_assert_cmpuint(proa_blocks_n_groups(again), ==, 8);
	g_assert_cmpmem(again->root_hash, 32, header->root_hash, 32);
	g_assert_cmpmem(again->salt, 32, header->salt, 32);
	g_assert_cmpmem(
		again->frames, 63 * sizeof *again->frames, header->frames, 63 * sizeof *header->frames);
	g_assert_cmpmem(again->groups, 8 * 32, header->groups, 8 * 32);
	g_assert_cmpuint(proa_blocks_head_size(again), ==, 112 + 63 * 20 + 8 * 32 + 1000 * 6);
	g_assert_cmpuint(
		proa_blocks_total_size(again), ==, proa_blocks_head_size(again) + 63 * 10 + 62 * 63 / 2);
	g_assert_cmpuint(proa_blocks_frame_length(again, 62), ==, IMAGE_SIZE - 62 * 65536);
}

static void dictionary_ends_at_a_step(void)
{
	g_autoptr(ProaBlocksHeader) header = proa_blocks_header_new(4ull << 20, 65536, 512u * 1024, 1u << 20);
	guint64 offset = 1;
	guint32 size = 1;

	proa_blocks_dictionary(header, 15, &offset, &size);
	g_assert_cmpuint(size, ==, 0);
	proa_blocks_dictionary(header, 16, &offset, &size);
	g_assert_cmpuint(offset, ==, 512 * 1024);
	g_assert_cmpuint(size, ==, 512 * 1024);
	proa_blocks_dictionary(header, 63, &offset, &size);
	g_assert_cmpuint(offset, ==, (3u << 20) - 512 * 1024);
}

typedef struct {
	const char *name;
	gsize at;
	guint32 value;
} Change;

static const Change bad[] = {
	{ "magic", 0, 1 },
	{ "version", 8, 2 },
	{ "type", 12, 1 },
	{ "image-size-odd", 16, (guint32)IMAGE_SIZE + 1 },
	{ "image-size-one-block", 16, 4096 },
	{ "image-size-huge", 20, 4 },
	{ "frame-size-zero", 24, 0 },
	{ "frame-size-no-power", 24, 12288 },
	{ "frame-size-small", 24, 2048 },
	{ "frame-size-over-a-group", 24, 1u << 20 },
	{ "frames-fewer", 28, 62 },
	{ "frames-more", 28, 64 },
	{ "window-no-power", 96, 12288 },
	{ "window-small", 96, 2048 },
	{ "window-large", 96, 8u << 20 },
	{ "step-zero", 100, 0 },
	{ "step-below-a-group", 100, 65536 },
	{ "step-large", 100, 2u << 20 },
	{ "reserved", 104, 1 },
};

static void refuses(gconstpointer data)
{
	const Change *change = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBlocksHeader) header = example();
	g_autoptr(GBytes) bytes = proa_blocks_header_serialize(header);
	g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));

	proa_put_u32(copy + change->at, change->value);
	g_assert_null(proa_blocks_header_parse(copy, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void refuses_impossible_frames(void)
{
	static const guint32 sizes[] = { 0, 70000, G_MAXUINT32 };

	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaBlocksHeader) header = example();
		header->frames[5].packed_size = sizes[i];
		g_autoptr(GBytes) bytes = proa_blocks_header_serialize(header);
		const guint8 *data = g_bytes_get_data(bytes, NULL);
		g_assert_false(proa_blocks_tables_parse(header, data + PROA_BLOCKS_HEADER_SIZE, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

/* A file cut off anywhere, or with something behind it. */
static void file_must_be_whole(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaBlocksHeader) header = example();
	g_autoptr(GBytes) bytes = proa_blocks_header_serialize(header);
	gsize total = (gsize)proa_blocks_total_size(header), head = (gsize)proa_blocks_head_size(header);
	g_autofree guint8 *file = g_malloc0(total + 1);
	const gsize sizes[] = { 0, 111, 112, head - 1, head, total - 1, total + 1, total };

	memcpy(file, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *sha256 = NULL;
		g_autofree char *path =
			scratch_write(&scratch, "payload", (const char *)file, (gssize)sizes[i]);
		g_autoptr(ProaBlocksHeader) got = proa_blocks_file_header(path, &sha256, &error);
		if (sizes[i] == total) {
			g_autofree char *expected = proa_sha256_hex(file, head);
			g_assert_no_error(error);
			g_assert_cmpstr(sha256, ==, expected);
			continue;
		}
		g_assert_null(got);
		g_assert_null(sha256);
		ProaReason reason =
			sizes[i] > total ? PROA_REASON_BAD_PAYLOAD : PROA_REASON_PAYLOAD_TRUNCATED;
		g_assert_error(error, PROA_ERROR, (int)reason);
	}
	g_autoptr(GError) error = NULL;
	g_autofree char *none = scratch_file(&scratch, "none");
	g_assert_null(proa_blocks_file_header(none, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/blocks-format/survives-the-wire", survives_the_wire);
	g_test_add_func("/payload/blocks-format/dictionary-ends-at-a-step", dictionary_ends_at_a_step);
	g_test_add_func("/payload/blocks-format/refuses-impossible-frames", refuses_impossible_frames);
	g_test_add_func("/payload/blocks-format/file-must-be-whole", file_must_be_whole);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *name = g_strconcat("/payload/blocks-format/refuses-", bad[i].name, NULL);
		g_test_add_data_func(name, &bad[i], refuses);
	}
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/maker.h"

#include "tests/unit/scratch.h"
#include "updater/payload/apply.h"

#include <string.h>

#define ROOT_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FRAME_SIZE 65536u
#define IMAGE_SIZE (9 * FRAME_SIZE + 4096)

static char *image_file(const Scratch *scratch, gsize size)
{
	g_autofree char *image = g_malloc(size);
	guint32 state = 3;

	for (gsize i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		image[i] = (char)((i / 3000) % 3 ? state >> 28 : i / 100);
	}
	return scratch_write(scratch, "root.img", image, (gssize)size);
}

static char *make(const Scratch *scratch, const char *image, const char *name, guint threads)
{
	g_autoptr(GError) error = NULL;
	const ProaMaker maker = { .level = 3, .frame_size = FRAME_SIZE, .threads = threads };
	char *out = scratch_file(scratch, name);

	g_assert_true(proa_maker_full(&maker, image, ROOT_HASH, out, &error));
	g_assert_no_error(error);
	return out;
}

static gboolean collect(const guint8 *data, gsize size, gpointer image, GError **error)
{
	g_byte_array_append(image, data, (guint)size);
	return TRUE;
}

/* The node's side reads what the publisher's side wrote. */
static void node_reads_it(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *image = image_file(&scratch, IMAGE_SIZE);
	g_autofree char *out = make(&scratch, image, "root.full", 3);
	g_autofree char *header_sha256 = NULL, *whole = NULL, *expected = NULL;
	gsize size = 0, image_size = 0;

	g_autoptr(ProaPayloadHeader) header = proa_payload_file_header(out, &header_sha256, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(header->n_frames, ==, 10);
	g_assert_true(g_file_get_contents(out, &whole, &size, NULL));
	const ProaPayloadExpect expect = {
		.size = size, .header_sha256 = header_sha256, .image_size = IMAGE_SIZE, .root_hash = ROOT_HASH
	};
	g_autoptr(GBytes) bytes = g_bytes_new(whole, size);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	g_autoptr(GByteArray) got = g_byte_array_new();
	g_assert_true(proa_payload_apply(stream, &expect, collect, NULL, got, &error));
	g_assert_true(g_file_get_contents(image, &expected, &image_size, NULL));
	g_assert_cmpmem(got->data, got->len, expected, image_size);
}

static void same_bytes_whatever_the_threads(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *image = image_file(&scratch, IMAGE_SIZE);
	g_autofree char *one = make(&scratch, image, "one", 1), *seven = make(&scratch, image, "seven", 7);
	g_autofree char *first = NULL, *second = NULL;
	gsize first_size = 0, second_size = 0;

	g_assert_true(g_file_get_contents(one, &first, &first_size, NULL));
	g_assert_true(g_file_get_contents(seven, &second, &second_size, NULL));
	g_assert_cmpmem(first, first_size, second, second_size);
}

static void expect_refused(const ProaMaker *maker, const char *image, const char *hash, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *out = g_strconcat(image, ".full", NULL), *temporary = g_strconcat(out, ".tmp", NULL);

	g_assert_false(proa_maker_full(maker, image, hash, out, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_assert_false(g_file_test(out, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
}

static void refuses_what_no_node_takes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *good = image_file(&scratch, 8192);
	g_autofree char *odd = scratch_write(&scratch, "odd", "123", 3);
	g_autofree char *empty = scratch_write(&scratch, "empty", "", 0);
	ProaMaker maker = { .level = 3, .frame_size = FRAME_SIZE };

	expect_refused(&maker, odd, ROOT_HASH, PROA_REASON_USAGE);
	expect_refused(&maker, empty, ROOT_HASH, PROA_REASON_USAGE);
	expect_refused(&maker, good, "12", PROA_REASON_USAGE);
	expect_refused(&maker, "/nonexistent/image", ROOT_HASH, PROA_REASON_NOT_FOUND);
	maker.frame_size = PROA_PAYLOAD_MAX_FRAME_SIZE + 4096;
	expect_refused(&maker, good, ROOT_HASH, PROA_REASON_USAGE);
	maker.frame_size = 1000;
	expect_refused(&maker, good, ROOT_HASH, PROA_REASON_USAGE);
	maker.frame_size = FRAME_SIZE;
	maker.level = 0;
	expect_refused(&maker, good, ROOT_HASH, PROA_REASON_USAGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/maker/node-reads-it", node_reads_it);
	g_test_add_func("/payload/maker/same-bytes-whatever-the-threads", same_bytes_whatever_the_threads);
	g_test_add_func("/payload/maker/refuses-what-no-node-takes", refuses_what_no_node_takes);
	return g_test_run();
}

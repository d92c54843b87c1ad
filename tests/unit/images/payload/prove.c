/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/prove.h"

#include "tests/unit/images/payload/uki.h"
#include "tests/unit/scratch.h"

#define SIZE 100000u
#define MAX_LEVEL 5u

static void frames_are_unpacked(void)
{
	g_autoptr(GByteArray) data = image_new(4, SIZE), frame = frame_new(data, 3, FALSE);
	g_autoptr(GBytes) got = proa_prove_unpack(frame->data, frame->len);

	g_assert_nonnull(got);
	g_assert_cmpmem(g_bytes_get_data(got, NULL), g_bytes_get_size(got), data->data, data->len);
}

static void what_is_no_frame_is_not(void)
{
	g_autoptr(GByteArray) data = image_new(4, SIZE), frame = frame_new(data, 3, FALSE);

	g_assert_null(proa_prove_unpack(data->data, data->len));
	g_assert_null(proa_prove_unpack(frame->data, 0));
	for (guint cut = 1; cut < 40; cut++)
		g_assert_null(proa_prove_unpack(frame->data, frame->len - cut));
	/* One among several. */
	g_autoptr(GByteArray) two = g_byte_array_append(g_byte_array_new(), frame->data, frame->len);
	g_byte_array_append(two, frame->data, frame->len);
	g_assert_null(proa_prove_unpack(two->data, two->len));
}

/* The parameters are found again by packing, and what no level makes is told. */
static void levels_are_found(void)
{
	g_autoptr(GByteArray) data = image_new(4, SIZE);

	for (guint8 level = 1; level <= MAX_LEVEL; level += 2) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GByteArray) frame = frame_new(data, level, FALSE);
		ProaProof proof = { .packed = frame->data,
			.data = data->data,
			.frame = { .packed_size = frame->len, .size = data->len } };
		gboolean same = FALSE;
		g_assert_true(proa_prove(PROA_REPACK_SELF, NULL, &proof, MAX_LEVEL, &same, &error));
		g_assert_no_error(error);
		g_assert_true(same);
		frame->data[frame->len - 1] ^= 0x10;
		g_assert_true(proa_prove(PROA_REPACK_SELF, NULL, &proof, MAX_LEVEL, &same, &error));
		g_assert_false(same);
	}
}

/* A process that is gone before it has taken what is to be packed proves nothing, and takes nobody with it.
 */
static void process_that_is_gone_proves_nothing(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *no_library = scratch_file(&scratch, "empty");
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) data = image_new(4, 4u << 20), frame = frame_new(data, 3, FALSE);
	ProaProof proof = { .packed = frame->data,
		.data = data->data,
		.frame = { .packed_size = frame->len, .size = data->len } };
	gboolean same = TRUE;

	g_assert_true(proa_prove(PROA_REPACK_SELF, no_library, &proof, 3, &same, &error));
	g_assert_no_error(error);
	g_assert_false(same);
}

static void missing_library_told(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) none = g_ptr_array_new();

	g_assert_null(proa_prove_library((const guint8 *)"", none, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

int main(int argc, char **argv)
{
	int status;

	if (proa_repack_main(argc, argv, &status))
		return status;
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/prove/frames-are-unpacked", frames_are_unpacked);
	g_test_add_func("/payload/prove/what-is-no-frame-is-not", what_is_no_frame_is_not);
	g_test_add_func("/payload/prove/levels-are-found", levels_are_found);
	g_test_add_func(
		"/payload/prove/process-that-is-gone-proves-nothing", process_that_is_gone_proves_nothing);
	g_test_add_func("/payload/prove/missing-library-told", missing_library_told);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* That what is made can be applied is shown by tests/unit/updater/payload/blocks.c. */
#include "images/payload/blocks-maker.h"

#include "tests/unit/updater/payload/pair.h"

static const ProaBlocksMaker usual = {
	.base = { .level = 3, .frame_size = 16384 }, .window = 1u << 20, .step = 1u << 20
};

static void same_bytes_on_any_machine(void)
{
	ProaBlocksMaker one = usual, many = usual;

	one.base.threads = 1;
	many.base.threads = 7;
	g_autoptr(Pair) first = pair_new(pair_image(2, 1), pair_image(900, 2), &one, SALT);
	g_autoptr(Pair) second = pair_new(pair_image(2, 1), pair_image(900, 2), &many, SALT);
	g_assert_cmpmem(
		first->payload->data, first->payload->len, second->payload->data, second->payload->len);
}

static void expect_failure(
	const ProaBlocksMaker *maker, gsize size, const char *root_hash, const char *salt, ProaReason reason)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *bytes = g_malloc0(size + 1);
	g_autofree char *image = scratch_write(&scratch, "image", bytes, (gssize)size);
	g_autofree char *out = scratch_file(&scratch, "out"), *temporary = scratch_file(&scratch, "out.tmp");
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_blocks_make(maker, image, root_hash, salt, out, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_assert_false(g_file_test(out, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
}

static void refuses_impossible_wishes(void)
{
	ProaBlocksMaker frame = usual, window = usual, step = usual, level = usual;

	frame.base.frame_size = 12288;
	expect_failure(&frame, 8192, SALT, SALT, PROA_REASON_USAGE);
	window.window = 8u << 20;
	expect_failure(&window, 8192, SALT, SALT, PROA_REASON_USAGE);
	step.step = 4096;
	expect_failure(&step, 8192, SALT, SALT, PROA_REASON_USAGE);
	level.base.level = 23;
	expect_failure(&level, 8192, SALT, SALT, PROA_REASON_USAGE);
	expect_failure(&usual, 4096, SALT, SALT, PROA_REASON_USAGE);
	expect_failure(&usual, 8193, SALT, SALT, PROA_REASON_USAGE);
	expect_failure(&usual, 8192, "none", SALT, PROA_REASON_USAGE);
	expect_failure(&usual, 8192, SALT, "none", PROA_REASON_USAGE);
}

static void refuses_another_root_hash(void)
{
	expect_failure(&usual, 8192, SALT, SALT, PROA_REASON_ROOT_HASH_MISMATCH);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/images/blocks-maker/same-bytes-on-any-machine", same_bytes_on_any_machine);
	g_test_add_func("/images/blocks-maker/refuses-impossible-wishes", refuses_impossible_wishes);
	g_test_add_func("/images/blocks-maker/refuses-another-root-hash", refuses_another_root_hash);
	return g_test_run();
}

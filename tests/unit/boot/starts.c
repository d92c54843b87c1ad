/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/starts.h"

#include "base/file.h"
#include "base/reason.h"
#include "tests/unit/boot/fixture.h"

#define ATTRIBUTES "\7\0\0\0"
#define LONGEST 256

static void counts_one_release(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_cmpuint(proa_starts_read(scratch.path, HASH_1), ==, 0);
	g_assert_true(proa_starts_write(scratch.path, HASH_1, 2, NULL));
	g_assert_cmpuint(proa_starts_read(scratch.path, HASH_1), ==, 2);
	g_assert_cmpuint(proa_starts_read(scratch.path, HASH_2), ==, 0);
	g_assert_true(proa_starts_clear(scratch.path, NULL));
	g_assert_true(proa_starts_clear(scratch.path, NULL));
	g_assert_cmpuint(proa_starts_read(scratch.path, HASH_1), ==, 0);
}

/* Four bytes of attributes, non-volatile and for the boot and the run time, then the text. */
static void is_a_variable_of_the_firmware(void)
{
	static const char expected[] = ATTRIBUTES "{\"root_hash\":\"" HASH_1 "\",\"attempts\":3}\n";
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = g_build_filename(scratch.path, PROA_STARTS_NAME, NULL);
	gsize size = 0;

	g_assert_true(proa_starts_write(scratch.path, HASH_1, 3, NULL));
	g_autofree char *content = proa_file_read(path, LONGEST, &size, NULL);
	g_assert_cmpmem(content, size, expected, sizeof expected - 1);
}

static void broken_variable_counts_none(void)
{
	static const struct {
		const char *content;
		gssize size;
	} broken[] = { { "", 0 }, { "\7", 1 }, { ATTRIBUTES, 4 }, { ATTRIBUTES "\0", 5 },
		{ ATTRIBUTES "{\"root_hash\":\"" HASH_1 "\",\"attempts\":", -1 },
		{ "{\"root_hash\":\"" HASH_1 "\",\"attempts\":3}", -1 } };
	g_auto(Scratch) scratch = scratch_new();

	for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
		gssize size =
			broken[i].size >= 0 ? broken[i].size : (gssize)(4 + strlen(broken[i].content + 4));
		g_autofree char *path = scratch_write(&scratch, PROA_STARTS_NAME, broken[i].content, size);
		g_assert_cmpuint(proa_starts_read(scratch.path, HASH_1), ==, 0);
	}

	g_autofree char *huge = g_strnfill(LONGEST * 4, '{');
	g_autofree char *path = scratch_write(&scratch, PROA_STARTS_NAME, huge, LONGEST * 4);
	g_assert_cmpuint(proa_starts_read(scratch.path, HASH_1), ==, 0);
}

static void firmware_that_keeps_none(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *missing = g_build_filename(scratch.path, "missing", NULL);
	g_autoptr(GError) error = NULL;

	g_assert_cmpuint(proa_starts_read(missing, HASH_1), ==, 0);
	g_assert_false(proa_starts_write(missing, HASH_1, 1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_true(proa_starts_clear(missing, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/starts/counts-one-release", counts_one_release);
	g_test_add_func("/starts/is-a-variable-of-the-firmware", is_a_variable_of_the_firmware);
	g_test_add_func("/starts/broken-variable-counts-none", broken_variable_counts_none);
	g_test_add_func("/starts/firmware-that-keeps-none", firmware_that_keeps_none);
	return g_test_run();
}

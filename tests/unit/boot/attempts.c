/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/attempts.h"

#include "tests/unit/boot/fixture.h"

static void counts_one_release(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_cmpuint(proa_attempts_read(scratch.path, HASH_1), ==, 0);
	g_assert_true(proa_attempts_write(scratch.path, HASH_1, 2, NULL));
	g_assert_cmpuint(proa_attempts_read(scratch.path, HASH_1), ==, 2);
	g_assert_cmpuint(proa_attempts_read(scratch.path, HASH_2), ==, 0);
	g_assert_true(proa_attempts_clear(scratch.path, NULL));
	g_assert_true(proa_attempts_clear(scratch.path, NULL));
	g_assert_cmpuint(proa_attempts_read(scratch.path, HASH_1), ==, 0);
}

/* The initrd must neither crash on a broken file nor give a release up because of it. */
static void broken_file_counts_none(void)
{
	static const char *const texts[] = { "", "{}",
		"{\"root_hash\":\"" HASH_1 "\",\"attempts\":", "{\"root_hash\":\"" HASH_1 "\",\"attempts\":}",
		"{\"root_hash\":\"" HASH_1 "\",\"attempts\":-3}",
		"{\"root_hash\":\"" HASH_1 "\",\"attempts\":99999999999999999999}",
		"{\"root_hash\":\"" HASH_1 "\",\"attempts\":3" };
	g_auto(Scratch) scratch = scratch_new();

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *path = scratch_write(&scratch, "attempts.json", texts[i], -1);
		g_assert_cmpuint(proa_attempts_read(scratch.path, HASH_1), ==, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/attempts/counts-one-release", counts_one_release);
	g_test_add_func("/attempts/broken-file-counts-none", broken_file_counts_none);
	return g_test_run();
}

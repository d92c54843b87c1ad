/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/verity/tree.h"

static void checks(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_true(proa_verity_check(f->data, f->hash, root_hash, &error));
	g_assert_no_error(error);
}

static void flip(const char *path, gsize at)
{
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_assert_cmpuint(at, <, size);
	bytes[at] ^= 1;
	g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

static void finds(Fixture *f, const char *path, gsize at)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	flip(path, at);
	g_assert_false(proa_verity_check(f->data, f->hash, root_hash, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ROOT_HASH_MISMATCH);
}

static void finds_flipped_data(Fixture *f, gconstpointer size)
{
	finds(f, f->data, f->params.data_size - 1);
}

static void finds_flipped_tree(Fixture *f, gconstpointer size)
{
	finds(f, f->hash, 2 * PROA_VERITY_BLOCK_SIZE + 7);
}

static void finds_broken_superblock(Fixture *f, gconstpointer size)
{
	finds(f, f->hash, 0);
}

static void finds_wrong_root_hash(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	root_hash[0] = root_hash[0] == '0' ? '1' : '0';
	g_assert_false(proa_verity_check(f->data, f->hash, root_hash, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ROOT_HASH_MISMATCH);
}

static void tree_sizes(void)
{
	g_assert_cmpuint(proa_verity_tree_size(4096), ==, 4096);
	g_assert_cmpuint(proa_verity_tree_size(2 * 4096), ==, 2 * 4096);
	g_assert_cmpuint(proa_verity_tree_size(128 * 4096), ==, 2 * 4096);
	g_assert_cmpuint(proa_verity_tree_size(129 * 4096), ==, 4 * 4096);
}

static void unknown_device_is_not_verified(void)
{
	g_autoptr(GError) error = NULL;
	ProaVerityStatus status = { 0 };

	g_assert_false(proa_verity_status("proa-no-such-device", &status, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_VERIFIED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, size, function)                                                                            \
	g_test_add(                                                                                          \
		"/verity/tree/" name, Fixture, GSIZE_TO_POINTER((gsize)(size)), set_up, function, tear_down)
	ADD("checks-its-own", 300 * 4096, checks);
	ADD("finds-flipped-data", 300 * 4096, finds_flipped_data);
	ADD("finds-flipped-tree", 300 * 4096, finds_flipped_tree);
	ADD("finds-broken-superblock", 300 * 4096, finds_broken_superblock);
	ADD("finds-wrong-root-hash", 300 * 4096, finds_wrong_root_hash);
	g_test_add_func("/verity/tree/sizes", tree_sizes);
	g_test_add_func("/verity/tree/unknown-device-is-not-verified", unknown_device_is_not_verified);
	return g_test_run();
}

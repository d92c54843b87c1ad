/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-index.h"

#include "tests/unit/updater/payload/pair.h"

/* Blocks 0 to 9 differ; 10 and 20 are like 3. */
static Pair *example(void)
{
	static const ProaBlocksMaker maker = { .base = { .level = 1, .frame_size = 4096 },
		.step = 512 * 1024 };
	GByteArray *image = pair_image(30, 8);

	memcpy(image->data + 10 * BLOCK, image->data + 3 * BLOCK, BLOCK);
	memcpy(image->data + 20 * BLOCK, image->data + 3 * BLOCK, BLOCK);
	return pair_new(image, pair_image(2, 1), &maker, SALT);
}

static void name_of(const Pair *pair, guint block, guint8 *ret_name)
{
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(pair->leaves.salt);
	guint8 digest[PROA_VERITY_DIGEST_SIZE];

	proa_verity_hash_block(hash, pair->old_image->data + block * BLOCK, digest);
	memcpy(ret_name, digest, PROA_BLOCKS_NAME_SIZE);
}

static void finds_every_block(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(&pair->leaves, &error);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	g_assert_no_error(error);
	for (guint i = 0; i < 30; i++) {
		name_of(pair, i, name);
		guint32 found = proa_blocks_index_find(index, name, 0);
		g_assert_cmpuint(found, ==, i == 10 || i == 20 ? 3 : i);
	}
}

static void prefers_the_wanted_one(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(&pair->leaves, NULL);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	name_of(pair, 3, name);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 10), ==, 10);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 20), ==, 20);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 21), ==, 3);
}

static void does_not_find_others(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(&pair->leaves, NULL);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	for (guint i = 0; i < PROA_BLOCKS_NAME_SIZE; i++) {
		name_of(pair, 5, name);
		name[i] ^= 1;
		g_assert_cmpuint(proa_blocks_index_find(index, name, 5), ==, PROA_BLOCKS_NONE);
	}
}

static void refuses_a_huge_tree(void)
{
	g_autoptr(GError) error = NULL;
	const ProaVerityLeaves leaves = { .fd = -1, .blocks = (4ull << 20) + 1 };

	g_assert_null(proa_blocks_index_new(&leaves, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/blocks-index/finds-every-block", finds_every_block);
	g_test_add_func("/payload/blocks-index/prefers-the-wanted-one", prefers_the_wanted_one);
	g_test_add_func("/payload/blocks-index/does-not-find-others", does_not_find_others);
	g_test_add_func("/payload/blocks-index/refuses-a-huge-tree", refuses_a_huge_tree);
	return g_test_run();
}

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

static ProaBlocksIndex *index_of(const Pair *pair)
{
	ProaBlocksIndex *index = proa_blocks_index_new(0, 1, pair->leaves.blocks);

	g_assert_cmpuint(proa_blocks_index_add_leaves(index, &pair->leaves), ==, 0);
	proa_blocks_index_sort(index);
	return index;
}

static void finds_every_block(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = index_of(pair);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	for (guint i = 0; i < 30; i++) {
		name_of(pair, i, name);
		guint32 found = proa_blocks_index_find(index, name, 0);
		g_assert_cmpuint(found, ==, i == 10 || i == 20 ? 3 : i);
	}
}

static void prefers_the_wanted_one(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = index_of(pair);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	name_of(pair, 3, name);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 10), ==, 10);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 20), ==, 20);
	g_assert_cmpuint(proa_blocks_index_find(index, name, 21), ==, 3);
}

static void does_not_find_others(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksIndex) index = index_of(pair);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	for (guint i = 0; i < PROA_BLOCKS_NAME_SIZE; i++) {
		name_of(pair, 5, name);
		name[i] ^= 1;
		g_assert_cmpuint(proa_blocks_index_find(index, name, 5), ==, PROA_BLOCKS_NONE);
	}
}

/* A name spread as a digest is. */
static void numbered_name(guint32 number, guint8 *ret_name)
{
	const guint64 value = ((guint64)number * 2654435761u) << 32 | number;

	for (guint i = 0; i < PROA_BLOCKS_NAME_SIZE; i++)
		ret_name[i] = (guint8)(value >> (56 - 8 * i));
}

/* However many blocks there are, no index is larger than said, and every block is found in one part. */
static void parts_have_all_names(void)
{
	const guint32 blocks = 3 * PROA_BLOCKS_INDEX_MOST;
	guint parts = proa_blocks_index_parts(blocks), found = 0;
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	g_assert_cmpuint(proa_blocks_index_parts(PROA_BLOCKS_INDEX_MOST), ==, 1);
	g_assert_cmpuint(parts, >=, 4);
	for (guint part = 0; part < parts; part++) {
		g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(part, parts, blocks);
		for (guint32 i = 0; i < blocks; i++) {
			numbered_name(i, name);
			proa_blocks_index_add(index, name, i);
		}
		proa_blocks_index_sort(index);
		for (guint32 i = 0; i < blocks; i += 97) {
			numbered_name(i, name);
			guint32 at = proa_blocks_index_find(index, name, 0);
			g_assert_true(at == i || at == PROA_BLOCKS_NONE);
			found += at == i;
		}
	}
	g_assert_cmpuint(found, ==, (blocks + 96) / 97);
}

/* An old image full of equal blocks leaves room for those that differ. */
static void equal_blocks_take_no_room(void)
{
	const guint32 equal = 2 * PROA_BLOCKS_INDEX_MOST;
	g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(0, 1, equal + 1000);
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	for (guint32 i = 0; i < equal; i++) {
		numbered_name(7, name);
		proa_blocks_index_add(index, name, i);
	}
	for (guint32 i = 0; i < 1000; i++) {
		numbered_name(i + 8, name);
		proa_blocks_index_add(index, name, equal + i);
	}
	proa_blocks_index_sort(index);
	numbered_name(7, name);
	g_assert_cmpuint(proa_blocks_index_find(index, name, equal), ==, 0);
	for (guint32 i = 0; i < 1000; i++) {
		numbered_name(i + 8, name);
		g_assert_cmpuint(proa_blocks_index_find(index, name, 0), ==, equal + i);
	}
}

/* What can't be read of the old tree is as if it were not there; the rest is of use. */
static void unreadable_leaves_are_left_out(void)
{
	static const ProaBlocksMaker maker = { .base = { .level = 1, .frame_size = 4096 },
		.step = 512 * 1024 };
	g_autoptr(Pair) pair = pair_new(pair_image(600, 8), pair_image(2, 1), &maker, SALT);
	g_autofree char *tree = scratch_file(&pair->scratch, "old.verity");
	guint8 name[PROA_BLOCKS_NAME_SIZE];

	/* The device ends behind the digests of 300 blocks. */
	g_assert_cmpint(truncate(tree, (off_t)pair->leaves.offset + 300 * PROA_VERITY_DIGEST_SIZE), ==, 0);
	g_autoptr(ProaBlocksIndex) index = proa_blocks_index_new(0, 1, pair->leaves.blocks);
	g_assert_cmpuint(proa_blocks_index_add_leaves(index, &pair->leaves), ==, 600 - 256);
	proa_blocks_index_sort(index);
	for (guint i = 0; i < 600; i++) {
		name_of(pair, i, name);
		g_assert_cmpuint(proa_blocks_index_find(index, name, 0), ==, i < 256 ? i : PROA_BLOCKS_NONE);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/blocks-index/finds-every-block", finds_every_block);
	g_test_add_func("/payload/blocks-index/prefers-the-wanted-one", prefers_the_wanted_one);
	g_test_add_func("/payload/blocks-index/does-not-find-others", does_not_find_others);
	g_test_add_func("/payload/blocks-index/parts-have-all-names", parts_have_all_names);
	g_test_add_func("/payload/blocks-index/equal-blocks-take-no-room", equal_blocks_take_no_room);
	g_test_add_func(
		"/payload/blocks-index/unreadable-leaves-are-left-out", unreadable_leaves_are_left_out);
	return g_test_run();
}

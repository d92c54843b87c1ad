/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-plan.h"

#include "tests/unit/updater/payload/pair.h"

static const ProaBlocksMaker maker = { .base = { .level = 1, .frame_size = 8192 }, .step = 512 * 1024 };

/* 300 blocks: 10 and 11 new, 200 zero, 290 new, the others the old image's. */
static Pair *example(void)
{
	g_autoptr(GByteArray) news = pair_image(3, 99);
	GByteArray *image = pair_image(300, 4);

	memcpy(image->data + 10 * BLOCK, news->data, 2 * BLOCK);
	memcpy(image->data + 290 * BLOCK, news->data + 2 * BLOCK, BLOCK);
	memset(image->data + 200 * BLOCK, 0, BLOCK);
	return pair_new(pair_image(300, 4), image, &maker, SALT);
}

static void tells_where_blocks_come_from(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, &error);

	g_assert_no_error(error);
	for (guint i = 0; i < 300; i++) {
		gboolean new = i == 10 || i == 11 || i == 290;
		g_assert_cmpuint(plan->sources[i], ==,
			new        ? PROA_BLOCKS_FETCH
			: i == 200 ? PROA_BLOCKS_ZERO
				   : i);
	}
	for (guint i = 0; i < 150; i++)
		g_assert_cmpint(proa_blocks_plan_needs(plan, i), ==, i == 5 || i == 145);
}

static void ranges_are_the_frames(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	guint64 bytes = 0, offset = proa_blocks_head_size(plan->header);

	g_autoptr(GArray) all = proa_blocks_plan_ranges(plan, 0, &bytes);
	g_assert_cmpuint(all->len, ==, 2);
	for (guint i = 0; i < 5; i++)
		offset += plan->header->frames[i].packed_size;
	g_assert_cmpuint(g_array_index(all, ProaPayloadRange, 0).offset, ==, offset);
	g_assert_cmpuint(
		g_array_index(all, ProaPayloadRange, 0).length, ==, plan->header->frames[5].packed_size);
	g_assert_cmpuint(
		bytes, ==, plan->header->frames[5].packed_size + plan->header->frames[145].packed_size);
	/* In the middle of a group: all of it again. */
	g_autoptr(GArray) first = proa_blocks_plan_ranges(plan, 127 * BLOCK, NULL);
	g_assert_cmpuint(first->len, ==, 2);
	g_autoptr(GArray) second = proa_blocks_plan_ranges(plan, 128 * BLOCK, NULL);
	g_assert_cmpuint(second->len, ==, 1);
	g_autoptr(GArray) none = proa_blocks_plan_ranges(plan, 300 * BLOCK, &bytes);
	g_assert_cmpuint(none->len, ==, 1); /* the last group is cut short, so the end is within it */
}

static void neighbours_are_merged(void)
{
	g_autoptr(Pair) pair = pair_new(pair_image(2, 1), pair_image(300, 4), &maker, SALT);
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	guint64 bytes = 0;
	g_autoptr(GArray) ranges = proa_blocks_plan_ranges(plan, 0, &bytes);

	g_assert_cmpuint(ranges->len, ==, 1);
	g_assert_cmpuint(bytes + pair->expect.header_size, ==, pair->payload->len);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/blocks-plan/tells-where-blocks-come-from", tells_where_blocks_come_from);
	g_test_add_func("/payload/blocks-plan/ranges-are-the-frames", ranges_are_the_frames);
	g_test_add_func("/payload/blocks-plan/neighbours-are-merged", neighbours_are_merged);
	return g_test_run();
}

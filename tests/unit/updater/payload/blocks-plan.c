/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks-plan.h"

#include "tests/unit/updater/payload/pair.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const ProaBlocksMaker maker = { .base = { .level = 1, .frame_size = 8192 }, .step = 512 * 1024 };

static guint64 room = G_MAXUINT32; /* bytes that are free where files are */

/* Before that of the C library. */
int fstatvfs(int fd, struct statvfs *fs)
{
	*fs = (struct statvfs){ .f_bsize = 4096, .f_frsize = 4096, .f_blocks = G_MAXUINT32 };
	fs->f_bfree = fs->f_blocks;
	fs->f_bavail = room / 4096;
	return 0;
}

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

static void group_of(const ProaBlocksPlan *plan, guint32 index, ProaBlocksGroup *ret_group)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_blocks_plan_group(plan, index, ret_group, &error));
	g_assert_no_error(error);
}

static guint32 source_of(const ProaBlocksPlan *plan, guint32 block)
{
	ProaBlocksGroup group;

	group_of(plan, block / PROA_BLOCKS_GROUP_BLOCKS, &group);
	return group.sources[block % PROA_BLOCKS_GROUP_BLOCKS];
}

static gboolean needs(const ProaBlocksPlan *plan, guint32 frame)
{
	guint32 per_group = PROA_BLOCKS_GROUP_SIZE / plan->header->frame_size;
	ProaBlocksGroup group;

	group_of(plan, frame / per_group, &group);
	return proa_blocks_plan_needs(plan, &group, frame % per_group);
}

static guint64 cost_of(const ProaBlocksPlan *plan, guint64 from)
{
	g_autoptr(GError) error = NULL;
	guint64 bytes = 0;

	g_assert_true(proa_blocks_plan_cost(plan, from, &bytes, &error));
	return bytes;
}

static GArray *ranges_of(const ProaBlocksPlan *plan, guint32 first)
{
	guint32 end = 0;
	GArray *ranges = proa_blocks_plan_ranges(plan, first, 1000, &end, NULL);

	g_assert_cmpuint(end, ==, proa_blocks_n_groups(plan->header));
	return ranges;
}

static void tells_where_blocks_come_from(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, &error);

	g_assert_no_error(error);
	for (guint i = 0; i < 300; i++) {
		gboolean new = i == 10 || i == 11 || i == 290;
		g_assert_cmpuint(source_of(plan, i), ==,
			new        ? PROA_BLOCKS_FETCH
			: i == 200 ? PROA_BLOCKS_ZERO
				   : i);
	}
	for (guint i = 0; i < 150; i++)
		g_assert_cmpint(needs(plan, i), ==, i == 5 || i == 145);
}

/* A block that the image has twice is fetched once: what repeats comes from where it was made. */
static void repeated_blocks_are_fetched_once(void)
{
	g_autoptr(GByteArray) image = pair_image(300, 4);

	memcpy(image->data + 200 * BLOCK, image->data, 60 * BLOCK);
	g_autoptr(Pair) pair = pair_new(pair_image(2, 1),
		g_byte_array_append(g_byte_array_new(), image->data, image->len), &maker, SALT);
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	for (guint i = 0; i < 300; i++)
		g_assert_cmpuint(source_of(plan, i), ==,
			i >= 200 && i < 260 ? (i - 200) | PROA_BLOCKS_MADE : PROA_BLOCKS_FETCH);
	g_autoptr(GArray) ranges = ranges_of(plan, 0);
	g_assert_cmpuint(ranges->len, ==, 2);
	guint64 fetched = g_array_index(ranges, ProaPayloadRange, 0).length +
			  g_array_index(ranges, ProaPayloadRange, 1).length;
	g_assert_cmpuint(cost_of(plan, 0), ==, fetched);
	g_assert_cmpuint(fetched, <, (pair->payload->len - pair->expect.header_size) * 5 / 6);
}

static void ranges_are_the_frames(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	g_autoptr(ProaBlocksHeader) header = proa_blocks_header_parse(pair->payload->data, NULL);
	g_assert_true(proa_blocks_tables_parse(header, pair->payload->data + PROA_BLOCKS_HEADER_SIZE, NULL));
	guint64 offset = proa_blocks_head_size(plan->header);
	guint32 end = 0;

	g_autoptr(GArray) all = ranges_of(plan, 0);
	g_assert_cmpuint(all->len, ==, 2);
	for (guint i = 0; i < 5; i++)
		offset += header->frames[i].packed_size;
	g_assert_cmpuint(g_array_index(all, ProaPayloadRange, 0).offset, ==, offset);
	g_assert_cmpuint(g_array_index(all, ProaPayloadRange, 0).length, ==, header->frames[5].packed_size);
	g_assert_cmpuint(
		cost_of(plan, 0), ==, header->frames[5].packed_size + header->frames[145].packed_size);
	/* In the middle of a group: all of it again. */
	g_assert_cmpuint(cost_of(plan, 127 * BLOCK), ==, cost_of(plan, 0));
	g_assert_cmpuint(cost_of(plan, 128 * BLOCK), ==, header->frames[145].packed_size);
	g_assert_cmpuint(cost_of(plan, 300 * BLOCK), ==, 0);
	g_autoptr(GArray) second = ranges_of(plan, 1);
	g_assert_cmpuint(second->len, ==, 1);
	/* So many at a time: the group with which that is reached is the last. */
	g_autoptr(GArray) some = proa_blocks_plan_ranges(plan, 0, 1, &end, NULL);
	g_assert_cmpuint(some->len, ==, 1);
	g_assert_cmpuint(end, ==, 1);
}

static void neighbours_are_merged(void)
{
	g_autoptr(Pair) pair = pair_new(pair_image(2, 1), pair_image(300, 4), &maker, SALT);
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	g_autoptr(GArray) ranges = ranges_of(plan, 0);

	g_assert_cmpuint(ranges->len, ==, 1);
	g_assert_cmpuint(cost_of(plan, 0) + pair->expect.header_size, ==, pair->payload->len);
}

/* The head of an interrupted transaction is not fetched again; one that changed meanwhile is. */
static void kept_head_is_checked(void)
{
	g_autoptr(Pair) pair = example();
	g_autofree char *path = scratch_file(&pair->scratch, "head.part");

	pair->job.scratch = path;
	for (guint i = 0; i < 3; i++) {
		g_autofree char *bytes = NULL;
		gsize size = 0;
		pair->opened = 0;
		g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
		g_assert_nonnull(plan);
		g_assert_cmpuint(pair->opened, ==, i == 1 ? 0 : pair->expect.header_size);
		g_assert_cmpuint(source_of(plan, 12), ==, 12);
		g_assert_cmpuint(source_of(plan, 11), ==, PROA_BLOCKS_FETCH);
		if (i != 1)
			continue;
		g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
		bytes[pair->expect.header_size - 1] ^= 1;
		g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
	}
}

/* A disk that gives back something else: no block is taken from one that is not made yet. */
static void rotten_plan_is_refused(void)
{
	g_autoptr(Pair) pair = example();
	g_autoptr(GError) error = NULL;
	g_autofree char *path = scratch_file(&pair->scratch, "head.part");
	const guint32 ahead = 13 | PROA_BLOCKS_MADE;
	ProaBlocksGroup group;

	pair->job.scratch = path;
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	g_assert_true(proa_pwrite_all(fd, &ahead, sizeof ahead, (goffset)plan->sources_at + 13 * 4, NULL));
	g_assert_false(proa_blocks_plan_group(plan, 0, &group, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
}

/* Where the file can't be made the plan is in memory. */
static void goes_without_a_file(void)
{
	g_autoptr(Pair) pair = example();
	g_autofree char *path = scratch_file(&pair->scratch, "no/such/folder");

	pair->job.scratch = path;
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	g_assert_nonnull(plan);
	g_assert_cmpuint(source_of(plan, 299), ==, 299);
}

/* Nor is the room taken that others need; what the file has already is none. */
static void leaves_room_for_others(void)
{
	g_autoptr(Pair) pair = example();
	g_autofree char *path = scratch_file(&pair->scratch, "head.part");
	struct stat before, after;

	pair->job.scratch = path;
	g_autoptr(ProaBlocksPlan) first = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	g_assert_nonnull(first);
	g_assert_cmpint(stat(path, &before), ==, 0);
	g_assert_cmpint(before.st_size, >, 0);
	room = 0;
	pair->opened = 0;
	g_autoptr(ProaBlocksPlan) kept = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	g_assert_nonnull(kept);
	g_assert_cmpuint(pair->opened, ==, 0);
	g_assert_cmpint(g_unlink(path), ==, 0);
	room = PROA_FILE_RESERVE;
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, NULL);
	room = G_MAXUINT32;
	g_assert_nonnull(plan);
	g_assert_cmpuint(source_of(plan, 299), ==, 299);
	g_assert_cmpint(stat(path, &after), ==, 0);
	g_assert_cmpint(after.st_blocks, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/blocks-plan/tells-where-blocks-come-from", tells_where_blocks_come_from);
	g_test_add_func(
		"/payload/blocks-plan/repeated-blocks-are-fetched-once", repeated_blocks_are_fetched_once);
	g_test_add_func("/payload/blocks-plan/kept-head-is-checked", kept_head_is_checked);
	g_test_add_func("/payload/blocks-plan/rotten-plan-is-refused", rotten_plan_is_refused);
	g_test_add_func("/payload/blocks-plan/goes-without-a-file", goes_without_a_file);
	g_test_add_func("/payload/blocks-plan/leaves-room-for-others", leaves_room_for_others);
	g_test_add_func("/payload/blocks-plan/ranges-are-the-frames", ranges_are_the_frames);
	g_test_add_func("/payload/blocks-plan/neighbours-are-merged", neighbours_are_merged);
	return g_test_run();
}

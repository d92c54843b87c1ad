/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/blocks.h"

#include "tests/unit/updater/payload/pair.h"
#include "updater/payload/wire.h"

#include <zstd.h>

#define OLD_BLOCKS 600u /* more than four groups, and not a multiple of one */
#define OTHER_SALT "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd01"

static const ProaBlocksMaker quick = {
	.base = { .level = 3, .frame_size = 16384, .threads = 2 }, .window = 1024 * 1024, .step = 512 * 1024
};

static GByteArray *old_image(void)
{
	return pair_image(OLD_BLOCKS, 1);
}

static ProaBlocksPlan *plan_of(Pair *pair)
{
	g_autoptr(GError) error = NULL;
	ProaBlocksPlan *plan = proa_blocks_plan_new(&pair->job, &pair->leaves, &error);

	g_assert_no_error(error);
	g_assert_nonnull(plan);
	return plan;
}

/* Applies, compares the image, and tells the bytes of frames that were fetched. */
static guint64 apply_whole(Pair *pair, ProaBlocksCount *ret_count)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBlocksPlan) plan = plan_of(pair);
	ProaBlocksCount count = { 0 };
	guint64 cost = 0;

	g_assert_true(proa_blocks_plan_cost(plan, 0, &cost, &error));
	g_assert_true(proa_blocks_apply(plan, &pair->job, &count, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(pair->made->data, pair->made->len, pair->new_image->data, pair->new_image->len);
	if (count.mended == 0 && count.unreadable == 0)
		g_assert_cmpuint(count.fetched, ==, cost);
	g_assert_cmpuint(pair->opened, ==, pair->expect.header_size + count.fetched);
	if (ret_count)
		*ret_count = count;
	return count.fetched;
}

static void check_reason(const GError *error, ProaReason reason)
{
	g_assert_nonnull(error);
	g_assert_cmpstr(proa_reason_to_string(proa_reason_of(error)), ==, proa_reason_to_string(reason));
}

/* --- pairs of images -------------------------------------------------------------------------------------
 */

static GByteArray *make_equal(void)
{
	return old_image();
}

static GByteArray *make_moved(void)
{
	g_autoptr(GByteArray) from = old_image();
	GByteArray *to = g_byte_array_new();

	g_byte_array_append(to, from->data + 400 * BLOCK, 200 * BLOCK);
	return g_byte_array_append(to, from->data, 400 * BLOCK);
}

static GByteArray *make_inserted(void)
{
	g_autoptr(GByteArray) from = old_image(), news = pair_image(3, 77);
	GByteArray *to = g_byte_array_append(g_byte_array_new(), from->data, 131 * BLOCK);

	g_byte_array_append(to, news->data, news->len);
	return g_byte_array_append(to, from->data + 131 * BLOCK, from->len - 131 * BLOCK);
}

static GByteArray *make_truncated(void)
{
	return g_byte_array_set_size(old_image(), 259 * BLOCK);
}

static GByteArray *make_grown(void)
{
	g_autoptr(GByteArray) news = pair_image(700, 5);

	return g_byte_array_append(old_image(), news->data, news->len);
}

static GByteArray *make_shuffled(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(9);
	GByteArray *to = old_image();

	for (guint i = OLD_BLOCKS - 1; i > 0; i--) {
		guint8 block[BLOCK], *a = to->data + i * BLOCK;
		guint8 *b = to->data + (guint)g_rand_int_range(random, 0, (gint32)i + 1) * BLOCK;
		memcpy(block, a, BLOCK);
		memmove(a, b, BLOCK);
		memcpy(b, block, BLOCK);
	}
	return to;
}

static GByteArray *make_zero(void)
{
	GByteArray *to = old_image();

	memset(to->data, 0, to->len);
	return to;
}

static GByteArray *make_unrelated(void)
{
	return pair_image(513, 4711);
}

static GByteArray *make_smallest(void)
{
	return pair_image(2, 3);
}

/* Single bytes of every third block changed, all over. */
static GByteArray *make_sprinkled(void)
{
	GByteArray *to = old_image();

	for (guint i = 0; i < OLD_BLOCKS; i += 3)
		to->data[i * BLOCK + 17] ^= 1;
	return to;
}

typedef struct {
	const char *name;
	GByteArray *(*make)(void);
	guint max_frames; /* that may be fetched, of frames of 4 KiB */
} Kind;

static const Kind kinds[] = {
	{ "equal", make_equal, 0 },
	{ "moved", make_moved, 0 },
	{ "inserted", make_inserted, 3 },
	{ "truncated", make_truncated, 0 },
	{ "grown", make_grown, 700 },
	{ "shuffled", make_shuffled, 0 },
	{ "zero", make_zero, 0 },
	{ "unrelated", make_unrelated, 513 },
	{ "smallest", make_smallest, 2 },
	{ "sprinkled", make_sprinkled, 200 },
};

/* Whatever the pair, the frames and the window: the image comes out, and no block is fetched that is held. */
static void makes_the_image(gconstpointer data)
{
	static const guint32 frames[] = { 4096, 16384, 512 * 1024 }, windows[] = { 0, 64 * 1024, 4u << 20 };
	const Kind *kind = data;

	for (guint i = 0; i < G_N_ELEMENTS(frames); i++) {
		const ProaBlocksMaker maker = { .base = { .level = 3, .frame_size = frames[i] },
			.window = windows[i],
			.step = i == 2 ? 1024 * 1024 : 512 * 1024 };
		g_autoptr(Pair) pair = pair_new(old_image(), kind->make(), &maker, SALT);
		ProaBlocksCount count = { 0 };
		guint64 fetched = apply_whole(pair, &count);
		g_assert_cmpuint(count.mended, ==, 0);
		if (kind->max_frames == 0)
			g_assert_cmpuint(fetched, ==, 0);
		else
			g_assert_cmpuint(fetched, >, 0);
		if (frames[i] == BLOCK)
			g_assert_cmpuint(fetched, <=, kind->max_frames * ZSTD_COMPRESSBOUND((guint64)BLOCK));
	}
}

static void any_split_of_the_stream(void)
{
	for (guint max_read = 1; max_read < 100000; max_read *= 7) {
		g_autoptr(Pair) pair = pair_new(old_image(), make_inserted(), &quick, SALT);
		pair->max_read = max_read;
		apply_whole(pair, NULL);
	}
}

static void window_saves_bytes(void)
{
	/* The news is a copy, shifted by some bytes, of a piece that every client holds: no block of it
	 * matches. */
	g_autoptr(GByteArray) from = old_image();
	ProaBlocksMaker without = quick;
	GByteArray *news[2];

	for (guint i = 0; i < 2; i++) {
		news[i] = old_image();
		memcpy(news[i]->data + 300 * BLOCK, from->data + 200 * BLOCK + 8, 40 * BLOCK);
	}
	without.window = 0;
	g_autoptr(Pair) first = pair_new(old_image(), news[0], &quick, SALT);
	g_autoptr(Pair) second = pair_new(old_image(), news[1], &without, SALT);
	guint64 with = apply_whole(first, NULL);
	g_assert_cmpuint(with * 5, <, apply_whole(second, NULL));
}

/* From any block on, what is left comes out, and no frame of groups that are done is asked for. */
static void goes_on_anywhere(void)
{
	static const guint starts[] = { 0, 1, 127, 128, 129, 300, 512, 599, 602, 603 };
	guint64 before = G_MAXUINT64;

	for (guint i = 0; i < G_N_ELEMENTS(starts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(Pair) pair = pair_new(pair_image(OLD_BLOCKS, 1000), make_inserted(), &quick, SALT);
		g_autoptr(ProaBlocksPlan) plan = plan_of(pair);
		ProaBlocksCount count = { 0 };
		pair->job.from = starts[i] * BLOCK;
		g_byte_array_append(pair->made, pair->new_image->data, (guint)pair->job.from);
		g_assert_true(proa_blocks_apply(plan, &pair->job, &count, &error));
		g_assert_no_error(error);
		g_assert_cmpmem(
			pair->made->data, pair->made->len, pair->new_image->data, pair->new_image->len);
		g_assert_cmpuint(count.fetched, <=, before);
		before = count.fetched;
	}
	g_assert_cmpuint(before, ==, 0);
}

static void other_salt_fetches_all(void)
{
	g_autoptr(Pair) pair = pair_new(old_image(), make_equal(), &quick, OTHER_SALT);

	g_assert_cmpuint(apply_whole(pair, NULL) + pair->expect.header_size, ==, pair->payload->len);
}

static void no_old_image_fetches_all(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(Pair) pair = pair_new(old_image(), make_equal(), &quick, SALT);
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, NULL, &error);

	g_assert_no_error(error);
	pair->job.read_old = NULL;
	g_assert_true(proa_blocks_apply(plan, &pair->job, NULL, &error));
	g_assert_cmpmem(pair->made->data, pair->made->len, pair->new_image->data, pair->new_image->len);
}

/* --- what is wrong -------------------------------------------------------------------------------------- */

static void rotten_old_block_is_fetched(void)
{
	g_autoptr(Pair) pair = pair_new(old_image(), make_moved(), &quick, SALT);
	ProaBlocksCount count = { 0 };

	pair->old_image->data[5 * BLOCK] ^= 1;
	guint64 fetched = apply_whole(pair, &count);
	g_assert_cmpuint(count.mended, ==, 1);
	g_assert_cmpuint(fetched, >, 0);
}

static ProaBlocksHeader *header_of(const Pair *pair)
{
	ProaBlocksHeader *header = proa_blocks_header_parse(pair->payload->data, NULL);

	g_assert_true(proa_blocks_tables_parse(header, pair->payload->data + PROA_BLOCKS_HEADER_SIZE, NULL));
	return header;
}

/* The old tree says that a block is there which is not: as a name that two blocks share would. */
static void lying_name_is_mended(void)
{
	g_autoptr(Pair) pair = pair_new(old_image(), make_inserted(), &quick, SALT);
	g_autoptr(ProaBlocksHeader) header = header_of(pair);
	guint8 *names = pair->payload->data + PROA_BLOCKS_HEADER_SIZE + proa_blocks_tables_size(header);
	ProaBlocksCount count = { 0 };

	for (guint i = 131; i < 134; i++)
		memcpy(names + (gsize)i * PROA_BLOCKS_NAME_SIZE, names, PROA_BLOCKS_NAME_SIZE);
	pair_say(pair, pair->expect.header_size);
	apply_whole(pair, &count);
	g_assert_cmpuint(count.mended, ==, 1);
}

static void fails(Pair *pair, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, &error);

	if (plan)
		g_assert_false(proa_blocks_apply(plan, &pair->job, NULL, &error));
	check_reason(error, reason);
	/* What was given away is the image's. */
	g_assert_cmpuint(pair->made->len, <=, pair->new_image->len);
	g_assert_cmpmem(pair->made->data, pair->made->len, pair->new_image->data, pair->made->len);
}

static Pair *unrelated(void)
{
	return pair_new(old_image(), make_unrelated(), &quick, SALT);
}

/* Any byte of the head that differs from the publisher's: nothing is fetched but the head, nothing written.
 */
static void refuses_altered_head(void)
{
	g_autoptr(Pair) pair = unrelated();
	guint64 head = pair->expect.header_size;
	static const guint64 places[] = { 0, 8, 12, 16, 24, 28, 32, 64, 96, 100, 104, 112, 140, 4000 };

	for (guint i = 0; i < G_N_ELEMENTS(places) + 1; i++) {
		guint64 at = i < G_N_ELEMENTS(places) ? places[i] : head - 1;
		g_autoptr(GError) error = NULL;
		pair->payload->data[at] ^= 0x40;
		pair->opened = 0;
		g_assert_null(proa_blocks_plan_new(&pair->job, &pair->leaves, &error));
		g_assert_nonnull(error);
		g_assert_cmpuint(pair->opened, ==, head);
		pair->payload->data[at] ^= 0x40;
	}
	pair->opened = 0;
	apply_whole(pair, NULL);
}

static void refuses_altered_frame(void)
{
	g_autoptr(Pair) pair = unrelated();

	pair->payload->data[pair->expect.header_size + 100] ^= 1;
	fails(pair, PROA_REASON_PAYLOAD_DIGEST);
	g_assert_cmpuint(pair->made->len, ==, 0);
}

static void refuses_altered_last_frame(void)
{
	g_autoptr(Pair) pair = unrelated();

	pair->payload->data[pair->payload->len - 1] ^= 1;
	fails(pair, PROA_REASON_PAYLOAD_DIGEST);
	g_assert_cmpuint(pair->made->len, ==, 512 * BLOCK);
}

static void refuses_short_stream(void)
{
	g_autoptr(Pair) head = unrelated(), frame = unrelated();

	head->cut_at = head->expect.header_size - 1;
	fails(head, PROA_REASON_PAYLOAD_TRUNCATED);
	frame->cut_at = frame->expect.header_size + 5;
	fails(frame, PROA_REASON_PAYLOAD_TRUNCATED);
}

static void refuses_what_the_manifest_does_not_say(void)
{
	g_autoptr(Pair) size = unrelated(), root = unrelated(), head = unrelated(), total = unrelated(),
			none = unrelated();
	g_autofree char *other = g_strnfill(64, 'a');

	size->expect.image_size += BLOCK;
	fails(size, PROA_REASON_BAD_PAYLOAD);
	root->expect.root_hash = other;
	fails(root, PROA_REASON_BAD_PAYLOAD);
	head->expect.header_size -= 1;
	fails(head, PROA_REASON_BAD_PAYLOAD);
	total->expect.size -= 1;
	fails(total, PROA_REASON_BAD_PAYLOAD);
	none->expect.header_sha256 = NULL;
	fails(none, PROA_REASON_BAD_MANIFEST);
}

/* A publisher's mistake, or worse: the digests of the groups do not lead to the root hash. */
static void refuses_another_tree(void)
{
	g_autoptr(Pair) pair = unrelated();
	g_autoptr(ProaBlocksHeader) header = header_of(pair);

	pair->payload
		->data[PROA_BLOCKS_HEADER_SIZE + (gsize)header->n_frames * PROA_BLOCKS_FRAME_ENTRY_SIZE] ^= 1;
	pair_say(pair, pair->expect.header_size);
	fails(pair, PROA_REASON_ROOT_HASH_MISMATCH);
	g_assert_cmpuint(pair->made->len, ==, 0);
}

/* Replaces the first frame by other bytes of the same length on the wire, with its digest set right. */
static void replace_first_frame(Pair *pair, const guint8 *bytes, gsize size)
{
	g_autoptr(ProaBlocksHeader) header = header_of(pair);
	guint8 *frame = pair->payload->data + pair->expect.header_size;
	guint32 old_size = header->frames[0].packed_size;

	g_assert_cmpuint(size, <=, old_size);
	memcpy(frame, bytes, size);
	memmove(frame + size, frame + old_size, pair->payload->len - pair->expect.header_size - old_size);
	g_byte_array_set_size(pair->payload, pair->payload->len - (guint)(old_size - size));
	guint8 *entry = pair->payload->data + PROA_BLOCKS_HEADER_SIZE;
	frame = pair->payload->data + pair->expect.header_size;
	proa_put_u32(entry, (guint32)size);
	proa_blocks_frame_digest(frame, size, entry + 4);
	pair_say(pair, pair->expect.header_size);
}

static void refuses_other_frames(void)
{
	static const guint8 zeros[1 << 20];
	static const gsize sizes[] = { 16384, 16383, 16385, 1 << 20 };
	guint8 packed[2048];

	/* 16384 zeros are a good frame of another image; the other sizes are none, the last would be a bomb.
	 */
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(Pair) pair = unrelated();
		gsize n = ZSTD_compress(packed, sizeof packed, zeros, sizes[i], 3);
		g_assert_false(ZSTD_isError(n));
		replace_first_frame(pair, packed, n);
		fails(pair, i == 0 ? PROA_REASON_ROOT_HASH_MISMATCH : PROA_REASON_BAD_PAYLOAD);
		g_assert_cmpuint(pair->made->len, ==, 0);
	}
	g_autoptr(Pair) noise = unrelated();
	replace_first_frame(noise, zeros + 1, 100);
	fails(noise, PROA_REASON_BAD_PAYLOAD);
}

/* Blocks that the old image's device does not give are fetched, with what is in a frame with them. */
static void unreadable_old_blocks_are_fetched(void)
{
	g_autoptr(Pair) pair = pair_new(old_image(), make_equal(), &quick, SALT);
	ProaBlocksCount count = { 0 };

	g_byte_array_set_size(pair->old_image, 590 * BLOCK); /* the device ends: reading it fails */
	guint64 fetched = apply_whole(pair, &count);
	g_assert_cmpuint(count.unreadable, ==, 3);
	g_assert_cmpuint(count.mended, ==, 0);
	g_assert_cmpuint(fetched, >, 0);
	g_assert_cmpuint(fetched, <, (pair->payload->len - pair->expect.header_size) / 20);
}

/* A device that fails everywhere is asked so often and no more. */
static guint reads;

static gboolean read_nothing(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	reads++;
	return proa_fail(error, PROA_REASON_IO, "it is gone");
}

static void dead_old_device_is_left_alone(void)
{
	g_autoptr(Pair) pair = pair_new(old_image(), make_equal(), &quick, SALT);

	reads = 0;
	pair->job.read_old = read_nothing;
	g_assert_cmpuint(apply_whole(pair, NULL) + pair->expect.header_size, ==, pair->payload->len);
	g_assert_cmpuint(reads, >, 0);
	g_assert_cmpuint(reads, <, 100);
}

/* What the image has more than once is fetched once: near, far, and again and again in a row. */
static GByteArray *make_repeating(void)
{
	GByteArray *to = pair_image(513, 4711);

	memcpy(to->data + 400 * BLOCK, to->data, 100 * BLOCK);
	memcpy(to->data + 20 * BLOCK, to->data + 16 * BLOCK, 4 * BLOCK);
	for (guint i = 300; i < 340; i++)
		memcpy(to->data + i * BLOCK, to->data + 299 * BLOCK, BLOCK);
	return to;
}

static void repeated_blocks_are_copied(void)
{
	ProaBlocksMaker maker = quick;
	maker.window = 0;
	g_autoptr(Pair) pair = pair_new(old_image(), make_repeating(), &maker, SALT);
	ProaBlocksCount count = { 0 };
	guint64 fetched = apply_whole(pair, &count);

	g_assert_cmpuint(count.mended, ==, 0);
	g_assert_cmpuint(count.unreadable, ==, 0);
	g_assert_cmpuint(count.repeated, >=, 140 * BLOCK);
	g_assert_cmpuint(fetched, <, (pair->payload->len - pair->expect.header_size) * 4 / 5);
}

/* What lies in the slot is checked like anything else before it is made again. */
static void rotten_repeated_block_is_fetched(void)
{
	g_autoptr(GError) error = NULL;
	ProaBlocksMaker maker = quick;
	maker.window = 0;
	g_autoptr(Pair) pair = pair_new(old_image(), make_repeating(), &maker, SALT);
	g_autoptr(ProaBlocksPlan) plan = plan_of(pair);
	ProaBlocksCount count = { 0 };

	pair->job.from = 384 * BLOCK;
	g_byte_array_append(pair->made, pair->new_image->data, (guint)pair->job.from);
	pair->made->data[30 * BLOCK] ^= 1;
	g_assert_true(proa_blocks_apply(plan, &pair->job, &count, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(count.mended, ==, 1);
	pair->made->data[30 * BLOCK] ^= 1;
	g_assert_cmpmem(pair->made->data, pair->made->len, pair->new_image->data, pair->new_image->len);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *name = g_strconcat("/payload/blocks/makes-image-", kinds[i].name, NULL);
		g_test_add_data_func(name, &kinds[i], makes_the_image);
	}
	g_test_add_func("/payload/blocks/any-split-of-the-stream", any_split_of_the_stream);
	g_test_add_func("/payload/blocks/window-saves-bytes", window_saves_bytes);
	g_test_add_func("/payload/blocks/goes-on-anywhere", goes_on_anywhere);
	g_test_add_func("/payload/blocks/other-salt-fetches-all", other_salt_fetches_all);
	g_test_add_func("/payload/blocks/no-old-image-fetches-all", no_old_image_fetches_all);
	g_test_add_func("/payload/blocks/rotten-old-block-is-fetched", rotten_old_block_is_fetched);
	g_test_add_func("/payload/blocks/lying-name-is-mended", lying_name_is_mended);
	g_test_add_func("/payload/blocks/refuses-altered-head", refuses_altered_head);
	g_test_add_func("/payload/blocks/refuses-altered-frame", refuses_altered_frame);
	g_test_add_func("/payload/blocks/refuses-altered-last-frame", refuses_altered_last_frame);
	g_test_add_func("/payload/blocks/refuses-short-stream", refuses_short_stream);
	g_test_add_func("/payload/blocks/refuses-what-the-manifest-does-not-say",
		refuses_what_the_manifest_does_not_say);
	g_test_add_func("/payload/blocks/refuses-another-tree", refuses_another_tree);
	g_test_add_func("/payload/blocks/refuses-other-frames", refuses_other_frames);
	g_test_add_func(
		"/payload/blocks/unreadable-old-blocks-are-fetched", unreadable_old_blocks_are_fetched);
	g_test_add_func("/payload/blocks/dead-old-device-is-left-alone", dead_old_device_is_left_alone);
	g_test_add_func("/payload/blocks/repeated-blocks-are-copied", repeated_blocks_are_copied);
	g_test_add_func("/payload/blocks/rotten-repeated-block-is-fetched", rotten_repeated_block_is_fetched);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The property that all payloads of a root image have in common: apply(make(old, new), old) is new, for
 * generated pairs of images, for every split of the stream, with room of the sink's or without, and from any
 * block on that is there already. `uki` has its own in tests/unit/images/payload/uki.c.
 */
#include "images/payload/delta.h"
#include "images/payload/maker.h"
#include "tests/unit/updater/payload/pair.h"
#include "updater/payload/apply.h"
#include "updater/payload/delta.h"

#define BLOCKS 150u
#define ROOM_SIZE (7u * BLOCK)

static const ProaBlocksMaker blocks_maker = {
	.base = { .level = 1, .frame_size = 8192, .threads = 2 }, .window = 65536, .step = 512 * 1024
};
static const ProaMaker full_maker = { .level = 1, .frame_size = 65536, .threads = 2 };

/* --- pairs of images -------------------------------------------------------------------------------------
 */

static guint roll(guint below)
{
	return (guint)g_test_rand_int_range(0, (gint32)below);
}

/* Whole blocks, at least two. */
static GByteArray *padded(GByteArray *image)
{
	guint size = MAX(2 * BLOCK, (image->len + BLOCK - 1) / BLOCK * BLOCK), had = image->len;

	g_byte_array_set_size(image, size);
	memset(image->data + had, 0, size - had);
	return image;
}

static void append_part(GByteArray *to, const GByteArray *from, guint begin, guint end)
{
	g_byte_array_append(to, from->data + begin, end - begin);
}

/* Three parts, cut anywhere, in another order. */
static GByteArray *moved(const GByteArray *old)
{
	guint a = roll(old->len / 2), b = a + roll(old->len - a);
	GByteArray *image = g_byte_array_new();

	append_part(image, old, b, old->len);
	append_part(image, old, a, b);
	append_part(image, old, 0, a);
	return padded(image);
}

static GByteArray *inserted(const GByteArray *old)
{
	GByteArray *image = g_byte_array_new();
	guint at = 0;

	for (guint i = 0; i < 6; i++) {
		guint next = at + roll(old->len - at), n = roll(5000);
		append_part(image, old, at, next);
		for (; n > 0; n--) {
			guint8 byte = (guint8)roll(256);
			g_byte_array_append(image, &byte, 1);
		}
		at = next;
	}
	append_part(image, old, at, old->len);
	return padded(image);
}

static GByteArray *truncated(const GByteArray *old)
{
	GByteArray *image = g_byte_array_new();

	append_part(image, old, 0, roll(old->len));
	return padded(image);
}

static GByteArray *shuffled(const GByteArray *old)
{
	GByteArray *image = pair_copy(old);

	for (guint i = old->len / BLOCK; i-- > 1;) {
		guint other = roll(i + 1);
		guint8 block[BLOCK];
		memcpy(block, image->data + i * BLOCK, BLOCK);
		memcpy(image->data + i * BLOCK, image->data + other * BLOCK, BLOCK);
		memcpy(image->data + other * BLOCK, block, BLOCK);
	}
	return image;
}

/* Bytes here and there, as a build's stamps are. */
static GByteArray *edited(const GByteArray *old)
{
	GByteArray *image = pair_copy(old);

	for (guint i = 0; i < 200; i++)
		image->data[roll(image->len)] = (guint8)roll(256);
	return image;
}

static GByteArray *all_zero(const GByteArray *old)
{
	GByteArray *image = g_byte_array_new();

	g_byte_array_set_size(image, old->len);
	memset(image->data, 0, image->len);
	return image;
}

static GByteArray *equal(const GByteArray *old)
{
	return pair_copy(old);
}

static GByteArray *unrelated(const GByteArray *old)
{
	return pair_image(2 + roll(BLOCKS), 1000 + roll(1000));
}

typedef GByteArray *(*Change)(const GByteArray *old);

static const struct {
	const char *name;
	Change change;
	guint blocks; /* of the old image */
	gboolean from_zero;
} pairs[] = {
	{ "moved", moved, BLOCKS, FALSE },
	{ "inserted", inserted, BLOCKS, FALSE },
	{ "truncated", truncated, BLOCKS, FALSE },
	{ "shuffled", shuffled, BLOCKS, FALSE },
	{ "edited", edited, BLOCKS, FALSE },
	{ "all-zero", all_zero, BLOCKS, FALSE },
	{ "out-of-zeros", unrelated, BLOCKS, TRUE },
	{ "already-equal", equal, BLOCKS, FALSE },
	{ "unrelated", unrelated, BLOCKS, FALSE },
	{ "huge-moved", moved, 14 * BLOCKS, FALSE },
	{ "huge-edited", edited, 14 * BLOCKS, FALSE },
};

/* --- methods ----------------------------------------------------------------------------------------------
 */

typedef struct {
	const char *name;
	/* Makes the payload of the pair as @out; returns the bytes of its head and its frames' sizes in
	 * @edges. */
	guint64 (*make)(Pair *pair, const char *old_hash, const char *out, GArray *edges);
	gboolean (*apply)(Pair *pair, const char *old_hash, GError **error);
} Method;

static void add_edge(GArray *edges, guint64 size)
{
	guint64 edge = size + (edges->len > 0 ? g_array_index(edges, guint64, edges->len - 1) : 0);

	g_array_append_val(edges, edge);
}

static guint64 make_full(Pair *pair, const char *old_hash, const char *out, GArray *edges)
{
	g_autofree char *image = scratch_file(&pair->scratch, "new");

	g_assert_true(proa_maker_full(&full_maker, image, pair->root_hash, out, NULL));
	g_autoptr(ProaPayloadHeader) header = proa_payload_file_header(out, NULL, NULL);
	add_edge(edges, PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header));
	for (guint32 i = 0; i < header->n_frames; i++)
		add_edge(edges, header->frames[i].compressed_size);
	return g_array_index(edges, guint64, 0);
}

static gboolean apply_full(Pair *pair, const char *old_hash, GError **error)
{
	return proa_full_apply(&pair->job, error);
}

static guint64 make_delta(Pair *pair, const char *old_hash, const char *out, GArray *edges)
{
	g_autofree char *old_path = scratch_file(&pair->scratch, "old"),
			*new_path = scratch_file(&pair->scratch, "new");
	const ProaDeltaMaker maker = { .threads = 2 };
	const ProaDeltaImage from = { old_path, old_hash }, to = { new_path, pair->root_hash };

	g_assert_true(proa_delta_make(&maker, &from, &to, out, NULL));
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(out, NULL, NULL);
	add_edge(edges, PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header));
	for (guint32 i = 0; i < header->n_frames; i++)
		add_edge(edges, header->frames[i].packed_size);
	return g_array_index(edges, guint64, 0);
}

static gboolean apply_delta(Pair *pair, const char *old_hash, GError **error)
{
	return proa_delta_apply_job(&pair->job, old_hash, error);
}

static guint64 make_blocks(Pair *pair, const char *old_hash, const char *out, GArray *edges)
{
	g_autofree char *image = scratch_file(&pair->scratch, "new");

	g_assert_true(proa_blocks_make(&blocks_maker, image, pair->root_hash, SALT, out, NULL));
	g_autoptr(ProaBlocksHeader) header = proa_blocks_file_header(out, NULL, NULL);
	add_edge(edges, proa_blocks_head_size(header));
	for (guint32 i = 0; i < header->n_frames; i++)
		add_edge(edges, header->frames[i].packed_size);
	return g_array_index(edges, guint64, 0);
}

static gboolean apply_blocks(Pair *pair, const char *old_hash, GError **error)
{
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&pair->job, &pair->leaves, error);
	ProaBlocksCount count;

	return plan && proa_blocks_apply(plan, &pair->job, &count, error);
}

static const Method methods[] = {
	{ "full", make_full, apply_full },
	{ "delta", make_delta, apply_delta },
	{ "blocks", make_blocks, apply_blocks },
};

/* --- the property -----------------------------------------------------------------------------------------
 */

static guint8 *room(gsize *ret_size, gpointer user_data, GError **error)
{
	static guint8 place[ROOM_SIZE] __attribute__((aligned(4096)));

	*ret_size = sizeof place;
	return place;
}

/* What is made from @from on, by reads of at most @most bytes, none over an edge of @edges. */
static void expect_same(
	Pair *pair, const Method *method, const char *old_hash, guint64 from, guint most, GArray *edges)
{
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&pair->edges, g_array_unref);
	pair->edges = edges ? g_array_ref(edges) : NULL;
	pair->max_read = most;
	pair->progress = 0;
	pair->job.from = from;
	pair->job.room = roll(2) ? room : NULL;
	g_byte_array_set_size(pair->made, 0);
	append_part(pair->made, pair->new_image, 0, (guint)from);
	g_assert_true(method->apply(pair, old_hash, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(pair->made->data, pair->made->len, pair->new_image->data, pair->new_image->len);
}

static void holds(gconstpointer data)
{
	guint number = GPOINTER_TO_UINT(data);
	g_autoptr(GByteArray) old_image = pair_image(pairs[number].blocks, roll(1000));

	if (pairs[number].from_zero)
		memset(old_image->data, 0, old_image->len);
	for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
		g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(guint64));
		GByteArray *new_image = pairs[number].change(old_image);
		g_autoptr(Pair) pair = pair_new(pair_copy(old_image), new_image, &blocks_maker, SALT);
		g_autofree char *out = scratch_file(&pair->scratch, "made"), *bytes = NULL;
		g_autofree char *old_hash = pair_tree(pair, pair->old_image, "old", SALT);
		gsize size = 0;
		guint64 head = methods[i].make(pair, old_hash, out, edges);
		guint n = new_image->len / BLOCK;

		g_test_message("%s: %u blocks", methods[i].name, n);
		g_assert_true(g_file_get_contents(out, &bytes, &size, NULL));
		g_byte_array_set_size(pair->payload, 0);
		g_byte_array_append(pair->payload, (const guint8 *)bytes, (guint)size);
		pair_say(pair, head);
		expect_same(pair, &methods[i], old_hash, 0, 1, NULL);
		expect_same(pair, &methods[i], old_hash, 0, 0, NULL);
		expect_same(pair, &methods[i], old_hash, 0, 0, edges);
		for (guint k = 0; k < 4; k++)
			expect_same(pair, &methods[i], old_hash, (guint64)roll(n + 1) * BLOCK,
				1 + roll(1u << (2 + 4 * k)), k % 2 ? edges : NULL);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
		g_autofree char *path = g_strconcat("/payload/property/", pairs[i].name, NULL);
		g_test_add_data_func(path, GUINT_TO_POINTER(i), holds);
	}
	return g_test_run();
}

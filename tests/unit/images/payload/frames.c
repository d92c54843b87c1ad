/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/frames.h"

#include "images/payload/delta.h"
#include "tests/unit/images/payload/delta.h"
#include "tests/unit/scratch.h"
#include "updater/payload/delta.h"

#include <string.h>

#define OLD_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

typedef struct {
	const GByteArray *old_image;
	GByteArray *made;
} Node;

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const GByteArray *image = ((Node *)user_data)->old_image;

	g_assert_cmpuint(offset + size, <=, image->len);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const GByteArray *image = ((Node *)user_data)->made;

	g_assert_cmpuint(offset + size, <=, image->len);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_byte_array_append(((Node *)user_data)->made, data, (guint)size);
	return TRUE;
}

/* Packs @plan and applies it as a node does; its header. */
static ProaDeltaHeader *comes_through(const ProaDeltaMaker *maker, const ProaPlan *plan)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *out = scratch_file(&scratch, "delta"), *head_sha256 = NULL;
	g_autoptr(GError) error = NULL;
	char *data = NULL;
	gsize size = 0;

	g_assert_true(proa_delta_pack(maker, plan, OLD_HASH, NEW_HASH, out, &error));
	g_assert_no_error(error);
	ProaDeltaHeader *header = proa_delta_file_header(out, &head_sha256, &error);
	g_assert_no_error(error);
	g_assert_true(g_file_get_contents(out, &data, &size, NULL));
	g_autoptr(GBytes) bytes = g_bytes_new_take(data, size);
	g_autoptr(ProaStream) in = proa_stream_of_bytes(bytes);
	g_autoptr(GByteArray) made = g_byte_array_new(), old_image = g_byte_array_append(g_byte_array_new(),
								 plan->old_data, (guint)plan->old_size);
	Node node = { old_image, made };
	const ProaPayloadExpect expect = { .size = size,
		.header_sha256 = head_sha256,
		.image_size = plan->new_size,
		.root_hash = NEW_HASH };
	const ProaDeltaTarget target = { .old_hash = OLD_HASH,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.user_data = &node };
	g_assert_true(proa_delta_apply(in, &expect, &target, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(made->data, made->len, plan->new_data, plan->new_size);
	return header;
}

static GByteArray *noise_new(guint32 seed, gsize size)
{
	GByteArray *noise = g_byte_array_new();
	Dice dice = { seed };

	g_byte_array_set_size(noise, (guint)size);
	for (gsize i = 0; i < size; i++)
		noise->data[i] = (guint8)dice_roll(&dice, 256);
	return noise;
}

static void count_warning(const char *text, gpointer user_data)
{
	++*(guint *)user_data;
}

/* A plan that makes all of @new_image of the bytes at the same place. */
static ProaPlan *plan_in_place(
	const ProaDeltaMaker *maker, const GByteArray *old_image, const GByteArray *new_image)
{
	g_autoptr(GError) error = NULL;
	ProaDeltaMaker blind = *maker;

	blind.max_compared = 4096;
	ProaPlan *plan = proa_plan_new(
		&blind, old_image->data, old_image->len, new_image->data, new_image->len, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(plan->steps->len, ==, 1);
	g_array_index(plan->steps, ProaPlanStep, 0).piece.matched = TRUE;
	return plan;
}

/* A third of it changed, here and there: what is thought to fit into a frame packs to more than it may be. */
static void full_frames_are_made_two(void)
{
	g_autoptr(GByteArray) old_image = noise_new(3, 5u << 20), new_image = noise_new(3, 5u << 20);
	Dice dice = { 17 };
	const ProaDeltaMaker maker = { .threads = 2 };

	for (guint i = 0; i < new_image->len; i++)
		if (dice_roll(&dice, 3) == 0)
			new_image->data[i] = (guint8)dice_roll(&dice, 256);
	g_autoptr(ProaPlan) plan = plan_in_place(&maker, old_image, new_image);
	g_autoptr(ProaDeltaHeader) header = comes_through(&maker, plan);
	g_assert_cmpuint(header->n_frames, >, 1);
	/* Told as differences, not as literals. */
	g_assert_cmpuint(proa_delta_total_size(header), <, new_image->len / 2);
}

/* One piece that alone would be too much for a frame. */
static void one_piece_is_made_two(void)
{
	g_autoptr(GByteArray) old_image = noise_new(3, 5u << 19), new_image = noise_new(4, 5u << 19);
	const ProaDeltaMaker maker = { .threads = 1 };
	g_autoptr(ProaPlan) plan = plan_in_place(&maker, old_image, new_image);
	g_autoptr(ProaDeltaHeader) header = comes_through(&maker, plan);

	g_assert_cmpuint(header->n_frames, ==, 2);
}

/* An image of so many modules, each with last bytes of its own. */
static GByteArray *modules_image(const Scratch *scratch, const char *name, guint n, guint edited)
{
	g_autofree char *folder = scratch_file(scratch, name), *path = g_strconcat(folder, ".img", NULL);

	for (guint i = 0; i < n; i++) {
		g_autofree char *file_name = g_strdup_printf("%s/m%u.ko", name, i);
		g_autoptr(GByteArray) file = module_new(40 + i % 3, G_MAXUINT, edited);
		g_free(scratch_write(scratch, file_name, (const char *)file->data, file->len));
	}
	return erofs_new(folder, path);
}

static ProaPlan *plan_of_modules(
	const ProaDeltaMaker *maker, const GByteArray *old_image, const GByteArray *new_image, guint n)
{
	g_autoptr(GError) error = NULL;
	ProaPlan *plan = proa_plan_new(
		maker, old_image->data, old_image->len, new_image->data, new_image->len, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(plan->modules->len, ==, n);
	return plan;
}

/* A module of which more would have to be told than a frame holds is told as any other file is. */
static void huge_modules_are_told_by_their_bytes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) old_image = modules_image(&scratch, "a", 3, G_MAXUINT);
	g_autoptr(GByteArray) new_image = modules_image(&scratch, "b", 3, 20);
	g_autoptr(GByteArray) noise = noise_new(9, PROA_DELTA_MAX_FRAME_SIZE + 1);
	guint warnings = 0;
	const ProaDeltaMaker maker = { .threads = 2, .warn = count_warning, .user_data = &warnings };
	g_autoptr(ProaPlan) plan = plan_of_modules(&maker, old_image, new_image, 3);
	ProaModule *module = plan->modules->pdata[1];

	g_byte_array_append(module->body->streams[PROA_DELTA_LITERAL], noise->data, noise->len);
	module->body->news += noise->len;
	g_autoptr(ProaDeltaHeader) header = comes_through(&maker, plan);
	g_assert_cmpuint(warnings, ==, 1);
	g_assert_cmpuint(header->n_frames, >, 1);
}

/* Modules whose last bytes come later: no more of them in a frame than the node keeps. */
static void tails_are_not_too_many(void)
{
	g_auto(Scratch) scratch = scratch_new();
	guint n = PROA_DELTA_MAX_TAIL_BYTES / PROA_DELTA_MAX_TAIL * 3;
	g_autoptr(GByteArray) old_image = modules_image(&scratch, "a", n, G_MAXUINT);
	g_autoptr(GByteArray) new_image = modules_image(&scratch, "b", n, 20);
	const ProaDeltaMaker maker = { .threads = 2 };
	g_autoptr(ProaPlan) plan = plan_of_modules(&maker, old_image, new_image, n);
	gsize bytes = 0;

	for (guint i = 0; i < n; i++) {
		const ProaModule *module = plan->modules->pdata[i];
		bytes += module->later ? module->new_file->tail : 0;
	}
	g_assert_cmpuint(bytes, >, PROA_DELTA_MAX_TAIL_BYTES);
	g_autoptr(ProaDeltaHeader) header = comes_through(&maker, plan);
	g_assert_cmpuint(header->n_frames, ==, 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/frames/full-frames-are-made-two", full_frames_are_made_two);
	g_test_add_func("/payload/frames/one-piece-is-made-two", one_piece_is_made_two);
	g_test_add_func(
		"/payload/frames/huge-modules-are-told-by-their-bytes", huge_modules_are_told_by_their_bytes);
	g_test_add_func("/payload/frames/tails-are-not-too-many", tails_are_not_too_many);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/module.h"

#include "tests/unit/images/payload/delta.h"
#include "updater/payload/delta-format.h"

#include <string.h>

/* A file that lies as an image has it: @file's whole blocks, and its last bytes elsewhere. */
typedef struct {
	GByteArray *image;
	ProaErofsFile file;
} Side;

static Side side_new(const GByteArray *file)
{
	guint blocks = file->len / 4096 * 4096;
	Side side = { .image = g_byte_array_new(),
		.file = { .size = file->len,
			.blocks_at = 4096,
			.blocks = blocks,
			.tail_at = 100,
			.tail = file->len - blocks } };

	g_byte_array_set_size(side.image, 4096);
	memset(side.image->data, 0, 4096);
	g_byte_array_append(side.image, file->data, blocks);
	if (side.file.tail > 0)
		memcpy(side.image->data + 100, file->data + blocks, file->len - blocks);
	return side;
}

static void side_clear(Side *side)
{
	g_byte_array_unref(side->image);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Side, side_clear)

static ProaModule *make(const GByteArray *old_file, const GByteArray *new_file)
{
	g_auto(Side) old_side = side_new(old_file), new_side = side_new(new_file);

	return proa_module_make(old_side.image->data, &old_side.file, new_side.image->data, &new_side.file);
}

/* Symbols and relocations that all moved cost a small part of what they are. */
static void tables_are_foreseen(void)
{
	g_autoptr(GByteArray) old_file = module_new(300, G_MAXUINT, G_MAXUINT),
			      new_file = module_new(300, 20, 50);
	ProaModule *same = make(old_file, old_file), *shifted = make(old_file, new_file);

	g_assert_nonnull(same);
	g_assert_cmpuint(same->body->news, <, 100);
	g_assert_nonnull(shifted);
	g_assert_cmpuint(shifted->body->news, <, new_file->len / 20);
	proa_module_free(same);
	proa_module_free(shifted);
}

/* What the node refuses is not made, and what is no module is somebody else's. */
static void others_are_left(void)
{
	g_autoptr(GByteArray) module = module_new(300, G_MAXUINT, G_MAXUINT), text = image_new(1, 60000);
	g_autoptr(GByteArray) huge = g_byte_array_append(g_byte_array_new(), module->data, module->len);
	g_autoptr(GByteArray) cut = g_byte_array_append(g_byte_array_new(), module->data, 8192);

	g_byte_array_set_size(huge, PROA_DELTA_MAX_UNIT + 4096);
	memset(huge->data + module->len, 0, huge->len - module->len);
	g_assert_null(make(text, module));
	g_assert_null(make(module, text));
	g_assert_null(make(module, huge));
	g_assert_null(make(huge, module));
	g_assert_null(make(module, cut));
	g_assert_null(make(cut, module));
}

/* Headers that lie, byte by byte: made or not, nothing is read outside of the files. */
static void lying_headers_stay_within_bounds(void)
{
	g_autoptr(GByteArray) module = module_new(60, G_MAXUINT, G_MAXUINT);
	g_autoptr(GByteArray) bad = g_byte_array_append(g_byte_array_new(), module->data, module->len);
	guint64 sections = proa_get_u64(module->data + 40);
	guint made = 0;

	for (guint i = 0; i < 64 + 6 * 64; i++) {
		guint64 at = i < 64 ? i : sections + i - 64;
		bad->data[at] ^= 0x81;
		ProaModule *first = make(bad, module), *second = make(module, bad);
		made += (guint)(first != NULL) + (guint)(second != NULL);
		proa_module_free(first);
		proa_module_free(second);
		bad->data[at] ^= 0x81;
	}
	g_assert_cmpuint(made, >, 0);
	g_assert_cmpuint(made, <, 2 * (64 + 6 * 64));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/module/tables-are-foreseen", tables_are_foreseen);
	g_test_add_func("/payload/module/others-are-left", others_are_left);
	g_test_add_func("/payload/module/lying-headers-stay-within-bounds", lying_headers_stay_within_bounds);
	return g_test_run();
}

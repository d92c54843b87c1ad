/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/erofs.h"

#include "tests/unit/images/payload/delta.h"
#include "tests/unit/scratch.h"

static GByteArray *tree_image(const Scratch *scratch)
{
	for (guint i = 0; i < 300; i++) {
		g_autofree char *name = g_strdup_printf("tree/folder%u/a-file-with-a-long-name-%u", i % 3, i);
		g_autoptr(GByteArray) content = image_new(i + 9, i * 41);
		g_free(scratch_write(scratch, name, (const char *)content->data, content->len));
	}
	g_autofree char *folder = scratch_file(scratch, "tree"), *path = scratch_file(scratch, "image");
	return erofs_new(folder, path);
}

static void finds_every_byte(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) image = tree_image(&scratch);
	g_autoptr(GPtrArray) files = proa_erofs_files(image->data, image->len, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(files->len, ==, 299); /* one is empty */
	for (guint i = 0; i < files->len; i++) {
		const ProaErofsFile *file = files->pdata[i];
		g_autofree char *name = g_strconcat("tree/", file->path, NULL),
				*path = scratch_file(&scratch, name);
		g_autofree char *content = NULL;
		gsize size = 0;
		g_assert_true(g_file_get_contents(path, &content, &size, NULL));
		g_assert_cmpuint(file->size, ==, size);
		g_assert_cmpmem(image->data + file->blocks_at, file->blocks, content, file->blocks);
		g_assert_cmpmem(
			image->data + file->tail_at, file->tail, content + file->blocks, size - file->blocks);
	}
}

/* Whatever byte is changed: files within the image, or an error. */
static void damage_is_bounded(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) image = tree_image(&scratch);
	Dice dice = { 4 };

	for (guint i = 0; i < 500; i++) {
		guint at = 1024 + dice_roll(&dice, i % 2 ? 200 : 40000);
		guint8 was = image->data[at];
		g_autoptr(GError) error = NULL;
		image->data[at] = (guint8)dice_roll(&dice, 256);
		g_autoptr(GPtrArray) files = proa_erofs_files(image->data, image->len, &error);
		g_assert_true((files == NULL) == (error != NULL));
		for (guint j = 0; files && j < files->len; j++) {
			const ProaErofsFile *file = files->pdata[j];
			g_assert_cmpuint(file->blocks_at + file->blocks, <=, image->len);
			g_assert_cmpuint(file->tail_at + file->tail, <=, image->len);
		}
		image->data[at] = was;
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/erofs/finds-every-byte", finds_every_byte);
	g_test_add_func("/payload/erofs/damage-is-bounded", damage_is_bounded);
	return g_test_run();
}

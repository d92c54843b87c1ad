/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/plan.h"

#include "tests/unit/images/payload/delta.h"
#include "tests/unit/scratch.h"

#include <string.h>

/* Every byte of the new image is made once, in order, and of bytes that the old one has. */
static void assert_whole(const ProaPlan *plan)
{
	guint64 at = 0;

	for (guint i = 0; i < plan->steps->len; i++) {
		const ProaPlanStep *step = &g_array_index(plan->steps, ProaPlanStep, i);
		g_assert_cmpuint(step->piece.new_at, ==, at);
		g_assert_cmpuint(step->piece.length, >, 0);
		if (!step->module && step->piece.matched)
			g_assert_cmpuint(step->piece.old_at + step->piece.length, <=, plan->old_size);
		at += step->piece.length;
	}
	g_assert_cmpuint(at, ==, plan->new_size);
}

static guint count_modules(const ProaPlan *plan)
{
	guint n = 0;

	for (guint i = 0; i < plan->steps->len; i++) {
		const ProaPlanStep *step = &g_array_index(plan->steps, ProaPlanStep, i);
		n += step->module && !step->tail;
	}
	return n;
}

static ProaPlan *plan_of(const GByteArray *old_image, const GByteArray *new_image, guint threads)
{
	g_autoptr(GError) error = NULL;
	const ProaDeltaMaker maker = { .threads = threads };
	ProaPlan *plan = proa_plan_new(
		&maker, old_image->data, old_image->len, new_image->data, new_image->len, &error);

	g_assert_no_error(error);
	assert_whole(plan);
	return plan;
}

/* Two modules, of which one is of another version's folder, and a file. */
static GByteArray *image_of(const Scratch *scratch, const char *name, const char *version, guint edited)
{
	g_autofree char *folder = scratch_file(scratch, name), *path = g_strconcat(folder, ".img", NULL);

	for (guint i = 0; i < 3; i++) {
		g_autofree char *file_name =
			i < 2 ? g_strdup_printf("%s/lib/modules/%s/m%u.ko", name, version, i)
			      : g_strdup_printf("%s/usr/share/file", name);
		g_autoptr(GByteArray) file =
			i < 2 ? module_new(90 + i, G_MAXUINT, edited) : image_new(3, 9000);
		g_free(scratch_write(scratch, file_name, (const char *)file->data, file->len));
	}
	return erofs_new(folder, path);
}

static void modules_are_found_by_name(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) old_image = image_of(&scratch, "a", "6.1", G_MAXUINT);
	g_autoptr(GByteArray) new_image = image_of(&scratch, "b", "6.2", 40);
	g_autoptr(ProaPlan) plan = plan_of(old_image, new_image, 2), alone = plan_of(old_image, new_image, 1);

	g_assert_cmpuint(count_modules(plan), ==, 2);
	/* It does not depend on the number of threads. */
	g_assert_cmpuint(plan->steps->len, ==, alone->steps->len);
}

static void images_without_files_are_planned(void)
{
	g_autoptr(GByteArray) old_image = image_new(1, 70000), new_image = image_new(2, 50000);
	g_autoptr(GByteArray) zeros = g_byte_array_new();

	g_byte_array_set_size(zeros, 20000);
	memset(zeros->data, 0, zeros->len);
	g_autoptr(ProaPlan) other = plan_of(old_image, new_image, 2), same = plan_of(old_image, old_image, 2);
	g_autoptr(ProaPlan) zero = plan_of(old_image, zeros, 2), from_zero = plan_of(zeros, new_image, 2);
	g_assert_cmpuint(
		count_modules(other) + count_modules(same) + count_modules(zero) + count_modules(from_zero),
		==, 0);
}

static void count_warning(const char *text, gpointer user_data)
{
	g_assert_nonnull(strstr(text, "16384 bytes"));
	++*(guint *)user_data;
}

/* What is larger than is compared as one is made of the blocks that stayed, and somebody is told. */
static void large_files_are_not_given_up(void)
{
	g_autoptr(GByteArray) old_image = image_new(1, 70000), new_image = image_new(1, 80000);
	g_autoptr(GError) error = NULL;
	guint warnings = 0;
	const ProaDeltaMaker maker = {
		.threads = 1, .warn = count_warning, .user_data = &warnings, .max_compared = 16384
	};

	new_image->data[50] ^= 1;
	new_image->data[9 * 4096] ^= 1;
	g_autoptr(ProaPlan) plan = proa_plan_new(
		&maker, old_image->data, old_image->len, new_image->data, new_image->len, &error);
	g_assert_no_error(error);
	assert_whole(plan);
	g_assert_cmpuint(warnings, ==, 1);
	g_assert_cmpuint(plan->steps->len, ==, 5);
	const ProaPiece *same = &g_array_index(plan->steps, ProaPlanStep, 1).piece;
	g_assert_true(same->matched);
	g_assert_cmpuint(same->old_at, ==, 4096);
	g_assert_cmpuint(same->length, ==, 8 * 4096);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/plan/modules-are-found-by-name", modules_are_found_by_name);
	g_test_add_func("/payload/plan/images-without-files-are-planned", images_without_files_are_planned);
	g_test_add_func("/payload/plan/large-files-are-not-given-up", large_files_are_not_given_up);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-source.h"

#include <string.h>

#define SIZE ((gsize)1000 * 1000)

/* An old image in memory, and what was asked of it. */
typedef struct {
	guint8 *data;
	guint reads;
	guint64 bytes;
	const guint8 *to; /* of the last read */
	gboolean fails;
} Image;

static gboolean read_image(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Image *image = user_data;

	if (image->fails)
		return proa_fail(error, PROA_REASON_IO, "the disk does not answer");
	g_assert_cmpuint(offset + size, <=, SIZE);
	memcpy(data, image->data + offset, size);
	image->reads++;
	image->bytes += size;
	image->to = data;
	return TRUE;
}

static void image_clear(Image *image)
{
	g_free(image->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Image, image_clear)

static Image image_new(void)
{
	Image image = { .data = g_malloc(SIZE) };
	guint32 state = 99;

	for (gsize i = 0; i < SIZE; i++) {
		state = state * 1664525u + 1013904223u;
		image.data[i] = (guint8)(state >> 24);
	}
	return image;
}

static void expect(ProaDeltaSource *source, const Image *image, gsize offset, gsize size)
{
	g_autoptr(GError) error = NULL;
	g_autofree guint8 *got = g_malloc(size + 1);

	g_assert_true(proa_delta_source_read(source, offset, got, size, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(got, size, image->data + offset, size);
}

/* Whatever was read before, and in whatever order: the bytes are those of the image. */
static void reads_what_is_there(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);
	gsize at = 0;

	for (guint i = 0; i < 20000; i++) {
		gsize most = (gsize)1 << g_test_rand_int_range(0, 19), size, near = at;
		size = (gsize)g_test_rand_int_range(0, (gint32)most + 1);
		switch (g_test_rand_int_range(0, 4)) {
		case 0:
			at = (gsize)g_test_rand_int_range(0, SIZE + 1);
			break;
		case 1:
			at = near > 9000 ? near - (gsize)g_test_rand_int_range(0, 9000) : near;
			break;
		case 2:
			g_assert_true(proa_delta_source_prefetch(source, at, most, NULL));
			break;
		default:
			break;
		}
		size = MIN(size, SIZE - at);
		expect(source, &image, at, size);
		at += size;
	}
}

static void in_order_reads_little_more(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);

	for (gsize at = 0; at < SIZE; at += 100)
		expect(source, &image, at, 100);
	g_assert_cmpuint(image.bytes, <, SIZE + SIZE / 10);
	g_assert_cmpuint(image.reads, <, 20);
}

/* Short looks back and forth within a quarter of a megabyte, while something else is read in order. */
static void looks_near_by_are_cheap(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);

	for (guint i = 0; i < 5000; i++) {
		expect(source, &image, (gsize)g_test_rand_int_range(0, 250000), 50);
		expect(source, &image, 300000 + i * 100, 100);
	}
	g_assert_cmpuint(image.bytes, <, 2 * SIZE);
}

/* A long run goes where it is wanted, though most of where it begins is in memory. */
static void long_runs_are_read_in_place(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);
	const gsize run = (gsize)128 * 1024;
	g_autofree guint8 *got = g_malloc(run);

	g_assert_true(proa_delta_source_prefetch(source, 0, run, NULL));
	for (gsize at = 1000; at + run <= SIZE; at += run) {
		g_assert_true(proa_delta_source_read(source, at, got, run, NULL));
		g_assert_cmpmem(got, run, image.data + at, run);
		g_assert_true(image.to >= got && image.to < got + run);
	}
}

static void refuses_what_is_outside(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);
	const struct {
		guint64 offset;
		gsize size;
	} bad[] = { { SIZE, 1 }, { SIZE - 1, 2 }, { SIZE + 1, 0 }, { G_MAXUINT64, 1 }, { 5, G_MAXSIZE },
		{ G_MAXUINT64 - 3, 8 } };
	guint8 byte[8];

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(proa_delta_source_read(source, bad[i].offset, byte, bad[i].size, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		g_assert_true(proa_delta_source_prefetch(source, bad[i].offset, bad[i].size, NULL));
	}
	expect(source, &image, SIZE - 1, 1);
	expect(source, &image, SIZE, 0);
}

/* A read that failed leaves nothing behind that could be taken for the image. */
static void failure_is_told_each_time(void)
{
	g_auto(Image) image = image_new();
	g_autoptr(ProaDeltaSource) source = proa_delta_source_new(read_image, &image, SIZE);
	guint8 data[64];

	image.fails = TRUE;
	for (guint i = 0; i < 3; i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(proa_delta_source_read(source, 70000, data, sizeof data, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
		g_assert_false(proa_delta_source_prefetch(source, 70000, 4096, NULL));
	}
	image.fails = FALSE;
	expect(source, &image, 70000, sizeof data);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-source/reads-what-is-there", reads_what_is_there);
	g_test_add_func("/payload/delta-source/in-order-reads-little-more", in_order_reads_little_more);
	g_test_add_func("/payload/delta-source/looks-near-by-are-cheap", looks_near_by_are_cheap);
	g_test_add_func("/payload/delta-source/long-runs-are-read-in-place", long_runs_are_read_in_place);
	g_test_add_func("/payload/delta-source/refuses-what-is-outside", refuses_what_is_outside);
	g_test_add_func("/payload/delta-source/failure-is-told-each-time", failure_is_told_each_time);
	return g_test_run();
}

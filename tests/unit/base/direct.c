/* SPDX-License-Identifier: Apache-2.0 */
#include "base/direct.h"
#include "tests/unit/base/resident.h"

#include <string.h>

#define KIB ((gsize)1024)

static guintptr huge_page_of(const void *room)
{
	return (guintptr)room / PROA_DIRECT_HUGE;
}

static gboolean is_all(const guint8 *data, gsize size, guint8 byte)
{
	for (gsize i = 0; i < size; i++)
		if (data[i] != byte)
			return FALSE;
	return TRUE;
}

/* What fits into one huge page lies in one, each part its own. */
static void parts_share_a_huge_page(void)
{
	const gsize sizes[] = { 1024 * KIB, 512 * KIB, 508 * KIB, 4 * KIB };
	guint8 *parts[G_N_ELEMENTS(sizes)];

	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		parts[i] = proa_direct_take(sizes[i]);
		g_assert_nonnull(parts[i]);
		g_assert_cmpuint((guintptr)parts[i] % PROA_DIRECT_ALIGNMENT, ==, 0);
		g_assert_cmpuint(huge_page_of(parts[i]), ==, huge_page_of(parts[0]));
		memset(parts[i], (int)i + 1, sizes[i]);
	}
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
		g_assert_true(is_all(parts[i], sizes[i], (guint8)(i + 1)));

	guint8 *next = proa_direct_take(4 * KIB);
	g_assert_cmpuint(huge_page_of(next), !=, huge_page_of(parts[0]));
	proa_direct_give(next);
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
		proa_direct_give(parts[i]);
}

/* 1 GiB in all; what a sanitizer holds back of it is 256 MiB. */
static void the_last_part_gives_it_back(void)
{
	for (guint i = 0; i < 512; i++) {
		guint8 *first = proa_direct_take(4 * KIB),
		       *second = proa_direct_take(PROA_DIRECT_HUGE - 4 * KIB);
		memset(first, 1, 4 * KIB);
		memset(second, 2, PROA_DIRECT_HUGE - 4 * KIB);
		proa_direct_give(first);
		g_assert_cmpuint(second[i], ==, 2);
		proa_direct_give(second);
	}
	g_assert_cmpint(resident("VmRSS:"), <, (gint64)640 * 1024 * 1024);
	proa_direct_give(NULL);
}

static gpointer take_and_give(gpointer user_data)
{
	for (guint i = 0; i < 500; i++) {
		gsize size = ((i * 7) % 512 + 1) * PROA_DIRECT_ALIGNMENT;
		guint8 *room = proa_direct_take(size), byte = (guint8)GPOINTER_TO_UINT(user_data);
		g_assert_nonnull(room);
		room[0] = room[size - 1] = byte;
		g_thread_yield();
		g_assert_cmpuint(room[0], ==, byte);
		g_assert_cmpuint(room[size - 1], ==, byte);
		proa_direct_give(room);
	}
	return NULL;
}

static void threads_take_and_give(void)
{
	GThread *threads[4];

	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("take", take_and_give, GUINT_TO_POINTER(i + 1));
	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/direct/parts-share-a-huge-page", parts_share_a_huge_page);
	g_test_add_func("/base/direct/the-last-part-gives-it-back", the_last_part_gives_it_back);
	g_test_add_func("/base/direct/threads-take-and-give", threads_take_and_give);
	return g_test_run();
}

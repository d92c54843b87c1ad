/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"
#include "tests/unit/base/resident.h"

#include <glib.h>

static int initialised = 42;
static const char *const relocated[] = { "pages", "go", "and", "come" };

/* Code runs on, and what was written stays, data that the loader relocated too. */
static void nothing_is_lost(void)
{
	g_autofree char *heap = g_strdup("heap");

	initialised = 43;
	for (int i = 0; i < 100; i++)
		proa_pages_drop_code();
	g_assert_cmpint(initialised, ==, 43);
	g_assert_cmpstr(relocated[3], ==, "come");
	g_assert_cmpstr(heap, ==, "heap");
}

static void less_is_resident(void)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

	g_checksum_update(sum, (const guint8 *)"touched", -1);
	gint64 before = resident("RssFile:");
	proa_pages_drop_code();
	g_assert_cmpint(resident("RssFile:"), <, before);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/pages/nothing-is-lost", nothing_is_lost);
	g_test_add_func("/base/pages/less-is-resident", less_is_resident);
	return g_test_run();
}

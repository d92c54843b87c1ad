/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <glib.h>
#include <string.h>

/* Bytes of files that are resident in this process. */
static gint64 resident_of_files(void)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
	const char *found = strstr(text, "RssFile:");
	g_assert_nonnull(found);
	return g_ascii_strtoll(found + strlen("RssFile:"), NULL, 10) * 1024;
}

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
	gint64 before = resident_of_files();
	proa_pages_drop_code();
	g_assert_cmpint(resident_of_files(), <, before);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/pages/nothing-is-lost", nothing_is_lost);
	g_test_add_func("/base/pages/less-is-resident", less_is_resident);
	return g_test_run();
}

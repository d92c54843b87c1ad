/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/prune.h"

#include "tests/unit/scratch.h"

#include <glib/gstdio.h>
#include <unistd.h>

static gboolean there(const Scratch *scratch, const char *name)
{
	g_autofree char *path = scratch_file(scratch, name);

	return g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(path, G_FILE_TEST_IS_SYMLINK);
}

/* What is named stays, what is not goes, and nothing outside of the folders is touched. */
static void test_prune(void)
{
	static const char *const files[] = { "m/metadata/1.root.json", "m/metadata/1.targets.json",
		"m/targets/stable/1.0.0/a.manifest.json", "m/targets/stable/1.0.1/b.manifest.json",
		"m/payloads/old.full.tmp", "m/trees/config", "m/notes", "outside/file" };
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "m"), *outside = scratch_file(&scratch, "outside"),
			*link = scratch_file(&scratch, "m/payloads/link");
	g_autoptr(GHashTable) keep = g_hash_table_new(g_str_hash, g_str_equal);
	ProaPruned pruned;

	for (guint i = 0; i < G_N_ELEMENTS(files); i++)
		g_free(scratch_write(&scratch, files[i], "12345", 5));
	g_assert_cmpint(symlink(outside, link), ==, 0);
	g_hash_table_add(keep, (gpointer)(guintptr) "metadata/1.root.json");
	g_hash_table_add(keep, (gpointer)(guintptr) "targets/stable/1.0.1/b.manifest.json");
	g_assert_true(proa_prune_run(dir, keep, &pruned, NULL));
	g_assert_cmpuint(pruned.files, ==, 4);
	g_assert_cmpint(pruned.bytes, >=, 15);
	g_assert_true(there(&scratch, files[0]) && there(&scratch, files[3]));
	g_assert_false(there(&scratch, files[1]) || there(&scratch, files[4]));
	g_assert_false(there(&scratch, "m/payloads/link"));
	g_assert_false(there(&scratch, "m/targets/stable/1.0.0"));
	g_assert_true(there(&scratch, "m/trees/config") && there(&scratch, "m/notes"));
	g_assert_true(there(&scratch, "outside/file"));
	/* Nothing there is nothing to do. */
	g_assert_true(proa_prune_run(outside, keep, &pruned, NULL));
	g_assert_cmpuint(pruned.files, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/prune/removes-what-nothing-names", test_prune);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/repack-memory.h"

#define MIB (1ull << 20)

static gboolean allows(const char *word, guint64 wanted, guint64 available)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = proa_repack_memory_allows(word, wanted, available, &error);

	if (!ok)
		g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	return ok;
}

static void half_as_much_again(void)
{
	g_assert_true(allows("auto", 800 * MIB, 1200 * MIB));
	g_assert_false(allows("auto", 800 * MIB, 1199 * MIB));
	g_assert_true(allows("always", 800 * MIB, 1));
	g_assert_false(allows("never", 1, G_MAXUINT64));
}

/* Neither a payload that does not say what it takes nor a node that can't tell what it has is a yes. */
static void what_is_not_known_is_no(void)
{
	g_assert_false(allows("auto", 0, 64 * 1024 * MIB));
	g_assert_false(allows("auto", MIB, 0));
	g_assert_true(allows("always", 0, 0));
	/* No sum of sizes turns round. */
	g_assert_false(allows("auto", G_MAXUINT64, G_MAXUINT64));
}

static void thinkable(void)
{
	g_assert_true(proa_repack_memory_thinkable("auto", 1));
	g_assert_false(proa_repack_memory_thinkable("auto", 0));
	g_assert_true(proa_repack_memory_thinkable("always", 0));
	g_assert_false(proa_repack_memory_thinkable("never", G_MAXUINT64));
}

static void this_machine_tells(void)
{
	g_assert_cmpuint(proa_repack_memory_available(), >, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/install/repack-memory/half-as-much-again", half_as_much_again);
	g_test_add_func("/install/repack-memory/what-is-not-known-is-no", what_is_not_known_is_no);
	g_test_add_func("/install/repack-memory/thinkable", thinkable);
	g_test_add_func("/install/repack-memory/this-machine-tells", this_machine_tells);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pin.h"

#include "tests/unit/scratch.h"

static void what_is_pinned_is_read_back(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_null(proa_pin_load(scratch.path));
	g_assert_true(proa_pin_save(scratch.path, "1.2.3", NULL));
	g_autofree char *version = proa_pin_load(scratch.path);
	g_assert_cmpstr(version, ==, "1.2.3");
	g_assert_true(proa_pin_save(scratch.path, NULL, NULL));
	g_assert_true(proa_pin_save(scratch.path, NULL, NULL));
	g_assert_null(proa_pin_load(scratch.path));
}

/* A node whose pin is broken follows its channel: configuration and state never stop a node. */
static void a_broken_pin_holds_nobody(void)
{
	static const char *const texts[] = { "", "[]", "{}", "{\"version\":1}", "{\"version\":\"../x\"}",
		"{\"version\":\"1.0+3\"}" };

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *path = scratch_write(&scratch, "pin.json", texts[i], -1);
		g_assert_nonnull(path);
		g_assert_null(proa_pin_load(scratch.path));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/pin/what-is-pinned-is-read-back", what_is_pinned_is_read_back);
	g_test_add_func("/base/pin/a-broken-pin-holds-nobody", a_broken_pin_holds_nobody);
	return g_test_run();
}

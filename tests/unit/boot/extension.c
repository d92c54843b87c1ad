/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/extension.h"

#include "tests/unit/scratch.h"

#define RELEASE "ID=proa\nVERSION_ID=1.0.1\nSYSEXT_LEVEL=2\n"

/* systemd 257, src/shared/extension-util.c, extension_release_validate(). */
static void fits_as_systemd_decides(void)
{
	static const struct {
		const char *extension, *release;
		gboolean fits;
	} cases[] = {
		{ "ID=proa\nVERSION_ID=1.0.1\n", RELEASE, TRUE },
		{ "ID=proa\nVERSION_ID=1.0.0\n", RELEASE, FALSE },
		{ "ID=proa\nSYSEXT_LEVEL=2\nVERSION_ID=9\n", RELEASE, TRUE },
		{ "ID=proa\nSYSEXT_LEVEL=1\n", RELEASE, FALSE },
		{ "ID=debian\nVERSION_ID=1.0.1\n", RELEASE, FALSE },
		{ "ID=_any\n", RELEASE, TRUE },
		{ "ID=_any\nARCHITECTURE=arm64\n", RELEASE, FALSE },
		{ "ID=_any\nARCHITECTURE=x86-64\n", RELEASE, TRUE },
		{ "ID=proa\n", RELEASE, FALSE },
		{ "ID=proa\n", "ID=proa\n", TRUE },
		{ "", RELEASE, FALSE },
		{ "garbage", RELEASE, FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *why = NULL;
		g_assert_cmpint(
			proa_extension_fits(cases[i].extension, cases[i].release, &why), ==, cases[i].fits);
		g_assert_cmpint(why == NULL, ==, cases[i].fits);
	}
}

static void what_is_merged_is_found(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_auto(GStrv) none = proa_extension_names(scratch.path);
	g_assert_null(none[0]);
	g_assert_false(proa_extension_unpaired(scratch.path));
	g_autofree char *one =
		scratch_write(&scratch, "usr/lib/extension-release.d/extension-release.gpu", "ID=_any\n", -1);
	g_autofree char *other = scratch_write(&scratch, "usr/lib/extension-release.d/README", "", 0);
	g_autofree char *image = scratch_write(&scratch, "var/lib/extensions/gpu.raw", "", 0);
	g_assert_true(one && other && image);
	g_auto(GStrv) names = proa_extension_names(scratch.path);
	g_assert_cmpuint(g_strv_length(names), ==, 1);
	g_assert_cmpstr(names[0], ==, "gpu");
	g_autofree char *release = proa_extension_release(scratch.path, "gpu");
	g_assert_cmpstr(release, ==, "ID=_any\n");
	g_assert_null(proa_extension_release(scratch.path, "absent"));
	g_assert_true(proa_extension_unpaired(scratch.path));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/extension/fits-as-systemd-decides", fits_as_systemd_decides);
	g_test_add_func("/extension/what-is-merged-is-found", what_is_merged_is_found);
	return g_test_run();
}

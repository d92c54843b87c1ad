/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/extension.h"

#include "tests/unit/scratch.h"

#include <unistd.h>

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
	/* An image goes back and forth with its release; a folder of versions does not. */
	g_assert_false(proa_extension_unpaired(scratch.path));
	g_free(scratch_write(&scratch, "var/lib/extensions/gpu.raw.v/gpu_1.raw", "", 0));
	g_assert_true(proa_extension_unpaired(scratch.path));
}

static void a_directory_is_found_wherever_it_would_be_merged(void)
{
	static const char *const files[] = { "etc/extensions/a/usr/x", "run/extensions/a/usr/x",
		"var/lib/extensions/a/usr/x" };

	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *image = scratch_write(&scratch, "var/lib/extensions/b.raw", "", 0);
		g_autofree char *versions = scratch_write(&scratch, "run/extensions/c.raw.v/c_1.raw", "", 0);
		g_autofree char *path = NULL, *none = NULL;
		g_autoptr(GError) error = NULL;
		g_assert_true(image && versions);
		g_assert_true(proa_extension_find_directory(scratch.path, &none, &error));
		g_assert_null(none);
		g_free(scratch_write(&scratch, files[i], "", 0));
		g_assert_true(proa_extension_find_directory(scratch.path, &path, &error));
		g_assert_true(g_str_has_suffix(path, "extensions/a"));
	}
}

/* A link is what it leads to. */
static void a_link_to_a_directory_is_one(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *elsewhere = scratch_write(&scratch, "srv/tree/usr/x", "", 0);
	g_autofree char *made = scratch_write(&scratch, "etc/extensions/image.raw", "", 0);
	g_autofree char *link = scratch_file(&scratch, "etc/extensions/tree");
	g_autofree char *path = NULL;

	g_assert_true(elsewhere && made);
	g_assert_cmpint(symlink("../../srv/tree", link), ==, 0);
	g_assert_true(proa_extension_find_directory(scratch.path, &path, NULL));
	g_assert_cmpstr(path, ==, link);
}

static void what_cannot_be_looked_at_is_an_error(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *file = scratch_write(&scratch, "etc/extensions", "", 0);
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(file);
	g_assert_false(proa_extension_find_directory(scratch.path, &path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/extension/fits-as-systemd-decides", fits_as_systemd_decides);
	g_test_add_func("/extension/what-is-merged-is-found", what_is_merged_is_found);
	g_test_add_func("/extension/a-directory-is-found-wherever-it-would-be-merged",
		a_directory_is_found_wherever_it_would_be_merged);
	g_test_add_func("/extension/a-link-to-a-directory-is-one", a_link_to_a_directory_is_one);
	g_test_add_func(
		"/extension/what-cannot-be-looked-at-is-an-error", what_cannot_be_looked_at_is_an_error);
	return g_test_run();
}

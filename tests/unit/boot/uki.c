/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/uki.h"

#include "tests/unit/boot/fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CMDLINE "roothash=" HASH_1 " ro"

static int file_of(const void *data, gsize size)
{
	int fd = memfd_create("uki", MFD_CLOEXEC);

	g_assert_true(proa_write_all(fd, data, size, NULL));
	return fd;
}

static void expect_error(const guint8 *image, gsize size, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	PROA_AUTO_FD int fd = file_of(image, size);

	g_assert_null(proa_uki_section(fd, ".cmdline", &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void reads_sections(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "ID=proa\n", &size);
	PROA_AUTO_FD int fd = file_of(image, size);
	g_autofree char *cmdline = proa_uki_section(fd, ".cmdline", NULL);
	g_autofree char *os_release = proa_uki_section(fd, ".osrel", NULL);
	g_autofree char *root_hash = proa_uki_root_hash(fd, NULL);

	g_assert_cmpstr(cmdline, ==, CMDLINE);
	g_assert_cmpstr(os_release, ==, "ID=proa\n");
	g_assert_cmpstr(root_hash, ==, HASH_1);
}

/* The real tool's output, with the real stub. */
static void reads_what_ukify_makes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *out = scratch_file(&scratch, "uki.efi");
	g_autofree char *output = g_strconcat("--output=", out, NULL);
	g_autofree char *kernel = scratch_write(&scratch, "kernel", "MZ no kernel", -1);
	g_autofree char *linux_argument = g_strconcat("--linux=", kernel, NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) ukify = g_subprocess_new(
		G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error, "ukify",
		"build", "--cmdline=" CMDLINE, "--os-release=IMAGE_VERSION=\"1.2.3\"\nIMAGE_ID=proa\n",
		"--uname=6.12.0", linux_argument, output, NULL);

	g_assert_no_error(error);
	g_assert_true(g_subprocess_wait_check(ukify, NULL, &error));
	PROA_AUTO_FD int fd = open(out, O_RDONLY | O_CLOEXEC);
	g_autofree char *root_hash = proa_uki_root_hash(fd, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(root_hash, ==, HASH_1);
	g_autofree char *os_release = proa_uki_section(fd, ".osrel", &error);
	g_autofree char *version = proa_os_release_value(os_release, "IMAGE_VERSION");
	g_assert_cmpstr(version, ==, "1.2.3");
}

static void refuses_what_is_no_pe(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "", &size);

	expect_error((const guint8 *)"", 0, PROA_REASON_BAD_UKI);
	expect_error((const guint8 *)"MZ", 2, PROA_REASON_BAD_UKI);
	image[128] = 'X';
	expect_error(image, size, PROA_REASON_BAD_UKI);
	image[128] = 'P';
	image[0] = 'Z';
	expect_error(image, size, PROA_REASON_BAD_UKI);
}

static void refuses_offsets_out_of_the_file(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "", &size);
	guint8 *cmdline = image + FIXTURE_CMDLINE;

	memset(image + 60, 0xff, 4); /* PE header at 4 GiB */
	expect_error(image, size, PROA_REASON_BAD_UKI);
	memcpy(image + 60, "\x80\0\0\0", 4);
	memset(cmdline + 20, 0xff, 4); /* contents at 4 GiB */
	expect_error(image, size, PROA_REASON_BAD_UKI);
}

static void refuses_sizes_over_the_cap(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "", &size);
	guint8 *cmdline = image + FIXTURE_CMDLINE;

	memset(cmdline + 8, 0xff, 4);
	memset(cmdline + 16, 0xff, 4);
	expect_error(image, size, PROA_REASON_TOO_LARGE);
}

static void refuses_too_many_sections(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "", &size);

	image[128 + 6] = image[128 + 7] = 0xff;
	expect_error(image, size, PROA_REASON_BAD_UKI);
	image[128 + 6] = image[128 + 7] = 0;
	expect_error(image, size, PROA_REASON_BAD_UKI);
}

static void refuses_nul_inside(void)
{
	gsize size;
	g_autofree guint8 *image = fixture_uki(CMDLINE, "", &size);

	image[1024 + 512 + 5] = 0;
	expect_error(image, size, PROA_REASON_BAD_UKI);
}

static void finds_one_root_hash(void)
{
	g_autofree char *plain = proa_cmdline_root_hash("a roothash=" HASH_1 " b\n");
	g_autofree char *twice = proa_cmdline_root_hash("roothash=" HASH_1 " roothash=" HASH_1);

	g_assert_cmpstr(plain, ==, HASH_1);
	g_assert_cmpstr(twice, ==, HASH_1);
	g_assert_null(proa_cmdline_root_hash("roothash=" HASH_1 " roothash=" HASH_2));
	g_assert_null(proa_cmdline_root_hash("xroothash=" HASH_1));
	g_assert_null(proa_cmdline_root_hash("roothash=" HASH_1 "0"));
	g_assert_null(proa_cmdline_root_hash("roothash="));
	g_assert_null(proa_cmdline_root_hash(""));
}

static void reads_os_release_values(void)
{
	g_autofree char *plain = proa_os_release_value("XID=1\nID=proa\n", "ID");
	g_autofree char *quoted = proa_os_release_value("A=\"b c\"\n", "A");
	g_autofree char *last = proa_os_release_value("A=b", "A");

	g_assert_cmpstr(plain, ==, "proa");
	g_assert_cmpstr(quoted, ==, "b c");
	g_assert_cmpstr(last, ==, "b");
	g_assert_null(proa_os_release_value("A=\"b", "A"));
	g_assert_null(proa_os_release_value("A=`b`", "A"));
	g_assert_null(proa_os_release_value("", "A"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/uki/reads-sections", reads_sections);
	g_test_add_func("/uki/reads-what-ukify-makes", reads_what_ukify_makes);
	g_test_add_func("/uki/refuses-what-is-no-pe", refuses_what_is_no_pe);
	g_test_add_func("/uki/refuses-offsets-out-of-the-file", refuses_offsets_out_of_the_file);
	g_test_add_func("/uki/refuses-sizes-over-the-cap", refuses_sizes_over_the_cap);
	g_test_add_func("/uki/refuses-too-many-sections", refuses_too_many_sections);
	g_test_add_func("/uki/refuses-nul-inside", refuses_nul_inside);
	g_test_add_func("/uki/finds-one-root-hash", finds_one_root_hash);
	g_test_add_func("/uki/reads-os-release-values", reads_os_release_values);
	return g_test_run();
}

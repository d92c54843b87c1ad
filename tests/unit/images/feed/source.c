/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/source.h"

#include "base/file.h"
#include "tests/unit/updater/nginx.h"

static Nginx nginx;
static Scratch served;

static void expect_failure(const char *place, const char *path, gsize max, ProaReason reason)
{
	g_autoptr(ProaSource) source = proa_source_open(place);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_source_read(source, path, max, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

/* The same of a directory and of the server before it. */
static void check_reads(const char *place)
{
	g_autoptr(ProaSource) top = proa_source_open(place), source = proa_source_folder(top, "folder");
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = proa_source_read(source, "sm%61ll", 100, &error);
	g_auto(ProaContent) content = { 0 };

	g_assert_no_error(error);
	g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "small", 5);
	g_assert_true(proa_source_pump(source, "small", 5, -1, &content, &error));
	g_assert_cmpint(content.size, ==, 5);
	g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "small", -1);
	g_assert_cmpstr(content.sha256, ==, digest);
	g_assert_cmpuint(proa_source_statistics(source)->requests, ==, 2);
	g_assert_cmpuint(proa_source_statistics(source)->bytes, >=, 10);
	g_assert_cmpuint(proa_source_statistics(top)->requests, ==, 0);
	g_auto(ProaContent) none = { 0 };
	g_assert_false(proa_source_pump(source, "small", 4, -1, &none, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	expect_failure(place, "folder/small", 4, PROA_REASON_TOO_LARGE);
	expect_failure(place, "missing", 100, PROA_REASON_NOT_FOUND);
}

static void test_directory(void)
{
	check_reads(served.path);
	expect_failure(served.path, "folder/..%2F..%2Fetc/passwd", 1 << 20, PROA_REASON_NOT_FOUND);
}

static void test_http(void)
{
	check_reads(nginx.url);
	expect_failure(nginx.url, "error/", 100, PROA_REASON_FEED_ERROR);
	expect_failure(nginx.url, "to-file/", 1 << 20, PROA_REASON_FEED_UNREACHABLE);
	g_autofree char *nobody = g_strdup_printf("http://127.0.0.1:%u", nginx_free_port());
	expect_failure(nobody, "small", 100, PROA_REASON_FEED_UNREACHABLE);
}

static void test_conditional(void)
{
	g_autoptr(ProaSource) source = proa_source_open(nginx.url);
	g_autofree char *etag = NULL;
	g_autoptr(GBytes) bytes = NULL, again = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_source_fetch("folder/small", 100, &etag, &bytes, source, &error));
	g_assert_nonnull(bytes);
	g_assert_nonnull(etag);
	g_assert_true(proa_source_fetch("folder/small", 100, &etag, &again, source, &error));
	g_assert_null(again);
	g_assert_true(proa_source_fetch("folder/small", 100, NULL, &again, source, &error));
	g_assert_nonnull(again);
}

/* As they stand in a URL: what may stand there as itself does, all else is encoded. */
static void test_quote(void)
{
	static const char *const cases[][2] = { { "targets/a+b@c:d/1.0~rc1", "targets/a+b@c:d/1.0~rc1" },
		{ "a b#c?d%41", "a%20b%23c%3Fd%2541" }, { "\xc3\xa4", "%C3%A4" } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *quoted = proa_source_quote(cases[i][0]);
		g_assert_cmpstr(quoted, ==, cases[i][1]);
	}
}

static void test_file_url(void)
{
	g_autofree char *url = g_strconcat("file://", served.path, "/", NULL);
	g_autoptr(ProaSource) source = proa_source_open(url);
	g_autoptr(GBytes) bytes = proa_source_read(source, "folder/small", 100, NULL);

	g_assert_nonnull(bytes);
	g_assert_cmpstr(proa_source_place(source), ==, served.path);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	served = scratch_new();
	g_free(scratch_write(&served, "folder/small", "small", 5));
	nginx_start(&nginx, served.path, 1 << 20, FALSE);
	g_test_add_func("/feed/source/reads-a-directory-and-stays-inside", test_directory);
	g_test_add_func("/feed/source/reads-file-urls", test_file_url);
	g_test_add_func("/feed/source/quotes-no-more-than-it-must", test_quote);
	g_test_add_func("/feed/source/reads-over-http", test_http);
	g_test_add_func("/feed/source/asks-conditionally", test_conditional);
	int status = g_test_run();
	nginx_clear(&nginx);
	scratch_clear(&served);
	return status;
}

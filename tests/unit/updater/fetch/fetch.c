/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/fetch.h"

#include "base/digest.h"
#include "tests/unit/updater/cutter.h"

#include <stdlib.h>

#define BIG_SIZE (3u * 1024 * 1024)
#define SLOW_RATE (512 * 1024)

static Nginx nginx;
static Scratch served;
static char *big;
static ProaFetch fetch;

static char *url_of(const char *base, const char *path)
{
	return g_strconcat(base, path, NULL);
}

static GBytes *get(const char *base, const char *path, gsize max, GError **error)
{
	g_autofree char *url = url_of(base, path);

	return proa_fetch_bytes(&fetch, url, max, error);
}

static void expect_failure(const char *base, const char *path, gsize max, ProaReason reason)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(get(base, path, max, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void expect_big(GBytes *bytes, gsize offset, gsize length)
{
	g_assert_nonnull(bytes);
	g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), big + offset, length);
}

static void whole_file(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = get(nginx.url, "/big", BIG_SIZE, &error);

	g_assert_no_error(error);
	expect_big(bytes, 0, BIG_SIZE);
}

static void empty_file(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = get(nginx.url, "/empty", 10, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(bytes), ==, 0);
}

static void file_url(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = scratch_file(&served, "big");
	g_autofree char *url = g_filename_to_uri(path, NULL, NULL);
	g_autoptr(GBytes) bytes = proa_fetch_bytes(&fetch, url, BIG_SIZE, &error);

	g_assert_no_error(error);
	expect_big(bytes, 0, BIG_SIZE);
}

static void follows_redirect(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = get(nginx.url, "/moved/small", 100, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(bytes), ==, 5);
}

static void range(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.url, "/big");
	g_autoptr(ProaStream) stream = proa_fetch_open(&fetch, url, 1000000, 5000, 0, &error);
	g_autofree guint8 *got = g_malloc(10000);
	gsize n = 0;

	g_assert_true(proa_stream_read_full(stream, got, 10000, &n, &error));
	g_assert_cmpmem(got, n, big + 1000000, 5000);
}

static void offset_to_the_end(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.url, "/big");
	g_autoptr(ProaStream) stream = proa_fetch_open(&fetch, url, BIG_SIZE - 7, 0, 0, &error);
	guint8 got[20];
	gsize n = 0;

	g_assert_true(proa_stream_read_full(stream, got, sizeof got, &n, &error));
	g_assert_cmpmem(got, n, big + BIG_SIZE - 7, 7);
}

/* The whole file where a part was asked for would land at the wrong place. */
static void server_without_ranges(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.url, "/no-ranges/big");
	g_autoptr(ProaStream) stream = proa_fetch_open(&fetch, url, 1000, 50, 0, &error);
	guint8 got[100];

	g_assert_cmpint(proa_stream_read(stream, got, sizeof got, &error), ==, -1);
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
}

static void missing_file(void)
{
	expect_failure(nginx.url, "/nothing-here", 100, PROA_REASON_NOT_FOUND);
	expect_failure("file://", "/nothing-here", 100, PROA_REASON_NOT_FOUND);
}

static void server_error(void)
{
	expect_failure(nginx.url, "/error/", 100, PROA_REASON_FEED_ERROR);
}

static void nobody_listens(void)
{
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u", nginx_free_port());

	expect_failure(url, "/big", 100, PROA_REASON_FEED_UNREACHABLE);
}

static void unknown_name(void)
{
	expect_failure("http://no-such-host.invalid", "/big", 100, PROA_REASON_FEED_UNREACHABLE);
}

static void over_the_limit(void)
{
	expect_failure(nginx.url, "/big", BIG_SIZE - 1, PROA_REASON_TOO_LARGE);
}

static void endless_redirect(void)
{
	expect_failure(nginx.url, "/loop/", 100, PROA_REASON_FEED_ERROR);
}

/* A server must not make the helper read a file. */
static void redirect_to_file(void)
{
	expect_failure(nginx.url, "/to-file/", 100000, PROA_REASON_FEED_ERROR);
}

static void other_scheme(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_fetch_bytes(&fetch, "ftp://127.0.0.1/x", 100, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	g_assert_null(proa_fetch_bytes(&fetch, "--version", 100, &error));
	g_assert_nonnull(error);
}

static void tls_needs_trust(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *ca = scratch_file(&nginx.scratch, "cert.pem");

	expect_failure(nginx.tls_url, "/small", 100, PROA_REASON_FEED_UNREACHABLE);
	/* The helper reads it inside the sandbox, so it must lie where certificates do. */
	g_autofree char *url = url_of(nginx.tls_url, "/small");
	g_autofree char *body = NULL, *report = NULL;
	int status = -1;
	const char *argv[] = { g_getenv("PROA_FETCH"), "--ca-file", ca, url, NULL };
	g_assert_true(g_spawn_sync(
		NULL, (char **)(gpointer)argv, NULL, 0, NULL, NULL, &body, &report, &status, &error));
	if (status != 0)
		g_test_message("wait status %d: %s", status, report);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpstr(body, ==, "small");
	g_assert_nonnull(strstr(report, "\"status\":200"));
	g_assert_nonnull(strstr(report, "\"etag\":\""));
}

static void not_modified(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.url, "/small");
	g_autofree char *whole = NULL, *first = NULL, *second = NULL, *body = NULL;
	int status = -1;
	const char *argv[] = { g_getenv("PROA_FETCH"), url, NULL };

	g_assert_true(g_spawn_sync(
		NULL, (char **)(gpointer)argv, NULL, 0, NULL, NULL, &whole, &first, &status, &error));
	g_auto(GStrv) parts = g_strsplit(first, "\\\"", -1);
	g_assert_cmpuint(g_strv_length(parts), >=, 2);
	g_autofree char *etag = g_strdup_printf("\"%s\"", parts[1]);
	const char *again[] = { g_getenv("PROA_FETCH"), "--if-none-match", etag, url, NULL };
	g_assert_true(g_spawn_sync(
		NULL, (char **)(gpointer)again, NULL, 0, NULL, NULL, &body, &second, &status, &error));
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpstr(body, ==, "");
	g_assert_nonnull(strstr(second, "\"status\":304"));
}

/* The same through fetch.h: the body comes once, and again when it changed. */
static void if_changed(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.url, "/small"), *etag = NULL;
	g_autoptr(GBytes) bytes = NULL, again = NULL;

	g_assert_true(proa_fetch_if_changed(&fetch, url, 100, &etag, &bytes, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(bytes), ==, 5);
	g_assert_nonnull(etag);
	g_assert_true(proa_fetch_if_changed(&fetch, url, 100, &etag, &again, &error));
	g_assert_null(again);
	g_set_str(&etag, "\"another\"");
	g_assert_true(proa_fetch_if_changed(&fetch, url, 100, &etag, &again, &error));
	g_assert_cmpuint(g_bytes_get_size(again), ==, 5);
	g_assert_cmpstr(etag, !=, "\"another\"");
	g_autofree char *missing = url_of(nginx.url, "/missing");
	g_clear_pointer(&again, g_bytes_unref);
	g_assert_false(proa_fetch_if_changed(&fetch, missing, 100, &etag, &again, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

static void too_slow(void)
{
	g_autoptr(GError) error = NULL;
	ProaFetch impatient = fetch;

	impatient.low_speed_bytes = 100 * SLOW_RATE;
	impatient.low_speed_seconds = 1;
	g_autofree char *url = url_of(nginx.slow_url, "/big");
	g_assert_null(proa_fetch_bytes(&impatient, url, BIG_SIZE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TRANSFER_SLOW);
}

static gpointer cancel_soon(gpointer cancellable)
{
	g_usleep(300000);
	g_cancellable_cancel(cancellable);
	return NULL;
}

static void cancelled(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	ProaFetch stoppable = fetch;
	gint64 began = g_get_monotonic_time();

	stoppable.cancellable = cancellable;
	GThread *thread = g_thread_new("cancel", cancel_soon, cancellable);
	g_autofree char *url = url_of(nginx.slow_url, "/big");
	g_assert_null(proa_fetch_bytes(&stoppable, url, BIG_SIZE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_CANCELLED);
	/* The transfer would have taken six seconds. */
	g_assert_cmpint(g_get_monotonic_time() - began, <, 4 * G_USEC_PER_SEC);
	g_thread_join(thread);
}

static void closed_in_the_middle(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.slow_url, "/big");
	ProaStream *stream = proa_fetch_open(&fetch, url, 0, 0, 0, &error);
	guint8 got[100];

	g_assert_cmpint(proa_stream_read(stream, got, sizeof got, &error), >, 0);
	proa_stream_close(stream);
}

static void helper_missing(void)
{
	g_autoptr(GError) error = NULL;
	const ProaFetch none = { .helper = "/nonexistent/proa-fetch" };

	g_assert_null(proa_fetch_open(&none, "http://127.0.0.1/", 0, 0, 0, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
}

static void urls_are_joined(void)
{
	g_autofree char *plain = proa_fetch_url("http://feed/x/", "payloads/a+b~1.full");
	g_autofree char *odd = proa_fetch_url("http://feed", "a b/%41?#");

	g_assert_cmpstr(plain, ==, "http://feed/x/payloads/a+b~1.full");
	g_assert_cmpstr(odd, ==, "http://feed/a%20b/%2541%3F%23");
}

/* Last, since the server is gone afterwards. */
static void server_dies(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = url_of(nginx.slow_url, "/big");
	g_autoptr(ProaStream) stream = proa_fetch_open(&fetch, url, 0, 0, 0, &error);
	g_autofree guint8 *got = g_malloc(BIG_SIZE);
	gsize n = 0;

	g_assert_cmpint(proa_stream_read(stream, got, 100, &error), >, 0);
	nginx_kill(&nginx);
	g_assert_false(proa_stream_read_full(stream, got, BIG_SIZE, &n, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TRANSFER_INTERRUPTED);
}

static void set_up(void)
{
	served = scratch_new();
	big = g_malloc(BIG_SIZE);
	for (gsize i = 0; i < BIG_SIZE; i++)
		big[i] = (char)(i * 31 + i / 4096);
	g_free(scratch_write(&served, "big", big, BIG_SIZE));
	g_free(scratch_write(&served, "small", "small", 5));
	g_free(scratch_write(&served, "empty", "", 0));
	nginx_start(&nginx, served.path, SLOW_RATE, TRUE);
	fetch.helper = g_getenv("PROA_FETCH");
	g_assert_nonnull(fetch.helper);
}

static GBytes *read_all(ProaStream *stream, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	guint8 chunk[10000];
	gssize n;

	while ((n = proa_stream_read(stream, chunk, sizeof chunk, error)) > 0)
		g_byte_array_append(bytes, chunk, (guint)n);
	return n < 0 ? NULL : g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static void ranges_come_in_order(void)
{
	static const ProaByteRange ranges[] = { { 1000000, 5 }, { 0, 70000 }, { BIG_SIZE - 3, 3 }, { 7, 1 } };
	g_autofree char *url = url_of(nginx.url, "/big");
	g_autoptr(GByteArray) expected = g_byte_array_new();
	g_autoptr(GError) error = NULL;

	g_autoptr(ProaStream) stream = proa_fetch_open_ranges(&fetch, url, ranges, 4, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) bytes = read_all(stream, &error);
	g_assert_no_error(error);
	for (guint i = 0; i < 4; i++)
		g_byte_array_append(
			expected, (const guint8 *)big + ranges[i].offset, (guint)ranges[i].length);
	g_assert_cmpmem(
		g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), expected->data, expected->len);
}

/* A limit is one of the whole transfer: many parts are no faster than one. */
static void limit_holds_for_many_ranges(void)
{
	enum { PARTS = 150, PART = 4000, SPEED = 400000 };
	ProaByteRange ranges[PARTS];
	ProaFetch limited = fetch;
	g_autofree char *url = url_of(nginx.url, "/big");
	g_autoptr(GError) error = NULL;

	limited.max_speed = SPEED;
	for (guint i = 0; i < PARTS; i++)
		ranges[i] = (ProaByteRange){ i * 10000, PART };
	gint64 start = g_get_monotonic_time();
	g_autoptr(ProaStream) stream = proa_fetch_open_ranges(&limited, url, ranges, PARTS, &error);
	g_autoptr(GBytes) bytes = read_all(stream, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(bytes), ==, PARTS * PART);
	/* Not a race: a slower machine is slower still. The last waiting is nobody's. */
	g_assert_cmpint(
		g_get_monotonic_time() - start, >=, (gint64)PARTS * PART * G_USEC_PER_SEC / SPEED * 9 / 10);
}

static void range_behind_the_end(void)
{
	static const ProaByteRange ranges[] = { { 0, 5 }, { BIG_SIZE + 1, 5 } };
	g_autofree char *url = url_of(nginx.url, "/big");
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaStream) stream = proa_fetch_open_ranges(&fetch, url, ranges, 2, &error);

	g_assert_null(read_all(stream, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
}

static void ranges_of_a_server_without(void)
{
	static const ProaByteRange ranges[] = { { 10, 5 } };
	g_autofree char *url = url_of(nginx.url, "/no-ranges/big");
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaStream) stream = proa_fetch_open_ranges(&fetch, url, ranges, 1, &error);

	g_assert_null(read_all(stream, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
}

/* Each byte comes once, however often the connection ends; for ranges and for whole files. */
static void goes_on_after_cuts(void)
{
	static const ProaByteRange ranges[] = { { 0, 1000000 }, { 1500000, 1000000 } };
	ProaFetch patient = fetch;
	Cutter cutter = { 0 };

	cutter_start(&cutter, nginx.port);
	patient.retries = 1;
	patient.retry_delay = 1;
	for (guint i = 0; i < 2; i++) {
		g_autofree char *url = url_of(cutter.url, "/big");
		g_autoptr(GError) error = NULL;
		cutter_set(&cutter, 10, 100000);
		g_autoptr(ProaStream) stream =
			i == 0 ? proa_fetch_open(&patient, url, 0, 0, BIG_SIZE, &error)
			       : proa_fetch_open_ranges(&patient, url, ranges, 2, &error);
		g_autoptr(GBytes) bytes = read_all(stream, &error);
		g_assert_no_error(error);
		gsize size = 0;
		const char *data = g_bytes_get_data(bytes, &size);
		g_assert_cmpint(cutter.cuts, ==, 0);
		g_assert_cmpuint(size, ==, i == 0 ? BIG_SIZE : 2000000);
		g_assert_true(memcmp(data, big, 1000000) == 0);
		g_assert_true(memcmp(data + 1000000, big + (i == 0 ? 1000000 : 1500000), 1000000) == 0);
		g_assert_cmpuint(cutter.answered, <, size + 11 * 1000);
	}
	cutter_stop(&cutter);
}

static void gives_up_without_progress(void)
{
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/big", nginx_free_port());
	ProaFetch patient = fetch;
	g_autoptr(GError) error = NULL;

	patient.retries = 3;
	patient.retry_delay = 1;
	g_assert_null(proa_fetch_bytes(&patient, url, BIG_SIZE, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_UNREACHABLE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	set_up();
	g_test_add_func("/fetch/fetch/whole-file", whole_file);
	g_test_add_func("/fetch/fetch/empty-file", empty_file);
	g_test_add_func("/fetch/fetch/file-url", file_url);
	g_test_add_func("/fetch/fetch/follows-redirect", follows_redirect);
	g_test_add_func("/fetch/fetch/range", range);
	g_test_add_func("/fetch/fetch/offset-to-the-end", offset_to_the_end);
	g_test_add_func("/fetch/fetch/server-without-ranges", server_without_ranges);
	g_test_add_func("/fetch/fetch/missing-file", missing_file);
	g_test_add_func("/fetch/fetch/server-error", server_error);
	g_test_add_func("/fetch/fetch/nobody-listens", nobody_listens);
	g_test_add_func("/fetch/fetch/unknown-name", unknown_name);
	g_test_add_func("/fetch/fetch/over-the-limit", over_the_limit);
	g_test_add_func("/fetch/fetch/endless-redirect", endless_redirect);
	g_test_add_func("/fetch/fetch/redirect-to-file", redirect_to_file);
	g_test_add_func("/fetch/fetch/other-scheme", other_scheme);
	g_test_add_func("/fetch/fetch/tls-needs-trust", tls_needs_trust);
	g_test_add_func("/fetch/fetch/not-modified", not_modified);
	g_test_add_func("/fetch/fetch/if-changed", if_changed);
	g_test_add_func("/fetch/fetch/too-slow", too_slow);
	g_test_add_func("/fetch/fetch/cancelled", cancelled);
	g_test_add_func("/fetch/fetch/closed-in-the-middle", closed_in_the_middle);
	g_test_add_func("/fetch/fetch/helper-missing", helper_missing);
	g_test_add_func("/fetch/fetch/urls-are-joined", urls_are_joined);
	g_test_add_func("/fetch/fetch/ranges-come-in-order", ranges_come_in_order);
	g_test_add_func("/fetch/fetch/limit-holds-for-many-ranges", limit_holds_for_many_ranges);
	g_test_add_func("/fetch/fetch/range-behind-the-end", range_behind_the_end);
	g_test_add_func("/fetch/fetch/ranges-of-a-server-without", ranges_of_a_server_without);
	g_test_add_func("/fetch/fetch/goes-on-after-cuts", goes_on_after_cuts);
	g_test_add_func("/fetch/fetch/gives-up-without-progress", gives_up_without_progress);
	g_test_add_func("/fetch/fetch/server-dies", server_dies);
	int status = g_test_run();
	nginx_clear(&nginx);
	scratch_clear(&served);
	g_free(big);
	return status;
}

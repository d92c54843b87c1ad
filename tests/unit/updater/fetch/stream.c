/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/stream.h"

#include <string.h>

static void reads_in_pieces(void)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static("abcdefg", 7);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	char got[8] = { 0 };

	g_assert_cmpint(proa_stream_read(stream, got, 3, NULL), ==, 3);
	g_assert_cmpint(proa_stream_read(stream, got + 3, 5, NULL), ==, 4);
	g_assert_cmpstr(got, ==, "abcdefg");
	g_assert_cmpint(proa_stream_read(stream, got, 5, NULL), ==, 0);
}

/* Gives one byte at a time, then fails or ends. */
typedef struct {
	ProaStream stream;
	guint left;
	gboolean fail;
} Drip;

static gssize drip_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	Drip *drip = (Drip *)stream;

	if (drip->left == 0 && drip->fail) {
		proa_fail(error, PROA_REASON_TRANSFER_INTERRUPTED, "dry");
		return -1;
	}
	if (drip->left == 0)
		return 0;
	drip->left--;
	*(char *)data = 'd';
	return 1;
}

static void drip_close(ProaStream *stream)
{
}

static const ProaStreamKind drip_kind = { drip_read, drip_close };

static void read_full_goes_on(void)
{
	Drip drip = { { &drip_kind }, 10, FALSE };
	char got[16] = { 0 };
	gsize n = 0;

	g_assert_true(proa_stream_read_full(&drip.stream, got, 6, &n, NULL));
	g_assert_cmpuint(n, ==, 6);
	g_assert_true(proa_stream_read_full(&drip.stream, got, 16, &n, NULL));
	g_assert_cmpuint(n, ==, 4);
}

static void read_full_passes_failure_on(void)
{
	g_autoptr(GError) error = NULL;
	Drip drip = { { &drip_kind }, 3, TRUE };
	char got[16] = { 0 };
	gsize n = 77;

	g_assert_false(proa_stream_read_full(&drip.stream, got, 6, &n, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TRANSFER_INTERRUPTED);
	g_assert_cmpuint(n, ==, 77);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fetch/stream/reads-in-pieces", reads_in_pieces);
	g_test_add_func("/fetch/stream/read-full-goes-on", read_full_goes_on);
	g_test_add_func("/fetch/stream/read-full-passes-failure-on", read_full_passes_failure_on);
	return g_test_run();
}

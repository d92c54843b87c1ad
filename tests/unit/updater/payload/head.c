/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/head.h"

#include "tests/unit/scratch.h"

#include <string.h>

#define TEXT "fixed part, table, frames"
#define FIXED 10u
#define TABLE 7u

static gboolean open_text(
	const Scratch *scratch, gssize length, ProaHead *head, guint8 *fixed, GError **error)
{
	g_autofree char *path = scratch_write(scratch, "payload", TEXT, length);

	return proa_head_open(head, path, fixed, FIXED, error);
}

static void digests_what_was_taken(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_auto(ProaHead) head = { .fd = -1 };
	g_autofree char *sha256 = NULL, *expected = proa_sha256_hex(TEXT, FIXED + TABLE);
	guint8 fixed[FIXED];

	g_assert_true(open_text(&scratch, -1, &head, fixed, &error));
	g_assert_cmpmem(fixed, FIXED, TEXT, FIXED);
	g_autofree guint8 *table = proa_head_take(&head, TABLE, &error);
	g_assert_cmpmem(table, TABLE, TEXT + FIXED, TABLE);
	g_autofree guint8 *nothing = proa_head_take(&head, 0, &error);
	g_assert_nonnull(nothing);
	g_assert_true(proa_head_end(&head, strlen(TEXT), &sha256, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(sha256, ==, expected);
	g_assert_true(proa_head_end(&head, 0, NULL, &error));
}

static void short_files_refused(void)
{
	g_auto(Scratch) scratch = scratch_new();
	guint8 fixed[FIXED];

	for (guint length = 0; length < FIXED; length++) {
		g_autoptr(GError) error = NULL;
		g_auto(ProaHead) head = { .fd = -1 };
		g_assert_false(open_text(&scratch, length, &head, fixed, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	}
}

/* A head that says it is larger than all memory is told from the file's size alone. */
static void what_is_not_there_takes_no_memory(void)
{
	static const guint64 sizes[] = { sizeof TEXT - FIXED, 1ull << 40, G_MAXUINT64 - FIXED, G_MAXUINT64 };
	g_auto(Scratch) scratch = scratch_new();
	guint8 fixed[FIXED];

	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) error = NULL;
		g_auto(ProaHead) head = { .fd = -1 };
		g_assert_true(open_text(&scratch, -1, &head, fixed, NULL));
		g_assert_null(proa_head_take(&head, sizes[i], &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	}
}

static void other_sizes_refused(void)
{
	g_autoptr(GError) shorter = NULL, longer = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_auto(ProaHead) head = { .fd = -1 };
	char *sha256 = NULL;
	guint8 fixed[FIXED];

	g_assert_true(open_text(&scratch, -1, &head, fixed, NULL));
	g_assert_false(proa_head_end(&head, strlen(TEXT) + 1, &sha256, &shorter));
	g_assert_error(shorter, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	g_assert_false(proa_head_end(&head, strlen(TEXT) - 1, &sha256, &longer));
	g_assert_error(longer, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_assert_null(sha256);
}

static void missing_file_named(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(ProaHead) head = { .fd = -1 };
	guint8 fixed[FIXED];

	g_assert_false(proa_head_open(&head, "/nonexistent/payload", fixed, sizeof fixed, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

/* GLib's is the judge of libcrypto's. */
static void digest_is_sha256(void)
{
	for (gsize size = 0; size < 200; size += 13) {
		guint8 data[200], digest[PROA_SHA256_SIZE];
		memset(data, (int)size, sizeof data);
		proa_head_digest(data, size, digest);
		g_autofree char *expected = proa_sha256_hex(data, size),
				*got = proa_hex_encode(digest, sizeof digest);
		g_assert_cmpstr(got, ==, expected);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/head/digests-what-was-taken", digests_what_was_taken);
	g_test_add_func("/payload/head/short-files-refused", short_files_refused);
	g_test_add_func("/payload/head/what-is-not-there-takes-no-memory", what_is_not_there_takes_no_memory);
	g_test_add_func("/payload/head/other-sizes-refused", other_sizes_refused);
	g_test_add_func("/payload/head/missing-file-named", missing_file_named);
	g_test_add_func("/payload/head/digest-is-sha256", digest_is_sha256);
	return g_test_run();
}

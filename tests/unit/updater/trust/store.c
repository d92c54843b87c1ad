/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/store.h"

#include "base/reason.h"
#include "tests/unit/scratch.h"

static void test_write_read(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "a/b");
	g_autoptr(ProaStore) store = proa_store_open(dir, NULL);
	g_autoptr(GBytes) bytes = g_bytes_new_static("\0bytes", 6);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_store_read(store, "targets", 100, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_true(proa_store_write(store, "targets", bytes, NULL));
	g_autoptr(GBytes) again = proa_store_read(store, "targets", 100, NULL);
	g_assert_true(g_bytes_equal(bytes, again));
	g_clear_error(&error);
	g_assert_null(proa_store_read(store, "targets", 5, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

/* An idle poll does not touch the disk. */
static void test_same_bytes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaStore) store = proa_store_open(scratch.path, NULL);
	g_autoptr(GBytes) bytes = g_bytes_new_static("x", 1), other = g_bytes_new_static("y", 1);
	g_autofree char *path = scratch_file(&scratch, "timestamp.json");
	GStatBuf before, after;

	g_assert_true(proa_store_write(store, "timestamp", bytes, NULL));
	g_assert_cmpint(g_stat(path, &before), ==, 0);
	g_assert_true(proa_store_write(store, "timestamp", bytes, NULL));
	g_assert_cmpint(g_stat(path, &after), ==, 0);
	g_assert_cmpuint(before.st_ino, ==, after.st_ino);
	g_assert_true(proa_store_write(store, "timestamp", other, NULL));
	g_assert_cmpint(g_stat(path, &after), ==, 0);
	g_assert_cmpuint(before.st_ino, !=, after.st_ino);
}

static void test_names_stay_inside(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "store"), *outside = scratch_file(&scratch, "x.json"),
			*inside = scratch_file(&scratch, "store/..%2Fx.json");
	g_autoptr(ProaStore) store = proa_store_open(dir, NULL);
	g_autoptr(GBytes) bytes = g_bytes_new_static("x", 1);

	g_assert_true(proa_store_write(store, "../x", bytes, NULL));
	g_assert_false(g_file_test(outside, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(inside, G_FILE_TEST_EXISTS));
}

static void test_root_history(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaStore) store = proa_store_open(scratch.path, NULL);
	g_autoptr(GBytes) one = g_bytes_new_static("1", 1), two = g_bytes_new_static("2", 1);

	g_assert_true(proa_store_write_root(store, 1, one, NULL));
	g_assert_true(proa_store_write_root(store, 2, two, NULL));
	g_autoptr(GBytes) first = proa_store_read_root(store, 1, 10, NULL),
			  newest = proa_store_read(store, "root", 10, NULL);
	g_assert_true(g_bytes_equal(first, one));
	g_assert_true(g_bytes_equal(newest, two));
}

/* The tag counts only for the bytes that it came with. */
static void test_etag(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaStore) store = proa_store_open(scratch.path, NULL);
	g_autoptr(GBytes) one = g_bytes_new_static("1", 1), two = g_bytes_new_static("2", 1);

	g_assert_null(proa_store_read_etag(store, one));
	proa_store_write_etag(store, one, "\"x\"");
	g_autofree char *etag = proa_store_read_etag(store, one), *other = proa_store_read_etag(store, two);
	g_assert_cmpstr(etag, ==, "\"x\"");
	g_assert_null(other);
	proa_store_write_etag(store, one, NULL);
	g_assert_null(proa_store_read_etag(store, one));
	g_free(scratch_write(&scratch, "timestamp.etag", "nonsense", -1));
	g_assert_null(proa_store_read_etag(store, one));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/store/gives-back-what-it-got", test_write_read);
	g_test_add_func("/trust/store/same-bytes-are-not-written-again", test_same_bytes);
	g_test_add_func("/trust/store/odd-names-stay-inside", test_names_stay_inside);
	g_test_add_func("/trust/store/keeps-all-roots", test_root_history);
	g_test_add_func("/trust/store/entity-tag-belongs-to-its-bytes", test_etag);
	return g_test_run();
}

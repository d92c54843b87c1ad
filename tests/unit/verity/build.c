/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/build.h"

#include "tests/unit/verity/tree.h"

#include <fcntl.h>

/* The judge is veritysetup itself: the same bytes and the same root hash. */
static void same_as_veritysetup(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;
	g_autofree char *other = g_strconcat(f->hash, ".veritysetup", NULL);
	g_autofree char *said = NULL;
	int status = -1;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_no_error(error);

	const char *argv[] = { "veritysetup", "format", "--salt=" SALT, "--uuid=" UUID, f->data, other,
		NULL };
	g_assert_true(g_spawn_sync(NULL, (char **)(gpointer)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
		&said, NULL, &status, &error));
	g_assert_cmpint(status, ==, 0);
	g_assert_nonnull(strstr(said, root_hash));

	g_autofree char *ours = NULL, *theirs = NULL;
	gsize our_size = 0, their_size = 0;
	g_assert_true(g_file_get_contents(f->hash, &ours, &our_size, NULL));
	g_assert_true(g_file_get_contents(other, &theirs, &their_size, NULL));
	g_assert_cmpmem(ours, our_size, theirs, their_size);
	g_assert_cmpuint(our_size, ==, proa_verity_tree_size(f->params.data_size));
	g_remove(other);
}

static void leaves_what_follows(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;
	g_autofree char *bytes = NULL;
	gsize tree = (gsize)proa_verity_tree_size(f->params.data_size), total = 0;
	g_autofree char *before = g_malloc(tree + 5000);

	memset(before, 'x', tree + 5000);
	g_assert_true(g_file_set_contents(f->hash, before, (gssize)(tree + 5000), NULL));
	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_true(g_file_get_contents(f->hash, &bytes, &total, NULL));
	g_assert_cmpmem(bytes + tree, total - tree, before + tree, 5000);
}

/* Bytes told as written are read back while others are not there yet; what comes of it is the same tree. */
static void same_while_written(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *whole_hash = NULL, *root_hash = NULL, *whole = NULL, *tree = NULL, *data = NULL;
	gsize whole_size = 0, tree_size = 0, length = 0;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &whole_hash, &error));
	g_assert_true(g_file_get_contents(f->hash, &whole, &whole_size, NULL));
	g_assert_true(g_file_get_contents(f->data, &data, &length, NULL));
	g_assert_true(g_file_set_contents(f->hash, "", 0, NULL));
	PROA_AUTO_FD int fd = open(f->data, O_RDWR | O_CLOEXEC);
	g_autofree guint8 *other = g_malloc0(length);
	g_assert_true(proa_pwrite_all(fd, other, length, 0, &error));

	g_autoptr(ProaVerityBuild) build = proa_verity_build_new(f->data, f->hash, &f->params, &error);
	g_assert_no_error(error);
	proa_verity_build_written(build, 0);
	for (gsize at = 0, n; at < length; at += n) {
		n = MIN(length - at, 300u * 4096);
		g_assert_true(proa_pwrite_all(fd, data + at, n, (goffset)at, &error));
		proa_verity_build_written(build, at + n);
	}
	g_assert_true(proa_verity_build_finish(build, &root_hash, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(root_hash, ==, whole_hash);
	g_assert_true(g_file_get_contents(f->hash, &tree, &tree_size, NULL));
	g_assert_cmpmem(tree, tree_size, whole, whole_size);
}

static void stops_when_nothing_more_comes(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;

	for (guint64 end = 0; end <= f->params.data_size; end += f->params.data_size / 4) {
		g_autoptr(ProaVerityBuild) build =
			proa_verity_build_new(f->data, f->hash, &f->params, &error);
		g_assert_no_error(error);
		proa_verity_build_written(build, end);
	}
}

/* What the device holds has the last word, not what was given to it. */
static void tells_what_the_device_holds(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *good = NULL, *bad = NULL;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &good, &error));
	PROA_AUTO_FD int fd = open(f->data, O_RDWR | O_CLOEXEC);
	g_assert_true(proa_pwrite_all(fd, "rot", 3, (goffset)f->params.data_size / 2, &error));
	g_autoptr(ProaVerityBuild) build = proa_verity_build_new(f->data, f->hash, &f->params, &error);
	proa_verity_build_written(build, f->params.data_size);
	g_assert_true(proa_verity_build_finish(build, &bad, &error));
	g_assert_cmpstr(bad, !=, good);
}

static void refuses_odd_size(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	char *root_hash = NULL;

	f->params.data_size = 4097;
	g_assert_false(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_null(root_hash);
}

static void refuses_short_data(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	char *root_hash = NULL;

	f->params.data_size += PROA_VERITY_BLOCK_SIZE;
	g_assert_false(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
}

static void names_missing_device(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	char *root_hash = NULL;

	g_assert_false(proa_verity_build("/nonexistent/data", f->hash, &f->params, &root_hash, &error));
	g_assert_nonnull(error);
	g_assert_nonnull(strstr(error->message, "/nonexistent/data"));
}

static void refuses_bad_uuid(Fixture *f, gconstpointer size)
{
	g_autoptr(GError) error = NULL;
	char *root_hash = NULL;

	g_strlcpy(f->params.uuid, "not-a-uuid", sizeof f->params.uuid);
	g_assert_false(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_null(root_hash);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, size, function)                                                                            \
	g_test_add("/verity/build/" name, Fixture, GSIZE_TO_POINTER((gsize)(size)), set_up, function,        \
		tear_down)
	ADD("same-as-veritysetup/one-block", 4096, same_as_veritysetup);
	ADD("same-as-veritysetup/one-level", 128 * 4096, same_as_veritysetup);
	ADD("same-as-veritysetup/two-levels", 1000 * 4096, same_as_veritysetup);
	ADD("same-as-veritysetup/three-levels", 16385 * 4096, same_as_veritysetup);
	ADD("leaves-what-follows-the-tree", 300 * 4096, leaves_what_follows);
	ADD("same-while-written/one-block", 4096, same_while_written);
	ADD("same-while-written/less-than-is-flushed-at-once", 1025 * 4096, same_while_written);
	ADD("same-while-written/several-flushes", 10001 * 4096, same_while_written);
	ADD("stops-when-nothing-more-comes", 8192 * 4096, stops_when_nothing_more_comes);
	ADD("tells-what-the-device-holds", 1000 * 4096, tells_what_the_device_holds);
	ADD("refuses-odd-size", 8192, refuses_odd_size);
	ADD("refuses-short-data", 8192, refuses_short_data);
	ADD("names-missing-device", 8192, names_missing_device);
	ADD("same-as-veritysetup/last-piece-is-short", 1025 * 4096, same_as_veritysetup);
	ADD("refuses-bad-uuid", 8192, refuses_bad_uuid);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/writer.h"

#include "tests/unit/scratch.h"

#include <gio/gio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHUNK (64u * 1024)

/* A file of @size bytes 'o' that stands for a partition. */
static char *partition_of(const Scratch *scratch, gsize size)
{
	g_autofree char *old = g_malloc(size);

	memset(old, 'o', size);
	return scratch_write(scratch, "root-b", old, (gssize)size);
}

static guint8 *aligned(gsize size, int byte)
{
	void *data = NULL;

	g_assert_cmpint(posix_memalign(&data, PROA_WRITER_ALIGNMENT, size), ==, 0);
	memset(data, byte, size);
	return data;
}

static void writes_in_order(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 5 * CHUNK);
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 3 * CHUNK + 4096, &error);
	g_assert_no_error(error);
	for (int i = 0; i < 3; i++) {
		guint8 *data = aligned(CHUNK, 'a' + i);
		g_assert_true(proa_writer_write(writer, data, CHUNK, &error));
		free(data);
	}
	guint8 *last = aligned(4096, 'z');
	g_assert_true(proa_writer_write(writer, last, 4096, &error));
	free(last);
	g_assert_true(proa_writer_finish(writer, &error));
	g_assert_no_error(error);

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_assert_cmpuint(size, ==, 5 * CHUNK);
	for (gsize i = 0; i < size; i++) {
		int expected = i < 3 * CHUNK ? 'a' + (int)(i / CHUNK) : i < 3 * CHUNK + 4096 ? 'z' : 'o';
		if (bytes[i] != expected)
			g_error("byte %" G_GSIZE_FORMAT " is %c, not %c", i, bytes[i], expected);
	}
}

static void refuses_short_device(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, CHUNK);

	g_assert_null(proa_writer_open(path, CHUNK + 4096, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_SLOT_TOO_SMALL);
}

static void refuses_more_than_announced(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 4 * CHUNK);
	g_autofree char *bytes = NULL;
	guint8 *data = aligned(2 * CHUNK, 'n');

	g_autoptr(ProaWriter) writer = proa_writer_open(path, CHUNK, &error);
	g_assert_false(proa_writer_write(writer, data, 2 * CHUNK, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
	g_assert_cmpint(bytes[CHUNK], ==, 'o');
	free(data);
}

static void finish_needs_all(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 4 * CHUNK);
	guint8 *data = aligned(CHUNK, 'n');

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 2 * CHUNK, &error);
	g_assert_true(proa_writer_write(writer, data, CHUNK, &error));
	g_assert_false(proa_writer_finish(writer, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	free(data);
}

static void names_missing_device(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_writer_open("/nonexistent/root-b", 4096, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

/* Going on behind what lies there already. */
static void skips_what_is_there(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 3 * CHUNK);
	g_autofree char *bytes = NULL;
	guint8 *data = aligned(CHUNK, 'n');

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 2 * CHUNK, &error);
	g_assert_no_error(error);
	proa_writer_skip(writer, CHUNK);
	g_assert_true(proa_writer_write(writer, data, CHUNK, &error));
	g_assert_true(proa_writer_flush(writer, &error));
	g_assert_false(proa_writer_write(writer, data, CHUNK, NULL));
	g_assert_true(proa_writer_finish(writer, &error));
	g_assert_no_error(error);
	free(data);
	g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
	g_assert_cmpint(bytes[CHUNK - 1], ==, 'o');
	g_assert_cmpint(bytes[CHUNK], ==, 'n');
	g_assert_cmpint(bytes[2 * CHUNK - 1], ==, 'n');
	g_assert_cmpint(bytes[2 * CHUNK], ==, 'o');
}

static void append(const guint8 *data, gsize size, gpointer user_data)
{
	g_byte_array_append(user_data, data, (guint)size);
}

/* After a drain all of it was told, in order, and lies in the file; the giver's place is its own at once. */
static void tells_what_was_written(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 64 * CHUNK);
	g_autoptr(GByteArray) told = g_byte_array_new(), given = g_byte_array_new();
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 64 * CHUNK, &error);
	g_assert_no_error(error);
	proa_writer_watch(writer, append, told);
	guint8 *data = aligned(CHUNK, 0);
	for (int i = 0; i < 64; i++) {
		gsize n = i % 3 ? CHUNK : 4096;
		memset(data, 'a' + i % 26, CHUNK);
		g_assert_true(proa_writer_write(writer, data, n, &error));
		g_byte_array_append(given, data, (guint)n);
		if (i % 20 != 7)
			continue;
		g_assert_true(proa_writer_drain(writer, &error));
		g_assert_cmpmem(told->data, told->len, given->data, given->len);
	}
	memset(data, 'x', CHUNK);
	g_assert_true(proa_writer_flush(writer, &error));
	g_assert_no_error(error);
	free(data);
	g_assert_cmpmem(told->data, told->len, given->data, given->len);
	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_assert_cmpmem(bytes, given->len, given->data, given->len);
}

/* What is made in the writer's room, or partly there, is written as what is given from elsewhere is. */
static void takes_what_was_made_in_its_room(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 100 * CHUNK);
	g_autoptr(GByteArray) told = g_byte_array_new(), given = g_byte_array_new();
	guint8 *elsewhere = aligned(CHUNK, 'e');
	g_autofree char *bytes = NULL;

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 100 * CHUNK, &error);
	g_assert_no_error(error);
	proa_writer_skip(writer, 4096);
	proa_writer_watch(writer, append, told);
	while (given->len < 96 * CHUNK) {
		gsize size = 0, skip = given->len % (5 * CHUNK) == 0 ? 4096 : 0;
		guint8 *room = proa_writer_room(writer, 2 * CHUNK, &size, &error);
		g_assert_no_error(error);
		g_assert_cmpuint((guintptr)room % PROA_WRITER_ALIGNMENT, ==, 0);
		g_assert_true(size > 0 && size <= 2 * CHUNK && size % PROA_WRITER_ALIGNMENT == 0);
		for (gsize i = 0; i < size; i++)
			room[i] = (guint8)(given->len / 4096 + i / 512);
		skip = MIN(skip, size - 4096);
		g_byte_array_append(given, room + skip, (guint)(size - skip));
		g_assert_true(proa_writer_write(writer, room + skip, size - skip, &error));
		g_byte_array_append(given, elsewhere, 4096);
		g_assert_true(proa_writer_write(writer, elsewhere, 4096, &error));
	}
	g_assert_true(proa_writer_flush(writer, &error));
	free(elsewhere);
	g_assert_cmpmem(told->data, told->len, given->data, given->len);
	g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
	g_assert_cmpmem(bytes + 4096, given->len, given->data, given->len);
	g_assert_cmpint(bytes[4095], ==, 'o');
}

/* A write that fails is told at the next call that waits for it, and for good. */
static void tells_failed_write(void)
{
	g_autoptr(GError) error = NULL, again = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = partition_of(&scratch, 4 * CHUNK);
	struct rlimit before, small = { 0 };
	guint8 *data = aligned(CHUNK, 'n');

	g_autoptr(ProaWriter) writer = proa_writer_open(path, 4 * CHUNK, &error);
	g_assert_no_error(error);
	g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
	small = (struct rlimit){ .rlim_cur = CHUNK, .rlim_max = before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
	for (int i = 0; i < 4; i++)
		(void)!proa_writer_write(writer, data, CHUNK, NULL);
	g_assert_false(proa_writer_flush(writer, &error));
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_false(proa_writer_finish(writer, &again));
	g_assert_error(again, PROA_ERROR, PROA_REASON_IO);
	free(data);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/slot/writer/writes-in-order", writes_in_order);
	g_test_add_func("/slot/writer/refuses-short-device", refuses_short_device);
	g_test_add_func("/slot/writer/refuses-more-than-announced", refuses_more_than_announced);
	g_test_add_func("/slot/writer/finish-needs-all", finish_needs_all);
	g_test_add_func("/slot/writer/names-missing-device", names_missing_device);
	g_test_add_func("/slot/writer/skips-what-is-there", skips_what_is_there);
	g_test_add_func("/slot/writer/tells-what-was-written", tells_what_was_written);
	g_test_add_func("/slot/writer/takes-what-was-made-in-its-room", takes_what_was_made_in_its_room);
	g_test_add_func("/slot/writer/tells-failed-write", tells_failed_write);
	return g_test_run();
}

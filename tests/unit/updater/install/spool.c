/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/spool.h"

#include "base/file.h"
#include "tests/unit/scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ONE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SIZE (1u << 20)

static guint64 room = G_MAXUINT32; /* bytes that are free */

/* Before that of the C library. */
int fstatvfs(int fd, struct statvfs *fs)
{
	*fs = (struct statvfs){ .f_bsize = 4096, .f_frsize = 4096, .f_blocks = G_MAXUINT32 };
	fs->f_bfree = fs->f_blocks;
	fs->f_bavail = room / 4096;
	return 0;
}

/* A server that has one file. */
typedef struct {
	guint8 *bytes;
	guint64 has;       /* bytes of the file that it has */
	gboolean no_parts; /* all is given or nothing */
	guint64 given;     /* bytes asked for */
	guint opened;
} Server;

static ProaStream *open_server(guint64 offset, guint64 size, gpointer user_data, GError **error)
{
	Server *server = user_data;

	server->opened++;
	if (server->no_parts && (offset > 0 || size < SIZE)) {
		proa_fail(error, PROA_REASON_FEED_ERROR, "the server does not serve parts of files");
		return NULL;
	}
	guint64 end = MIN(offset + size, server->has);
	g_assert_cmpuint(offset, <=, end);
	server->given += end - offset;
	g_autoptr(GBytes) bytes = g_bytes_new(server->bytes + offset, end - offset);
	return proa_stream_of_bytes(bytes);
}

static Server server_new(void)
{
	Server server = { .bytes = g_malloc(SIZE), .has = SIZE };

	for (guint i = 0; i < SIZE; i++)
		server.bytes[i] = (guint8)(i * 7 + i / 4096);
	return server;
}

/* Reads the first @size bytes, compares as many as came, and tells how many these are. */
static gsize read_file(ProaSpool *spool, Server *server, gsize size)
{
	g_autoptr(ProaStream) stream = proa_spool_stream(spool, size, open_server, server);
	g_autofree guint8 *data = g_malloc(size + 1);
	g_autoptr(GError) error = NULL;
	gsize have = 0;

	g_assert_true(proa_stream_read_full(stream, data, size, &have, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(data, have, server->bytes, have);
	return have;
}

static void keeps_what_came(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	Server server = server_new();

	for (guint i = 1; i <= 4; i++) {
		g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
		g_assert_cmpuint(proa_spool_have(spool), ==, (i - 1) * SIZE / 4);
		server.has = i * SIZE / 4;
		g_assert_cmpuint(read_file(spool, &server, SIZE), ==, server.has);
	}
	g_assert_cmpuint(server.given, ==, SIZE);
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
	g_assert_cmpuint(server.opened, ==, 4);
	g_free(server.bytes);
}

/* What is asked for first comes once. */
static void head_first(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	Server server = server_new();

	g_assert_cmpuint(read_file(spool, &server, 500), ==, 500);
	g_assert_cmpuint(server.given, ==, 500);
	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
	g_assert_cmpuint(server.given, ==, SIZE);
	g_free(server.bytes);
}

static void of_another_file_nothing_is_kept(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	Server server = server_new();

	g_autoptr(ProaSpool) one = proa_spool_new(path, ONE, SIZE);
	g_assert_cmpuint(read_file(one, &server, SIZE), ==, SIZE);
	/* Of the same file there can't be more than all. */
	g_autoptr(ProaSpool) shorter = proa_spool_new(path, ONE, SIZE - 1);
	g_assert_cmpuint(proa_spool_have(shorter), ==, 0);
	g_assert_cmpuint(read_file(shorter, &server, SIZE - 1), ==, SIZE - 1);
	g_autoptr(ProaSpool) other = proa_spool_new(path, OTHER, SIZE);
	g_assert_cmpuint(proa_spool_have(other), ==, 0);
	g_free(server.bytes);
}

static void drops_what_was_wrong(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	Server server = server_new();

	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
	proa_spool_drop(spool, 1000);
	g_autoptr(ProaSpool) again = proa_spool_new(path, ONE, SIZE);
	g_assert_cmpuint(proa_spool_have(again), ==, 1000);
	server.given = 0;
	g_assert_cmpuint(read_file(again, &server, SIZE), ==, SIZE);
	g_assert_cmpuint(server.given, ==, SIZE - 1000);
	g_free(server.bytes);
}

static void server_without_parts(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	Server server = server_new();

	server.has = 5000;
	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, 5000);
	server.no_parts = TRUE;
	server.has = SIZE;
	server.given = 0;
	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
	g_assert_cmpuint(server.given, ==, SIZE);
	g_assert_cmpuint(proa_spool_have(spool), ==, SIZE);
	g_free(server.bytes);
}

static void goes_without_a_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "no/such/folder");
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	Server server = server_new();

	for (guint i = 1; i <= 2; i++) {
		g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
		g_assert_cmpuint(server.given, ==, i * SIZE);
	}
	g_free(server.bytes);
}

static void assert_size(const char *path, goffset size)
{
	struct stat file;

	g_assert_cmpint(stat(path, &file), ==, 0);
	g_assert_cmpint(file.st_size, ==, size);
}

/* All that came is given back when others would miss the room; what is fetched is whole all the same. */
static void leaves_room_for_others(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	Server server = server_new();

	for (guint i = 0; i < 2; i++) {
		g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
		server.has = SIZE / 2;
		room = G_MAXUINT32;
		g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE / 2);
		g_assert_cmpuint(proa_spool_have(spool), ==, SIZE / 2);
		server.has = SIZE;
		room = PROA_FILE_RESERVE + (i == 0 ? 0 : SIZE + 4096);
		g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE);
		g_assert_cmpuint(proa_spool_have(spool), ==, i == 0 ? 0 : SIZE);
		assert_size(path, i == 0 ? 0 : 65 + SIZE);
	}
	room = G_MAXUINT32;
	g_free(server.bytes);
}

/* The file can't grow any more while it is written. */
static void full_disk_keeps_nothing(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "part");
	g_autoptr(ProaSpool) spool = proa_spool_new(path, ONE, SIZE);
	const struct rlimit most = { SIZE / 2, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	Server server = server_new();

	server.has = SIZE / 4;
	g_assert_cmpuint(read_file(spool, &server, SIZE), ==, SIZE / 4);
	server.has = SIZE;
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &most), ==, 0);
	gsize got = read_file(spool, &server, SIZE);
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &all), ==, 0);
	g_assert_cmpuint(got, ==, SIZE);
	g_assert_cmpuint(proa_spool_have(spool), ==, 0);
	assert_size(path, 0);
	g_free(server.bytes);
}

int main(int argc, char **argv)
{
	(void)signal(SIGXFSZ, SIG_IGN);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/install/spool/keeps-what-came", keeps_what_came);
	g_test_add_func("/install/spool/head-first", head_first);
	g_test_add_func("/install/spool/of-another-file-nothing-is-kept", of_another_file_nothing_is_kept);
	g_test_add_func("/install/spool/drops-what-was-wrong", drops_what_was_wrong);
	g_test_add_func("/install/spool/server-without-parts", server_without_parts);
	g_test_add_func("/install/spool/goes-without-a-file", goes_without_a_file);
	g_test_add_func("/install/spool/leaves-room-for-others", leaves_room_for_others);
	g_test_add_func("/install/spool/full-disk-keeps-nothing", full_disk_keeps_nothing);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-delta PAYLOAD OLD OLD-HASH NEW-HASH OUT [TREE SALT UUID]: how fast a delta is applied, and with how
 * much memory; with a file for the hash tree also verified, as a transaction does it.
 */
#include "updater/payload/delta.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/pages.h"
#include "tests/bench/bench.h"
#include "updater/slot/writer.h"
#include "verity/build.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct {
	int old_fd, new_fd;
	ProaWriter *writer;
	guint64 done;
	ProaVerityBuild *tree; /* NULL: none is built */
	guint64 written;
} Slots;

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return proa_pread_all(((Slots *)user_data)->old_fd, data, size, (goffset)offset, error);
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return proa_writer_drain_to(((Slots *)user_data)->writer, offset + size, error) &&
	       proa_pread_all(((Slots *)user_data)->new_fd, data, size, (goffset)offset, error);
}

static gboolean write_new(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Slots *slots = user_data;

	slots->done += size;
	return proa_writer_write(slots->writer, data, size, error);
}

/* In the writer's thread. */
static void wrote(const guint8 *data, gsize size, gpointer user_data)
{
	Slots *slots = user_data;

	slots->written += size;
	proa_verity_build_written(slots->tree, slots->written);
}

static void begin_tree(Slots *slots, char **argv, guint64 size)
{
	g_autoptr(GError) error = NULL;
	ProaVerityParams params = { .data_size = size };

	bench_must(proa_hex_decode(argv[7], params.salt, sizeof params.salt), NULL);
	g_strlcpy(params.uuid, argv[8], sizeof params.uuid);
	bench_must(g_file_set_contents(argv[6], "", 0, &error), error);
	slots->tree = proa_verity_build_new(argv[5], argv[6], &params, &error);
	bench_must(slots->tree != NULL, error);
	proa_writer_watch(slots->writer, wrote, slots);
}

static void finish_tree(Slots *slots, const char *expected)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;

	bench_must(proa_verity_build_finish(slots->tree, &root_hash, &error), error);
	bench_must(strcmp(root_hash, expected) == 0, NULL);
	proa_verity_build_free(slots->tree);
}

static guint8 *room(gsize *ret_size, gpointer user_data, GError **error)
{
	return proa_writer_room(((Slots *)user_data)->writer, PROA_DELTA_OUT_SIZE, ret_size, error);
}

typedef struct {
	ProaStream stream;
	int fd;
} FileStream;

static gssize read_file(ProaStream *stream, void *data, gsize size, GError **error)
{
	ssize_t n = read(((FileStream *)stream)->fd, data, size);

	return n < 0 ? proa_fail(error, PROA_REASON_IO, "reading the payload"), -1 : n;
}

static void close_file(ProaStream *stream)
{
}

static const ProaStreamKind file_kind = { read_file, close_file };

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *header_sha256 = NULL;

	if (argc != 6 && argc != 9)
		return 2;
	proa_pages_keep_few();
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(argv[1], &header_sha256, &error);
	bench_must(header != NULL, error);
	PROA_AUTO_FD int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	PROA_AUTO_FD int created = open(argv[5], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	bench_must(fd >= 0 && created >= 0 && ftruncate(created, (off_t)header->new_size) == 0, NULL);
	g_autoptr(ProaWriter) writer = proa_writer_open(argv[5], header->new_size, &error);
	bench_must(writer != NULL, error);
	Slots slots = { .old_fd = open(argv[2], O_RDONLY | O_CLOEXEC), .new_fd = created, .writer = writer };
	bench_must(slots.old_fd >= 0, NULL);
	const ProaPayloadExpect expect = { .size = proa_delta_total_size(header),
		.header_sha256 = header_sha256,
		.image_size = header->new_size,
		.root_hash = argv[4] };
	const ProaDeltaTarget target = { .old_hash = argv[3],
		.read_old = read_old,
		.read_new = read_new,
		.sink = write_new,
		.room = room,
		.user_data = &slots };
	FileStream in = { { &file_kind }, fd };
	gint64 start = g_get_monotonic_time();
	if (argc == 9)
		begin_tree(&slots, argv, header->new_size);
	bench_must(proa_delta_apply(&in.stream, &expect, &target, &error), error);
	bench_must(proa_writer_finish(writer, &error), error);
	bench_must(slots.done == header->new_size, NULL);
	if (slots.tree)
		finish_tree(&slots, argv[4]);
	bench_report("delta", slots.done, start);
	close(slots.old_fd);
	return 0;
}

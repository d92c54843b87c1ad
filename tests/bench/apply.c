/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a full payload becomes an image again, and in how much memory. Arguments: the payload, its image's
 * root hash. The bytes are read from a file and go nowhere: what is measured is digest, decompression and
 * copying.
 */
#include "updater/payload/apply.h"
#include "base/file.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct {
	ProaStream stream;
	int fd;
} FileStream;

static gssize read_file(ProaStream *stream, void *data, gsize size, GError **error)
{
	ssize_t n = read(((FileStream *)stream)->fd, data, size);

	if (n < 0)
		proa_fail_errno(error, PROA_REASON_IO, errno, "reading the payload");
	return n;
}

static void close_file(ProaStream *stream)
{
}

static const ProaStreamKind file_kind = { read_file, close_file };

static gboolean count(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	*(guint64 *)user_data += size;
	return TRUE;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	guint8 header[24];
	guint64 done = 0;

	if (argc != 3)
		return 2;
	PROA_AUTO_FD int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	bench_must(fd >= 0 && proa_pread_all(fd, header, sizeof header, 0, &error), error);
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 chunk[65536];
	guint64 size = 0;
	for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0; size += (guint64)n)
		g_checksum_update(sum, chunk, n);
	bench_must(lseek(fd, 0, SEEK_SET) == 0, NULL);

	guint64 image_size;
	memcpy(&image_size, header + 16, sizeof image_size);
	ProaPayloadExpect expect = { .size = size,
		.sha256 = g_checksum_get_string(sum),
		.image_size = GUINT64_FROM_LE(image_size),
		.root_hash = argv[2] };
	FileStream in = { { &file_kind }, fd };
	gint64 start = g_get_monotonic_time();
	bench_must(proa_payload_apply(&in.stream, &expect, count, NULL, &done, &error), error);
	bench_must(done == expect.image_size, NULL);
	bench_report("apply", done, start);
	return 0;
}

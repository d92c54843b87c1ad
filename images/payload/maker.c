/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/maker.h"

#include "base/file.h"
#include "images/payload/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* A frame on its way. */
typedef struct {
	guint8 *plain, *packed;
	gsize plain_size, packed_size;
} Job;

typedef struct {
	const ProaMaker *maker;
	int image_fd, out_fd;
	ProaPayloadHeader *header;
	goffset offset; /* where the next frame goes */
} Work;

static void job_clear(gpointer data)
{
	Job *job = data;

	g_free(job->plain);
	g_free(job->packed);
}

static gboolean begin_frame(gpointer data, guint32 index, gpointer user_data, GError **error)
{
	Job *job = data;
	const Work *work = user_data;

	if (!job->plain) {
		job->plain = g_malloc(work->header->frame_size);
		job->packed = g_malloc(ZSTD_compressBound(work->header->frame_size));
	}
	job->plain_size = proa_payload_frame_length(work->header, index);
	return proa_pread_all(work->image_fd, job->plain, job->plain_size,
		(goffset)index * work->header->frame_size, error);
}

static gboolean compress_frame(gpointer data, gpointer user_data, GError **error)
{
	Job *job = data;
	const Work *work = user_data;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (!zstd)
		return proa_fail(error, PROA_REASON_INTERNAL, "compressing a frame: out of memory");
	/* One thread a frame, and a window that never exceeds the frame: the same bytes on every machine. */
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, work->maker->level);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, PROA_PAYLOAD_MAX_WINDOW_LOG);
	job->packed_size = ZSTD_compress2(
		zstd, job->packed, ZSTD_compressBound(work->header->frame_size), job->plain, job->plain_size);
	ZSTD_freeCCtx(zstd);
	if (ZSTD_isError(job->packed_size))
		return proa_fail(error, PROA_REASON_INTERNAL, "compressing a frame: %s",
			ZSTD_getErrorName(job->packed_size));
	return TRUE;
}

static gboolean end_frame(gpointer data, guint32 index, gpointer user_data, GError **error)
{
	const Job *job = data;
	Work *work = user_data;
	ProaPayloadFrame *frame = &work->header->frames[index];
	gsize digest_size = PROA_SHA256_SIZE;
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

	g_checksum_update(sum, job->packed, (gssize)job->packed_size);
	g_checksum_get_digest(sum, frame->sha256, &digest_size);
	frame->compressed_size = (guint32)job->packed_size;
	if (!proa_pwrite_all(work->out_fd, job->packed, job->packed_size, work->offset, error))
		return FALSE;
	work->offset += (goffset)job->packed_size;
	if (work->maker->progress)
		work->maker->progress((guint64)index * work->header->frame_size + job->plain_size,
			work->header->image_size, work->maker->user_data);
	return TRUE;
}

static gboolean run(Work *work, GError **error)
{
	const ProaRing ring = { .n_pieces = work->header->n_frames,
		.threads = work->maker->threads,
		.job_size = sizeof(Job),
		.begin = begin_frame,
		.run = compress_frame,
		.end = end_frame,
		.clear = job_clear,
		.user_data = work };
	gsize size = 0;

	work->offset = PROA_PAYLOAD_HEADER_SIZE + (goffset)proa_payload_table_size(work->header);
	if (!proa_ring_run(&ring, error))
		return FALSE;
	g_autoptr(GBytes) header = proa_payload_header_serialize(work->header);
	const void *data = g_bytes_get_data(header, &size);
	if (!proa_pwrite_all(work->out_fd, data, size, 0, error))
		return FALSE;
	if (fsync(work->out_fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing");
	return TRUE;
}

static gboolean check_sizes(
	const ProaMaker *maker, guint64 image_size, const char *image_path, GError **error)
{
	if (maker->frame_size == 0 || maker->frame_size % PROA_PAYLOAD_BLOCK_SIZE != 0 ||
		maker->frame_size > PROA_PAYLOAD_MAX_FRAME_SIZE)
		return proa_fail(error, PROA_REASON_USAGE, "a frame size of %u bytes is not allowed",
			maker->frame_size);
	if (maker->level < 1 || maker->level > ZSTD_maxCLevel())
		return proa_fail(error, PROA_REASON_USAGE, "zstd has no level %d", maker->level);
	if (image_size == 0 || image_size % PROA_PAYLOAD_BLOCK_SIZE != 0)
		return proa_fail(error, PROA_REASON_USAGE,
			"%s: %" G_GUINT64_FORMAT " bytes are not whole blocks of %d", image_path, image_size,
			PROA_PAYLOAD_BLOCK_SIZE);
	if ((image_size - 1) / maker->frame_size >= PROA_PAYLOAD_MAX_FRAMES)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "%s needs more than %u frames of %u bytes",
			image_path, PROA_PAYLOAD_MAX_FRAMES, maker->frame_size);
	return TRUE;
}

gboolean proa_maker_full(const ProaMaker *maker, const char *image_path, const char *root_hash,
	const char *out_path, GError **error)
{
	guint8 hash[PROA_SHA256_SIZE];
	struct stat st;
	g_autofree char *temporary = g_strconcat(out_path, ".tmp", NULL);

	if (!proa_sha256_hex_valid(root_hash) || !proa_hex_decode(root_hash, hash, sizeof hash))
		return proa_fail(error, PROA_REASON_USAGE, "\"%s\" is not a root hash", root_hash);
	PROA_AUTO_FD int image_fd = open(image_path, O_RDONLY | O_CLOEXEC);
	if (image_fd < 0 || fstat(image_fd, &st) < 0)
		return proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", image_path);
	if (!check_sizes(maker, (guint64)st.st_size, image_path, error))
		return FALSE;
	PROA_AUTO_FD int out_fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out_fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);

	g_autoptr(ProaPayloadHeader) header =
		proa_payload_header_new((guint64)st.st_size, maker->frame_size, hash);
	Work work = { .maker = maker, .image_fd = image_fd, .out_fd = out_fd, .header = header };
	gboolean ok = run(&work, error);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	if (!ok) {
		unlink(temporary);
		g_prefix_error(error, "making %s: ", out_path);
	}
	return ok;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/maker.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* More threads than this are not used. */
#define MAX_THREADS 256

/* A frame on its way. Slots are used in a ring: the main thread waits for the oldest and writes it. */
typedef struct {
	guint8 *plain;
	gsize plain_size;
	guint8 *packed;
	gsize packed_size; /* 0: failed */
	gboolean ready;
} Job;

typedef struct {
	const ProaMaker *maker;
	int image_fd;
	int out_fd;
	ProaPayloadHeader *header;
	GThreadPool *pool;
	Job *jobs;
	guint n_jobs;
	GMutex lock;
	GCond finished;
} Work;

static void compress_job(gpointer data, gpointer user_data)
{
	Job *job = data;
	Work *work = user_data;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	gsize size = 0;

	if (zstd) {
		/* One thread a frame, and a window that never exceeds the frame: the same bytes on every
		 * machine. */
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, work->maker->level);
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, PROA_PAYLOAD_MAX_WINDOW_LOG);
		size = ZSTD_compress2(zstd, job->packed, ZSTD_compressBound(work->header->frame_size),
			job->plain, job->plain_size);
		ZSTD_freeCCtx(zstd);
	}
	g_mutex_lock(&work->lock);
	job->packed_size = ZSTD_isError(size) ? 0 : size;
	job->ready = TRUE;
	g_cond_signal(&work->finished);
	g_mutex_unlock(&work->lock);
}

static Job *job_of(const Work *work, guint32 index)
{
	g_assert(work->n_jobs > 0);
	return &work->jobs[index % work->n_jobs];
}

static gboolean begin_frame(Work *work, guint32 index, GError **error)
{
	Job *job = job_of(work, index);

	job->ready = FALSE;
	job->plain_size = proa_payload_frame_length(work->header, index);
	if (!proa_pread_all(work->image_fd, job->plain, job->plain_size,
		    (goffset)index * work->header->frame_size, error))
		return FALSE;
	return g_thread_pool_push(work->pool, job, error);
}

static gboolean end_frame(Work *work, guint32 index, goffset *offset, GError **error)
{
	Job *job = job_of(work, index);
	ProaPayloadFrame *frame = &work->header->frames[index];
	gsize digest_size = PROA_SHA256_SIZE;

	g_mutex_lock(&work->lock);
	while (!job->ready)
		g_cond_wait(&work->finished, &work->lock);
	g_mutex_unlock(&work->lock);
	if (job->packed_size == 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "compressing frame %u failed", index);

	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_checksum_update(sum, job->packed, (gssize)job->packed_size);
	g_checksum_get_digest(sum, frame->sha256, &digest_size);
	frame->compressed_size = (guint32)job->packed_size;
	if (!proa_pwrite_all(work->out_fd, job->packed, job->packed_size, *offset, error))
		return FALSE;
	*offset += (goffset)job->packed_size;
	if (work->maker->progress)
		work->maker->progress((guint64)index * work->header->frame_size + job->plain_size,
			work->header->image_size, work->maker->user_data);
	return TRUE;
}

static gboolean write_frames(Work *work, GError **error)
{
	goffset offset = PROA_PAYLOAD_HEADER_SIZE + (goffset)proa_payload_table_size(work->header);
	guint32 n = work->header->n_frames;
	guint32 begun = 0;

	for (guint32 ended = 0; ended < n; ended++) {
		for (; begun < n && begun < ended + work->n_jobs; begun++)
			if (!begin_frame(work, begun, error))
				return FALSE;
		if (!end_frame(work, ended, &offset, error))
			return FALSE;
	}
	g_autoptr(GBytes) header = proa_payload_header_serialize(work->header);
	gsize size = 0;
	const void *data = g_bytes_get_data(header, &size);
	if (!proa_pwrite_all(work->out_fd, data, size, 0, error))
		return FALSE;
	if (fsync(work->out_fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing");
	return TRUE;
}

static gboolean run(Work *work, GError **error)
{
	guint threads = work->maker->threads > 0 ? work->maker->threads : g_get_num_processors();

	work->n_jobs = CLAMP(threads, 1, MAX_THREADS) * 2;
	work->jobs = g_new0(Job, work->n_jobs);
	for (guint i = 0; i < work->n_jobs; i++) {
		work->jobs[i].plain = g_malloc(work->header->frame_size);
		work->jobs[i].packed = g_malloc(ZSTD_compressBound(work->header->frame_size));
	}
	work->pool = g_thread_pool_new(compress_job, work, (gint)CLAMP(threads, 1, MAX_THREADS), TRUE, error);
	gboolean ok = work->pool && write_frames(work, error);
	if (work->pool)
		g_thread_pool_free(work->pool, TRUE, TRUE);
	for (guint i = 0; i < work->n_jobs; i++) {
		g_free(work->jobs[i].plain);
		g_free(work->jobs[i].packed);
	}
	g_free(work->jobs);
	return ok;
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
	g_mutex_init(&work.lock);
	g_cond_init(&work.finished);
	gboolean ok = run(&work, error);
	g_cond_clear(&work.finished);
	g_mutex_clear(&work.lock);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	if (!ok) {
		unlink(temporary);
		g_prefix_error(error, "making %s: ", out_path);
	}
	return ok;
}

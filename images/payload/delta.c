/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/delta.h"

#include "base/file.h"
#include "images/payload/pack.h"
#include "images/payload/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A frame ends once this much of it is news, or its difference is so long. Bytes. */
#define FRAME_NEWS ((guint64)3 * 1024 * 1024 / 2)
#define FRAME_DIFF (24u * 1024 * 1024)
/* Pieces are cut, so that a frame can end. */
#define MAX_NEW ((guint64)256 * 1024)
#define MAX_MATCHED ((guint64)4 * 1024 * 1024)

typedef struct {
	ProaBuilder *builder;
	guint64 length;
	GByteArray *packed;
	GError *error;
} Frame;

typedef struct {
	const ProaDeltaMaker *maker;
	const ProaPlan *plan;
	GPtrArray *frames;
	guint64 old_tail_at, new_tail_at;
	GThreadPool *pool;
	GMutex lock;
	GCond finished;
	guint packed;
} Work;

static void frame_free(gpointer data)
{
	Frame *frame = data;

	proa_builder_free(frame->builder);
	g_clear_pointer(&frame->packed, g_byte_array_unref);
	g_clear_error(&frame->error);
	g_free(frame);
}

static void pack_job(gpointer data, gpointer user_data)
{
	Frame *frame = data;
	Work *work = user_data;

	frame->packed = proa_pack_frame(frame->builder, &frame->error);
	g_clear_pointer(&frame->builder, proa_builder_free);
	g_mutex_lock(&work->lock);
	work->packed++;
	g_cond_signal(&work->finished);
	g_mutex_unlock(&work->lock);
}

static Frame *begin_frame(Work *work)
{
	Frame *frame = g_new0(Frame, 1);

	frame->builder = proa_builder_new();
	work->old_tail_at = work->new_tail_at = 0;
	g_ptr_array_add(work->frames, frame);
	return frame;
}

static gboolean full(const Frame *frame)
{
	return frame->builder->news >= FRAME_NEWS ||
	       frame->builder->streams[PROA_DELTA_DIFF]->len >= FRAME_DIFF;
}

/* Gives a full frame to be packed and begins the next. */
static gboolean next_frame(Work *work, Frame **frame, GError **error)
{
	if (!full(*frame))
		return TRUE;
	if (!g_thread_pool_push(work->pool, *frame, error))
		return FALSE;
	*frame = begin_frame(work);
	return TRUE;
}

static gboolean add_piece(Work *work, Frame **frame, ProaPiece piece, GError **error)
{
	guint64 most = piece.matched ? MAX_MATCHED : MAX_NEW;

	while (piece.length > 0) {
		ProaPiece part = piece;
		part.length = MIN(piece.length, most);
		if (!next_frame(work, frame, error))
			return FALSE;
		proa_builder_piece(
			(*frame)->builder, work->plan->old_data, work->plan->new_data, &part, NULL);
		(*frame)->length += part.length;
		piece.new_at += part.length;
		piece.old_at += part.length;
		piece.length -= part.length;
	}
	return TRUE;
}

/* The last bytes of a module, unless its frame has made them with its blocks. */
static gboolean add_tail(Work *work, Frame **frame, const ProaPlanStep *step, GError **error)
{
	const ProaModule *module = step->module;

	if (!next_frame(work, frame, error))
		return FALSE;
	if (module->later && module->frame == work->frames->len) {
		(*frame)->length += step->piece.length;
		return TRUE;
	}
	for (guint i = 0; i < module->tail->len; i++)
		if (!add_piece(work, frame, g_array_index(module->tail, ProaPiece, i), error))
			return FALSE;
	return TRUE;
}

static gboolean add_module(Work *work, Frame **frame, const ProaPlanStep *step, GError **error)
{
	if (!next_frame(work, frame, error))
		return FALSE;
	proa_module_append(step->module, (*frame)->builder, &work->old_tail_at, &work->new_tail_at);
	(*frame)->length += step->piece.length;
	step->module->frame = work->frames->len;
	return TRUE;
}

static gboolean add_steps(Work *work, GError **error)
{
	Frame *frame = begin_frame(work);

	for (guint i = 0; i < work->plan->steps->len; i++) {
		const ProaPlanStep *step = &g_array_index(work->plan->steps, ProaPlanStep, i);
		gboolean ok = !step->module ? add_piece(work, &frame, step->piece, error)
			      : step->tail  ? add_tail(work, &frame, step, error)
					    : add_module(work, &frame, step, error);
		if (!ok)
			return FALSE;
	}
	return g_thread_pool_push(work->pool, frame, error);
}

/* Waits until all frames are packed. */
static gboolean wait_packed(Work *work, GError **error)
{
	g_mutex_lock(&work->lock);
	while (work->packed < work->frames->len) {
		g_cond_wait(&work->finished, &work->lock);
		if (work->maker->progress)
			work->maker->progress(work->plan->new_size +
						      work->plan->new_size * work->packed / work->frames->len,
				2 * work->plan->new_size, work->maker->user_data);
	}
	g_mutex_unlock(&work->lock);
	for (guint i = 0; i < work->frames->len; i++) {
		Frame *frame = work->frames->pdata[i];
		if (frame->error) {
			g_propagate_error(error, g_steal_pointer(&frame->error));
			return FALSE;
		}
	}
	return TRUE;
}

static gboolean write_payload(
	const Work *work, const char *old_hash, const char *new_hash, int fd, GError **error)
{
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_new(work->frames->len);
	goffset offset = PROA_DELTA_HEADER_SIZE + (goffset)proa_delta_table_size(header);

	header->old_size = work->plan->old_size;
	header->new_size = work->plan->new_size;
	if (!proa_hex_decode(old_hash, header->old_hash, PROA_SHA256_SIZE) ||
		!proa_hex_decode(new_hash, header->new_hash, PROA_SHA256_SIZE))
		return proa_fail(error, PROA_REASON_USAGE, "a hash is not 64 hexadecimal digits");
	for (guint i = 0; i < work->frames->len; i++) {
		const Frame *frame = work->frames->pdata[i];
		gsize digest_size = PROA_SHA256_SIZE;
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
		g_checksum_update(sum, frame->packed->data, frame->packed->len);
		g_checksum_get_digest(sum, header->frames[i].sha256, &digest_size);
		header->frames[i].packed_size = frame->packed->len;
		header->frames[i].length = frame->length;
		if (!proa_pwrite_all(fd, frame->packed->data, frame->packed->len, offset, error))
			return FALSE;
		offset += frame->packed->len;
	}
	g_autoptr(GBytes) bytes = proa_delta_header_serialize(header);
	if (!proa_pwrite_all(fd, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0, error))
		return FALSE;
	return fsync(fd) == 0 ? TRUE : proa_fail_errno(error, PROA_REASON_IO, errno, "flushing");
}

static gboolean write_file(
	const Work *work, const char *old_hash, const char *new_hash, const char *out_path, GError **error)
{
	g_autofree char *temporary = g_strconcat(out_path, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);
	gboolean ok = write_payload(work, old_hash, new_hash, fd, error);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	if (!ok)
		unlink(temporary);
	return ok;
}

static gboolean pack(Work *work, guint threads, GError **error)
{
	work->pool = g_thread_pool_new(pack_job, work, (gint)threads, TRUE, error);
	if (!work->pool)
		return FALSE;
	gboolean ok = add_steps(work, error) && wait_packed(work, error);
	g_thread_pool_free(work->pool, !ok, TRUE);
	return ok;
}

gboolean proa_delta_pack(const ProaDeltaMaker *maker, const ProaPlan *plan, const char *old_hash,
	const char *new_hash, guint threads, const char *out_path, GError **error)
{
	g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func(frame_free);
	Work work = { .maker = maker, .plan = plan, .frames = frames };
	g_mutex_init(&work.lock);
	g_cond_init(&work.finished);
	gboolean ok = pack(&work, threads, error) && write_file(&work, old_hash, new_hash, out_path, error);
	g_cond_clear(&work.finished);
	g_mutex_clear(&work.lock);
	return ok;
}

static GMappedFile *map_image(const char *path, GError **error)
{
	g_autoptr(GError) inner = NULL;
	GMappedFile *file = g_mapped_file_new(path, FALSE, &inner);

	if (!file)
		proa_fail(error,
			g_error_matches(inner, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? PROA_REASON_NOT_FOUND
										 : PROA_REASON_IO,
			"%s", inner->message);
	else if (g_mapped_file_get_length(file) > PROA_DELTA_MAX_IMAGE_SIZE ||
		 g_mapped_file_get_length(file) == 0) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "%s: 1 byte to 16 GiB are allowed", path);
		g_clear_pointer(&file, g_mapped_file_unref);
	}
	return file;
}

/* Comparing is the first half of the work, packing the other. */
static void show_compared(guint64 done, guint64 total, gpointer user_data)
{
	const ProaDeltaMaker *maker = user_data;

	if (maker->progress)
		maker->progress(done, 2 * total, maker->user_data);
}

gboolean proa_delta_make(const ProaDeltaMaker *maker, const ProaDeltaImage *old_image,
	const ProaDeltaImage *new_image, const char *out_path, GError **error)
{
	guint threads = maker->threads > 0 ? maker->threads : g_get_num_processors();
	ProaDeltaMaker shown = *maker;

	if (!proa_sha256_hex_valid(old_image->hash) || !proa_sha256_hex_valid(new_image->hash))
		return proa_fail(error, PROA_REASON_USAGE, "a hash is not 64 hexadecimal digits");
	g_autoptr(GMappedFile) old_file = map_image(old_image->path, error);
	g_autoptr(GMappedFile) new_file = old_file ? map_image(new_image->path, error) : NULL;
	if (!new_file)
		return FALSE;
	g_autoptr(ProaPlan) plan = proa_plan_new((const guint8 *)g_mapped_file_get_contents(old_file),
		g_mapped_file_get_length(old_file), (const guint8 *)g_mapped_file_get_contents(new_file),
		g_mapped_file_get_length(new_file), threads, show_compared, &shown, error);
	if (!plan)
		return FALSE;
	gboolean ok =
		proa_delta_pack(maker, plan, old_image->hash, new_image->hash, threads, out_path, error);
	if (!ok)
		g_prefix_error(error, "making %s: ", out_path);
	return ok;
}

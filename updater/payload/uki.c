/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/uki.h"

#include "base/file.h"
#include "updater/payload/delta.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAD PROA_REASON_BAD_PAYLOAD
/* So much is made numbers of at a time. */
#define CHUNK_SIZE ((gsize)16 * 1024)

typedef struct {
	const ProaUkiHeader *header;
	const ProaUkiPlace *place;
	int kernel_fd;      /* the old kernel, unpacked; -1: none */
	guint64 made;       /* bytes of the new UKI, frames unpacked */
	guint64 shift;      /* how much more these are than those of the UKI itself */
	guint32 frame;      /* the next frame, or the one under way */
	ProaPacker *packer; /* of it, if it takes little */
	ProaSteps steps;    /* what is made becomes numbers again */
	ProaRepack repacks[PROA_UKI_MAX_FRAMES];
} Work;

static void work_clear(Work *work)
{
	proa_close_fd(&work->kernel_fd);
	proa_packer_free(work->packer);
	for (guint i = 0; i < PROA_UKI_MAX_FRAMES; i++)
		proa_repack_clear(&work->repacks[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, work_clear)

static gboolean take(ProaStream *in, guint8 *data, gsize size, GError **error)
{
	gsize have = 0;

	if (!proa_stream_read_full(in, data, size, &have, error))
		return FALSE;
	return have == size
		       ? TRUE
		       : proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "the payload ended in its head");
}

static gboolean is_hash(const guint8 hash[PROA_SHA256_SIZE], const char *hex)
{
	g_autofree char *text = proa_hex_encode(hash, PROA_SHA256_SIZE);

	return strcmp(text, hex) == 0;
}

static gboolean check_head(const ProaUkiExpect *expect, const ProaUkiHeader *header, GError **error)
{
	if (header->kind != expect->kind || header->size != expect->uki_size ||
		!is_hash(header->sha256, expect->uki_sha256) || header->root_size != expect->root_size ||
		!is_hash(header->root_hash, expect->root_hash) ||
		header->delta_head_size > expect->size - expect->header_size)
		return proa_fail(error, BAD, "the payload makes another boot image than the manifest names");
	return TRUE;
}

gboolean proa_uki_take_head(
	ProaStream *in, const ProaUkiExpect *expect, ProaUkiHeader *ret_header, GError **error)
{
	guint8 data[PROA_UKI_MAX_HEAD_SIZE];
	ProaUkiHeader header;

	if (expect->header_size < PROA_UKI_HEADER_SIZE || expect->header_size > sizeof data ||
		expect->header_size > expect->size)
		return proa_fail(error, BAD, "the manifest names an impossible head");
	if (!take(in, data, (gsize)expect->header_size, error))
		return FALSE;
	g_autofree char *sha256 = proa_sha256_hex(data, (gsize)expect->header_size);
	if (strcmp(sha256, expect->header_sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the payload's head is not the one that the manifest names");
	if (!proa_uki_header_parse(data, &header, error))
		return FALSE;
	if (proa_uki_head_size(&header) != expect->header_size)
		return proa_fail(error, BAD, "the payload's head has another size than the manifest names");
	if (!proa_uki_rest_parse(&header, data + PROA_UKI_HEADER_SIZE, error) ||
		!check_head(expect, &header, error))
		return FALSE;
	*ret_header = header;
	return TRUE;
}

/* --- what it is made from: the root image, then the old UKI with its kernel unpacked ----------------------
 */

/* The part of the sources that holds the byte @offset: where it ends, and reads @n bytes of it. */
static gboolean read_part(Work *work, guint64 offset, guint8 *data, gsize size, gsize *ret_n, GError **error)
{
	const ProaUkiHeader *header = work->header;
	const ProaRepackFrame *kernel = &header->old_kernel;
	guint64 at = offset - MIN(offset, header->root_size), end;
	int fd = work->place->old_fd;

	if (offset < header->root_size) {
		*ret_n = (gsize)MIN((guint64)size, header->root_size - offset);
		return work->place->read_root(offset, data, *ret_n, work->place->user_data, error);
	}
	if (kernel->size == 0 || at < kernel->offset) {
		end = kernel->size == 0 ? header->old_size : kernel->offset;
	} else if (at < kernel->offset + kernel->size) {
		end = kernel->offset + kernel->size;
		fd = work->kernel_fd;
		*ret_n = (gsize)MIN((guint64)size, end - at);
		return proa_pread_all(fd, data, *ret_n, (goffset)(at - kernel->offset), error);
	} else {
		at -= kernel->size - kernel->packed_size;
		end = header->old_size;
	}
	*ret_n = (gsize)MIN((guint64)size, end - at);
	return proa_pread_all(fd, data, *ret_n, (goffset)at, error);
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const Work *work = user_data;
	guint64 whole = proa_uki_source_size(work->header);

	if (offset > whole || size > whole - offset)
		return proa_fail(error, BAD, "the payload reads outside of what it is made from");
	while (size > 0) {
		gsize n = 0;
		if (!read_part(user_data, offset, data, size, &n, error))
			return FALSE;
		offset += n;
		data += n;
		size -= n;
	}
	return TRUE;
}

/* In memory: the place where it would be written to is the workload's. Its tables hold steps then. */
static gboolean unpack_kernel(Work *work, GError **error)
{
	g_auto(ProaRepack) repack = { .in = -1 };

	work->kernel_fd = memfd_create("proa-kernel", MFD_CLOEXEC);
	if (work->kernel_fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making room for the old kernel");
	return proa_repack_unpack(work->place->program, &work->header->old_kernel, work->place->old_fd,
		       work->kernel_fd, &repack, error) &&
	       proa_repack_wait(&repack, work->place->tick, work->place->user_data, error) &&
	       proa_steps_file(work->header->old_tables, work->header->n_old_tables, work->kernel_fd, error);
}

/* --- what is made -----------------------------------------------------------------------------------------
 */

/* A frame that takes much is packed by a process of its own, which goes on while the rest is made. */
static gboolean begin_frame(Work *work, const ProaRepackFrame *frame, GError **error)
{
	int fd = work->place->out_fd;

	if (frame->params.level > PROA_UKI_LIGHT_LEVEL)
		return proa_repack_pack(
			work->place->program, NULL, frame, FALSE, fd, &work->repacks[work->frame], error);
	work->packer = proa_packer_new(frame, fd, error);
	return work->packer != NULL;
}

/* Bytes of the frame under way. */
static gboolean put_frame(Work *work, const guint8 *data, gsize size, GError **error)
{
	const ProaRepackFrame *frame = &work->header->frames[work->frame];
	ProaRepack *repack = &work->repacks[work->frame];
	guint64 start = frame->offset + work->shift;

	if (work->made == start && !begin_frame(work, frame, error))
		return FALSE;
	if (work->packer ? !proa_packer_take(work->packer, data, size, error)
			 : !proa_write_all(repack->in, data, size, error))
		return FALSE;
	work->made += size;
	if (work->made < start + frame->size)
		return TRUE;
	work->shift += frame->size - frame->packed_size;
	work->frame++;
	proa_close_fd(&repack->in);
	g_clear_pointer(&work->packer, proa_packer_free);
	return TRUE;
}

static gboolean put(Work *work, const guint8 *data, gsize size, GError **error)
{
	const ProaUkiHeader *header = work->header;

	while (size > 0) {
		const ProaRepackFrame *frame =
			work->frame < header->n_frames ? &header->frames[work->frame] : NULL;
		guint64 at = work->made - work->shift, next = frame ? frame->offset : header->size;
		gsize n;
		if (frame && at >= next) {
			n = (gsize)MIN((guint64)size, frame->size - (at - next));
			if (!put_frame(work, data, n, error))
				return FALSE;
		} else {
			n = (gsize)MIN((guint64)size, next - at);
			if (!proa_pwrite_all(work->place->out_fd, data, n, (goffset)at, error))
				return FALSE;
			work->made += n;
		}
		data += n;
		size -= n;
	}
	return TRUE;
}

/* What the delta makes has steps where the UKI has numbers. */
static gboolean sink(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Work *work = user_data;
	guint8 chunk[CHUNK_SIZE];

	while (size > 0) {
		guint64 ahead = proa_steps_ahead(&work->steps);
		gsize n = (gsize)MIN((guint64)size, ahead > 0 ? ahead : sizeof chunk);
		if (ahead > 0) {
			proa_steps_skip(&work->steps, n);
		} else {
			memcpy(chunk, data, n);
			proa_steps_run(&work->steps, chunk, n);
		}
		if (!put(work, ahead > 0 ? data : chunk, n, error))
			return FALSE;
		data += n;
		size -= n;
	}
	return TRUE;
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return proa_fail(error, BAD, "the payload reads again what it has made");
}

static void progress(guint64 done, gpointer user_data)
{
	const Work *work = user_data;

	if (work->place->progress)
		work->place->progress(proa_uki_head_size(work->header) + done, work->place->user_data);
}

gboolean proa_uki_apply(ProaStream *in, const ProaUkiExpect *expect, const ProaUkiHeader *header,
	const ProaUkiPlace *place, GError **error)
{
	g_auto(Work) work = { .header = header, .place = place, .kernel_fd = -1 };
	g_autofree char *new_hash = proa_hex_encode(header->sha256, PROA_SHA256_SIZE);
	g_autofree char *old_hash = proa_hex_encode(header->root_hash, PROA_SHA256_SIZE);
	g_autofree char *head_sha256 = proa_hex_encode(header->delta_head_sha256, PROA_SHA256_SIZE);
	const ProaPayloadExpect delta = { .size = expect->size - expect->header_size,
		.header_sha256 = head_sha256,
		.header_size = header->delta_head_size,
		.image_size = proa_uki_unpacked_size(header),
		.root_hash = new_hash };
	const ProaDeltaTarget target = { .old_hash = old_hash,
		.read_old = read_old,
		.read_new = read_new,
		.sink = sink,
		.progress = progress,
		.no_modules = TRUE,
		.user_data = &work };

	for (guint i = 0; i < PROA_UKI_MAX_FRAMES; i++)
		work.repacks[i].in = -1;
	work.steps = proa_steps_begin(header->new_tables, header->n_new_tables, 0, TRUE);
	if (header->n_frames > 0 && header->zstd_version != proa_repack_zstd_version())
		return proa_fail(
			error, BAD, "the boot image's frames were packed by another zstd than is here");
	if (header->old_size > 0 && place->old_fd < 0)
		return proa_fail(error, PROA_REASON_NOT_FOUND, "the old boot image is not here");
	if ((header->kind == PROA_UKI_KERNEL && !unpack_kernel(&work, error)) ||
		!proa_delta_apply(in, &delta, &target, error))
		return FALSE;
	for (guint32 i = 0; i < header->n_frames; i++)
		if (work.repacks[i].pid > 0 &&
			!proa_repack_wait(&work.repacks[i], place->tick, place->user_data, error))
			return FALSE;
	return TRUE;
}

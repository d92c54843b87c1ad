/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY /* dictionaries that are plain content, and not copied */
#include "images/payload/blocks-maker.h"

#include "base/file.h"
#include "images/payload/ring.h"
#include "verity/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* Of the compressor: dictionary and frame lie within. */
#define WINDOW_LOG 23

typedef struct {
	const ProaBlocksMaker *maker;
	int image_fd, out_fd;
	ProaBlocksHeader *header;
	GByteArray *names;
	goffset offset; /* where the next frame goes */
} Making;

/* The frames of one step, which share a dictionary. */
typedef struct {
	guint32 first, n; /* frames */
	guint8 *data;     /* dictionary and step, one after the other */
	gsize dictionary_size, size;
	guint8 *packed;
	gsize packed_size;
	ZSTD_CCtx *zstd;
} Step;

static void step_clear(gpointer job)
{
	Step *step = job;

	g_free(step->data);
	g_free(step->packed);
	ZSTD_freeCCtx(step->zstd);
}

static guint32 frames_of_step(const ProaBlocksHeader *header)
{
	return header->step / header->frame_size;
}

static gboolean step_begin(gpointer job, guint32 index, gpointer user_data, GError **error)
{
	Making *making = user_data;
	const ProaBlocksHeader *header = making->header;
	Step *step = job;
	guint64 offset = 0, begin = (guint64)index * header->step;
	guint32 dictionary_size = 0;

	if (!step->data) {
		step->data = g_malloc((gsize)header->window + header->step);
		step->packed = g_malloc(frames_of_step(header) * ZSTD_compressBound(header->frame_size));
		step->zstd = ZSTD_createCCtx();
	}
	step->first = index * frames_of_step(header);
	step->n = MIN(frames_of_step(header), header->n_frames - step->first);
	proa_blocks_dictionary(header, step->first, &offset, &dictionary_size);
	step->dictionary_size = dictionary_size;
	step->size = (gsize)MIN((guint64)header->step, header->image_size - begin);
	return proa_pread_all(
		making->image_fd, step->data, step->dictionary_size + step->size, (goffset)offset, error);
}

static gboolean zstd_failed(gsize result, GError **error)
{
	return proa_fail(error, PROA_REASON_INTERNAL, "compressing a frame: %s", ZSTD_getErrorName(result));
}

static gboolean step_run(gpointer job, gpointer user_data, GError **error)
{
	const Making *making = user_data;
	Step *step = job;
	const guint8 *data = step->data + step->dictionary_size;
	gsize bound = ZSTD_compressBound(making->header->frame_size);

	ZSTD_CCtx_reset(step->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(step->zstd, ZSTD_c_compressionLevel, making->maker->base.level);
	ZSTD_CCtx_setParameter(step->zstd, ZSTD_c_windowLog, WINDOW_LOG);
	ZSTD_CCtx_setParameter(step->zstd, ZSTD_c_checksumFlag, 0);
	/* The dictionary's tables are looked into where they are: copying them for each frame takes longer
	 * than it. */
	ZSTD_CCtx_setParameter(step->zstd, ZSTD_c_forceAttachDict, ZSTD_dictForceAttach);
	gsize r = ZSTD_CCtx_loadDictionary_advanced(
		step->zstd, step->data, step->dictionary_size, ZSTD_dlm_byRef, ZSTD_dct_rawContent);
	if (ZSTD_isError(r))
		return zstd_failed(r, error);
	step->packed_size = 0;
	for (guint32 i = 0; i < step->n; i++) {
		guint32 length = proa_blocks_frame_length(making->header, step->first + i);
		guint8 *packed = step->packed + step->packed_size;
		ProaBlocksFrame *frame = &making->header->frames[step->first + i];
		r = ZSTD_compress2(
			step->zstd, packed, bound, data + (gsize)i * making->header->frame_size, length);
		if (ZSTD_isError(r))
			return zstd_failed(r, error);
		frame->packed_size = (guint32)r;
		proa_blocks_frame_digest(packed, r, frame->digest);
		step->packed_size += r;
	}
	return TRUE;
}

static gboolean step_end(gpointer job, guint32 index, gpointer user_data, GError **error)
{
	Making *making = user_data;
	const Step *step = job;
	const ProaMaker *base = &making->maker->base;

	if (!proa_pwrite_all(making->out_fd, step->packed, step->packed_size, making->offset, error))
		return FALSE;
	making->offset += (goffset)step->packed_size;
	if (base->progress)
		base->progress((guint64)index * making->header->step + step->size, making->header->image_size,
			base->user_data);
	return TRUE;
}

/* Names of the blocks and digests of the groups: what the hash tree says of the image. */
static gboolean hash_image(Making *making, GError **error)
{
	ProaBlocksHeader *header = making->header;
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(header->salt);
	g_autofree guint8 *data = g_malloc(PROA_BLOCKS_GROUP_SIZE);
	guint8 digests[PROA_BLOCKS_GROUP_BLOCKS * PROA_VERITY_DIGEST_SIZE], root[PROA_VERITY_DIGEST_SIZE];

	for (guint32 i = 0; i < proa_blocks_n_groups(header); i++) {
		guint64 offset = (guint64)i * PROA_BLOCKS_GROUP_SIZE;
		gsize size = (gsize)MIN((guint64)PROA_BLOCKS_GROUP_SIZE, header->image_size - offset);
		guint n = (guint)(size / PROA_BLOCKS_BLOCK_SIZE);
		if (!proa_pread_all(making->image_fd, data, size, (goffset)offset, error))
			return FALSE;
		proa_verity_hash_group(
			hash, data, n, digests, header->groups + (gsize)i * PROA_VERITY_DIGEST_SIZE);
		for (guint b = 0; b < n; b++)
			g_byte_array_append(making->names, digests + (gsize)b * PROA_VERITY_DIGEST_SIZE,
				PROA_BLOCKS_NAME_SIZE);
	}
	proa_verity_root_of_groups(hash, header->groups, proa_blocks_n_groups(header), root);
	if (memcmp(root, header->root_hash, sizeof root) != 0)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"the image has another root hash with this salt");
	return TRUE;
}

static gboolean write_payload(Making *making, GError **error)
{
	guint32 per_step = frames_of_step(making->header);
	const ProaRing ring = { .n_pieces = (making->header->n_frames - 1) / per_step + 1,
		.threads = making->maker->base.threads,
		.job_size = sizeof(Step),
		.begin = step_begin,
		.run = step_run,
		.end = step_end,
		.clear = step_clear,
		.user_data = making };

	making->offset = (goffset)proa_blocks_head_size(making->header);
	if (!hash_image(making, error) || !proa_ring_run(&ring, error))
		return FALSE;
	g_autoptr(GBytes) head = proa_blocks_header_serialize(making->header);
	gsize size = 0;
	const void *data = g_bytes_get_data(head, &size);
	if (!proa_pwrite_all(making->out_fd, data, size, 0, error) ||
		!proa_pwrite_all(
			making->out_fd, making->names->data, making->names->len, (goffset)size, error))
		return FALSE;
	if (fsync(making->out_fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing");
	return TRUE;
}

gboolean proa_blocks_make(const ProaBlocksMaker *maker, const char *image_path, const char *root_hash,
	const char *salt, const char *out_path, GError **error)
{
	guint8 hash[PROA_SHA256_SIZE], salt_bytes[PROA_SHA256_SIZE];
	g_autofree char *temporary = g_strconcat(out_path, ".tmp", NULL);
	struct stat st;

	if (!proa_hex_decode(root_hash, hash, sizeof hash) ||
		!proa_hex_decode(salt, salt_bytes, sizeof salt_bytes))
		return proa_fail(error, PROA_REASON_USAGE, "root hash and salt are 64 hexadecimal digits");
	PROA_AUTO_FD int image_fd = open(image_path, O_RDONLY | O_CLOEXEC);
	if (image_fd < 0 || fstat(image_fd, &st) < 0)
		return proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", image_path);
	if (maker->base.level < 1 || maker->base.level > ZSTD_maxCLevel() ||
		!proa_blocks_sizes_allowed(
			(guint64)st.st_size, maker->base.frame_size, maker->window, maker->step))
		return proa_fail(error, PROA_REASON_USAGE,
			"%s: no blocks payload of that level and those sizes can be made of %" G_GUINT64_FORMAT
			" bytes",
			image_path, (guint64)st.st_size);
	PROA_AUTO_FD int out_fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out_fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);

	g_autoptr(ProaBlocksHeader) header = proa_blocks_header_new(
		(guint64)st.st_size, maker->base.frame_size, maker->window, maker->step);
	g_autoptr(GByteArray) names = g_byte_array_new();
	memcpy(header->root_hash, hash, sizeof hash);
	memcpy(header->salt, salt_bytes, sizeof salt_bytes);
	Making making = {
		.maker = maker, .image_fd = image_fd, .out_fd = out_fd, .header = header, .names = names
	};
	gboolean ok = write_payload(&making, error);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	if (!ok) {
		unlink(temporary);
		g_prefix_error(error, "making %s: ", out_path);
	}
	return ok;
}

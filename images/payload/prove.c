/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/prove.h"

#include "base/file.h"
#include "updater/payload/uki-format.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#define LIBRARY "libzstd.so.1"
#define MAX_LIBRARY ((guint64)16 * 1024 * 1024)
/* zstd is not asked to remember more than it does for the highest level. */
#define MAX_WINDOW_LOG 27

GBytes *proa_prove_unpack(const guint8 *packed, gsize size)
{
	gsize found = ZSTD_findFrameCompressedSize(packed, size), left = 1,
	      chunk_size = ZSTD_DStreamOutSize();
	g_autofree guint8 *chunk = g_malloc(chunk_size);
	g_autoptr(GByteArray) data = g_byte_array_new();
	ZSTD_inBuffer in = { packed, size, 0 };

	if (ZSTD_isError(found) || found != size)
		return NULL;
	ZSTD_DCtx *context = ZSTD_createDCtx();
	gboolean ok = !ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, MAX_WINDOW_LOG));
	while (ok && left > 0) {
		ZSTD_outBuffer out = { chunk, chunk_size, 0 };
		gsize before = in.pos;
		left = ZSTD_decompressStream(context, &out, &in);
		ok = !ZSTD_isError(left) && (out.pos > 0 || in.pos > before) &&
		     data->len + out.pos <= PROA_REPACK_MAX_SIZE;
		if (ok)
			g_byte_array_append(data, chunk, (guint)out.pos);
	}
	ZSTD_freeDCtx(context);
	return ok && data->len >= size ? g_byte_array_free_to_bytes(g_steal_pointer(&data)) : NULL;
}

static const ProaErofsFile *find_library(const GPtrArray *files)
{
	for (guint i = 0; i < files->len; i++) {
		const ProaErofsFile *file = files->pdata[i];
		g_autofree char *name = g_path_get_basename(file->path);
		if (g_str_has_prefix(name, LIBRARY) && g_str_has_prefix(file->path, "usr/lib/") &&
			file->size <= MAX_LIBRARY)
			return file;
	}
	return NULL;
}

void proa_prove_library_free(char *dir)
{
	if (!dir)
		return;
	g_autofree char *path = g_build_filename(dir, LIBRARY, NULL);
	unlink(path);
	rmdir(dir);
	g_free(dir);
}

char *proa_prove_library(const guint8 *root, const GPtrArray *files, GError **error)
{
	const ProaErofsFile *file = find_library(files);
	g_autoptr(GError) inner = NULL;

	if (!file) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "the root image has no %s", LIBRARY);
		return NULL;
	}
	char *dir = g_dir_make_tmp("proa-zstd-XXXXXX", &inner);
	if (!dir) {
		proa_fail(error, PROA_REASON_IO, "%s", inner->message);
		return NULL;
	}
	g_autofree char *path = g_build_filename(dir, LIBRARY, NULL);
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0)
		proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", path);
	else if (proa_write_all(fd, root + file->blocks_at, file->blocks, error) &&
		 proa_write_all(fd, root + file->tail_at, file->tail, error))
		return dir;
	proa_prove_library_free(dir);
	return NULL;
}

static gboolean same_bytes(int fd, const guint8 *data, gsize size)
{
	void *made = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (made == MAP_FAILED)
		return FALSE;
	gboolean same = memcmp(made, data, size) == 0;
	munmap(made, size);
	return same;
}

/* Writes what is to be packed to a process that may be gone by then, of which SIGPIPE would tell. */
static gboolean feed(int fd, const guint8 *data, gsize size)
{
	sigset_t broken, pending, before;

	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &broken, &before);
	gboolean ok = proa_write_all(fd, data, size, NULL);
	if (!sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&broken, NULL, &(const struct timespec){ 0 }) > 0)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

/* One try. What is not packed to the same size ends with an error of its own, which proves nothing else. */
static gboolean try(
	const char *program, const char *library_dir, ProaProof *proof, gboolean *ret_same, GError **error)
{
	g_auto(ProaRepack) repack = { .in = -1 };
	PROA_AUTO_FD int fd = memfd_create("proa-proof", MFD_CLOEXEC);
	ProaRepackFrame frame = proof->frame;

	frame.offset = 0;
	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making room for a frame");
	if (!proa_repack_pack(program, library_dir, &frame, TRUE, fd, &repack, error))
		return FALSE;
	gboolean ok = feed(repack.in, proof->data, frame.size);
	ok = proa_repack_wait(&repack, NULL, NULL, NULL) && ok;
	*ret_same = ok && same_bytes(fd, proof->packed, frame.packed_size);
	proof->max_rss = repack.max_rss;
	return TRUE;
}

/* The window that zstd takes at a level for data of @size bytes (0: not known). */
static guint window_of(guint level, guint64 size)
{
	return ZSTD_getCParams((int)level, size, 0).windowLog;
}

gboolean proa_prove(const char *program, const char *library_dir, ProaProof *proof, guint max_level,
	gboolean *ret_same, GError **error)
{
	ProaRepackParams told;
	guint64 size = 0;
	guint window = 0;

	*ret_same = FALSE;
	if (!proa_repack_look(proof->packed, proof->frame.packed_size, &size, &window, &told))
		return TRUE;
	for (guint level = max_level; level >= 1; level--) {
		if (window > 0 && window_of(level, size) != window)
			continue;
		/* The program zstd packs with workers since 1.5.7, and did not before; they cost memory. */
		for (guint plain = max_level <= PROA_UKI_LIGHT_LEVEL; plain < 2; plain++) {
			proof->frame.params = told;
			proof->frame.params.level = (guint8)level;
			proof->frame.params.workers = !plain;
			if (!try(program, library_dir, proof, ret_same, error))
				return FALSE;
			if (*ret_same)
				return TRUE;
		}
	}
	return TRUE;
}

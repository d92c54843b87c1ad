/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/repack.h"

#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#define BAD PROA_REASON_BAD_PAYLOAD
/* A kernel is packed with a window of 128 MiB. */
#define MAX_WINDOW_LOG 27
#define MIN_WINDOW_LOG 10
/* How often who waits is asked; milliseconds. */
#define TICK 1000

guint32 proa_repack_zstd_version(void)
{
	return ZSTD_versionNumber();
}

gboolean proa_repack_look(const guint8 *data, gsize size, guint64 *ret_size, guint *ret_window_log,
	ProaRepackParams *ret_params)
{
	static const guint8 magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

	/* RFC 8878, 3.1.1.1: magic, descriptor, window descriptor unless "single segment" (bit 5). */
	if (size < 6 || memcmp(data, magic, sizeof magic) != 0)
		return FALSE;
	unsigned long long content = ZSTD_getFrameContentSize(data, size);
	if (content == ZSTD_CONTENTSIZE_ERROR)
		return FALSE;
	*ret_params = (ProaRepackParams){ .checksum = (data[4] & 4) != 0,
		.sized = content != ZSTD_CONTENTSIZE_UNKNOWN };
	*ret_size = ret_params->sized ? content : 0;
	*ret_window_log = data[4] & 0x20 ? 0 : MIN_WINDOW_LOG + (data[5] >> 3);
	return TRUE;
}

/* Where a frame is written to; never more of it than was said. */
typedef struct {
	int fd;
	guint64 at, left;
} Out;

static gboolean put(Out *out, const void *data, gsize size, GError **error)
{
	if (size > out->left)
		return proa_fail(error, BAD, "there is more than was said");
	if (!proa_pwrite_all(out->fd, data, size, (goffset)out->at, error))
		return FALSE;
	out->at += size;
	out->left -= size;
	return TRUE;
}

static gboolean failed(GError **error, gsize code)
{
	return proa_fail(error, BAD, "zstd: %s", ZSTD_getErrorName(code));
}

struct ProaPacker {
	ZSTD_CCtx *context;
	guint8 *chunk, *packed; /* what is gathered, and what comes of it */
	gsize chunk_size, packed_size, have;
	guint64 left; /* bytes that are still to come */
	Out out;
};

void proa_packer_free(ProaPacker *packer)
{
	if (!packer)
		return;
	ZSTD_freeCCtx(packer->context);
	g_free(packer->chunk);
	g_free(packer->packed);
	g_free(packer);
}

static gboolean set(ZSTD_CCtx *context, ZSTD_cParameter parameter, int value, GError **error)
{
	gsize code = ZSTD_CCtx_setParameter(context, parameter, value);

	return !ZSTD_isError(code) || failed(error, code);
}

ProaPacker *proa_packer_new(const ProaRepackFrame *frame, int out_fd, GError **error)
{
	g_autoptr(ProaPacker) packer = g_new0(ProaPacker, 1);
	const ProaRepackParams *params = &frame->params;

	packer->context = ZSTD_createCCtx();
	packer->chunk_size = ZSTD_CStreamInSize();
	packer->packed_size = ZSTD_CStreamOutSize();
	packer->chunk = g_malloc(packer->chunk_size);
	packer->packed = g_malloc(packer->packed_size);
	packer->left = frame->size;
	packer->out = (Out){ out_fd, frame->offset, frame->packed_size };
	if (!set(packer->context, ZSTD_c_compressionLevel, params->level, error) ||
		!set(packer->context, ZSTD_c_checksumFlag, params->checksum, error) ||
		!set(packer->context, ZSTD_c_nbWorkers, params->workers, error))
		return NULL;
	if (params->sized && ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(packer->context, frame->size))) {
		proa_fail(error, BAD, "zstd takes no size");
		return NULL;
	}
	return g_steal_pointer(&packer);
}

/* Packs what was gathered; the frame ends with it if nothing is to come. */
static gboolean pack_chunk(ProaPacker *packer, GError **error)
{
	ZSTD_inBuffer in = { packer->chunk, packer->have, 0 };
	gboolean last = packer->left == 0;
	gsize left;

	do {
		ZSTD_outBuffer packed = { packer->packed, packer->packed_size, 0 };
		left = ZSTD_compressStream2(
			packer->context, &packed, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return failed(error, left);
		if (!put(&packer->out, packer->packed, packed.pos, error))
			return FALSE;
	} while (last ? left > 0 : in.pos < in.size);
	packer->have = 0;
	if (last && packer->out.left > 0)
		return proa_fail(error, BAD, "the frame is shorter than was said");
	return TRUE;
}

gboolean proa_packer_take(ProaPacker *packer, const guint8 *data, gsize size, GError **error)
{
	if (size > packer->left)
		return proa_fail(error, BAD, "there is more to pack than was said");
	/* As the program zstd does: a chunk at a time, and the last one ends the frame. */
	while (size > 0) {
		gsize n = MIN(size, packer->chunk_size - packer->have);
		memcpy(packer->chunk + packer->have, data, n);
		packer->have += n;
		packer->left -= n;
		data += n;
		size -= n;
		if ((packer->have == packer->chunk_size || packer->left == 0) && !pack_chunk(packer, error))
			return FALSE;
	}
	return TRUE;
}

/* --- in the process ---------------------------------------------------------------------------------------
 */

typedef struct {
	gint64 offset, packed_size, size;
	gint level, workers, checksum, sized;
	char *verb;
} Options;

/* As much as there is of @size bytes of standard input. */
static gssize get(guint8 *data, gsize size, GError **error)
{
	gsize have = 0;

	while (have < size) {
		gssize n = read(STDIN_FILENO, data + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			proa_fail_errno(error, PROA_REASON_IO, errno, "reading what is to be packed");
			return -1;
		}
		if (n == 0)
			break;
		have += (gsize)n;
	}
	return (gssize)have;
}

/* Everything is taken in before packing begins: who writes need not wait. */
static gboolean pack(const Options *options, GError **error)
{
	const ProaRepackFrame frame = {
		(guint64)options->offset, (guint64)options->packed_size, (guint64)options->size,
		{ (guint8)options->level, options->workers != 0, options->checksum != 0, options->sized != 0 }
	};
	g_autofree guint8 *data = g_malloc((gsize)frame.size);
	g_autoptr(ProaPacker) packer = proa_packer_new(&frame, STDOUT_FILENO, error);
	gssize n = packer ? get(data, (gsize)frame.size, error) : -1;

	if (n < 0)
		return FALSE;
	if ((guint64)n < frame.size)
		return proa_fail(error, BAD, "there is less than was said");
	return proa_packer_take(packer, data, (gsize)n, error);
}

static gboolean unpack(const Options *options, GError **error)
{
	gsize in_size = ZSTD_DStreamInSize(), out_size = ZSTD_DStreamOutSize(), left = 1;
	g_autofree guint8 *packed = g_malloc(in_size), *chunk = g_malloc(out_size);
	ZSTD_DCtx *context = ZSTD_createDCtx();
	guint64 size = (guint64)options->packed_size;
	Out out = { STDOUT_FILENO, 0, (guint64)options->size };
	gboolean ok = !ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, MAX_WINDOW_LOG));

	for (guint64 at = 0; ok && at < size;) {
		gsize n = (gsize)MIN(in_size, size - at);
		ok = proa_pread_all(STDIN_FILENO, packed, n, (goffset)((guint64)options->offset + at), error);
		ZSTD_inBuffer in = { packed, n, 0 };
		while (ok && (in.pos < in.size || (at + n == size && left > 0))) {
			ZSTD_outBuffer bytes = { chunk, out_size, 0 };
			gsize before = in.pos;
			left = ZSTD_decompressStream(context, &bytes, &in);
			ok = !ZSTD_isError(left) ? put(&out, chunk, bytes.pos, error) : failed(error, left);
			if (ok && in.pos == before && bytes.pos == 0)
				ok = proa_fail(error, BAD, "the frame ends early");
			/* What follows a frame is none of it. */
			if (ok && left == 0 && (in.pos < in.size || at + n < size))
				ok = proa_fail(error, BAD, "the frame ends before its bytes do");
		}
		at += n;
	}
	ZSTD_freeDCtx(context);
	return ok && ((left == 0 && out.left == 0) ||
			     proa_fail(error, BAD, "the frame has less in it than was said"));
}

/* Which file the loader took libzstd from; LD_LIBRARY_PATH is a wish, no more. */
static gboolean library_is_from(const char *dir)
{
	g_autofree char *maps = NULL;
	g_autofree char *wanted = g_strdup_printf("%s/libzstd.so.1\n", dir);

	return g_file_get_contents("/proc/self/maps", &maps, NULL, NULL) && strstr(maps, wanted) != NULL;
}

static gboolean tell_version(GError **error)
{
	g_autofree char *text = g_strdup_printf("%u\n", proa_repack_zstd_version());

	return proa_write_all(STDOUT_FILENO, text, strlen(text), error);
}

static gboolean run(const Options *options, const char *library_dir, GError **error)
{
	gboolean version = g_strcmp0(options->verb, "version") == 0;

	if (library_dir && !library_is_from(library_dir))
		return proa_fail(error, PROA_REASON_NOT_FOUND, "repack: another libzstd.so.1 than %s/ has",
			library_dir);
	if (version)
		return tell_version(error);
	if (options->size < 1 || options->size > PROA_REPACK_MAX_SIZE || options->packed_size < 1 ||
		options->packed_size > PROA_REPACK_MAX_SIZE || options->offset < 0 ||
		options->offset > G_MAXINT64 / 2 || options->level < 0 || options->level > 22)
		return proa_fail(error, PROA_REASON_USAGE, "repack: a number is out of range");
	return g_strcmp0(options->verb, "pack") == 0 ? pack(options, error) : unpack(options, error);
}

gboolean proa_repack_main(int argc, char **argv, int *ret_status)
{
	g_autoptr(GError) error = NULL;
	Options options = { 0 };
	g_autofree char *library_dir = NULL;
	const GOptionEntry entries[] = {
		{ "offset", 0, 0, G_OPTION_ARG_INT64, &options.offset, NULL, NULL },
		{ "packed-size", 0, 0, G_OPTION_ARG_INT64, &options.packed_size, NULL, NULL },
		{ "size", 0, 0, G_OPTION_ARG_INT64, &options.size, NULL, NULL },
		{ "level", 0, 0, G_OPTION_ARG_INT, &options.level, NULL, NULL },
		{ "workers", 0, 0, G_OPTION_ARG_INT, &options.workers, NULL, NULL },
		{ "checksum", 0, 0, G_OPTION_ARG_INT, &options.checksum, NULL, NULL },
		{ "sized", 0, 0, G_OPTION_ARG_INT, &options.sized, NULL, NULL },
		{ "library", 0, 0, G_OPTION_ARG_FILENAME, &library_dir, NULL, NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};

	if (argc < 3 || strcmp(argv[1], PROA_REPACK_VERB) != 0)
		return FALSE;
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_option_context_add_main_entries(context, entries, NULL);
	options.verb = argv[2];
	argc -= 2;
	argv += 2;
	*ret_status = PROA_EXIT_OK;
	if (!g_option_context_parse(context, &argc, &argv, &error) || !run(&options, library_dir, &error)) {
		fprintf(stderr, "%s\n", error->message);
		*ret_status = PROA_EXIT_FAILED;
	}
	return TRUE;
}

/* --- who asks for it --------------------------------------------------------------------------------------
 */

static void add(GPtrArray *arguments, const char *name, guint64 value)
{
	g_ptr_array_add(arguments, g_strdup_printf("--%s=%" G_GUINT64_FORMAT, name, value));
}

static GPtrArray *arguments_of(const char *program, const char *verb)
{
	GPtrArray *arguments = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(arguments, g_strdup(program));
	g_ptr_array_add(arguments, g_strdup(PROA_REPACK_VERB));
	g_ptr_array_add(arguments, g_strdup(verb));
	return arguments;
}

/* The program is to run with the libzstd of that directory, and to say so if it does not. */
static char **with_library(GPtrArray *arguments, char **environment, const char *library_dir)
{
	g_ptr_array_add(arguments, g_strdup_printf("--library=%s", library_dir));
	return g_environ_setenv(environment, "LD_LIBRARY_PATH", library_dir, TRUE);
}

static GPtrArray *arguments_new(const char *program, const char *verb, const ProaRepackFrame *frame)
{
	GPtrArray *arguments = arguments_of(program, verb);

	add(arguments, "offset", frame->offset);
	add(arguments, "packed-size", frame->packed_size);
	add(arguments, "size", frame->size);
	return arguments;
}

/* In the child, between fork and exec: a kernel is packed for nobody once who asked for it is gone. */
static void die_with_parent(gpointer data)
{
	const pid_t *parent = data;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != *parent)
		_exit(PROA_EXIT_FAILED);
}

static gboolean spawn(GPtrArray *arguments, char **environment, GSpawnFlags flags, int in_fd, int out_fd,
	ProaRepack *ret, GError **error)
{
	g_autoptr(GError) inner = NULL;
	pid_t self = getpid();
	GPid pid = 0;

	g_ptr_array_add(arguments, NULL);
	if (!g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)arguments->pdata,
		    (const char *const *)environment, flags | G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent,
		    &self, in_fd, out_fd, -1, NULL, NULL, 0, &pid, in_fd < 0 ? &ret->in : NULL, NULL, NULL,
		    &inner))
		return proa_fail(error, PROA_REASON_IO, "starting to repack: %s", inner->message);
	ret->pid = pid;
	return TRUE;
}

gboolean proa_repack_pack(const char *program, const char *library_dir, const ProaRepackFrame *frame,
	gboolean quiet, int out_fd, ProaRepack *ret, GError **error)
{
	g_autoptr(GPtrArray) arguments = arguments_new(program, "pack", frame);
	g_auto(GStrv) environment = g_get_environ();

	add(arguments, "level", frame->params.level);
	add(arguments, "workers", frame->params.workers ? 1 : 0);
	add(arguments, "checksum", frame->params.checksum ? 1 : 0);
	add(arguments, "sized", frame->params.sized ? 1 : 0);
	if (library_dir)
		environment = with_library(arguments, environment, library_dir);
	*ret = (ProaRepack){ .in = -1 };
	return spawn(arguments, environment, quiet ? G_SPAWN_STDERR_TO_DEV_NULL : G_SPAWN_DEFAULT, -1, out_fd,
		ret, error);
}

gboolean proa_repack_unpack(const char *program, const ProaRepackFrame *frame, int in_fd, int out_fd,
	ProaRepack *ret, GError **error)
{
	g_autoptr(GPtrArray) arguments = arguments_new(program, "unpack", frame);
	g_auto(GStrv) environment = g_get_environ();

	*ret = (ProaRepack){ .in = -1 };
	return spawn(arguments, environment, G_SPAWN_DEFAULT, in_fd, out_fd, ret, error);
}

/* Until it has ended. */
static gboolean wait_ended(const ProaRepack *repack, ProaRepackTick tick, gpointer user_data, GError **error)
{
	PROA_AUTO_FD int fd = (int)syscall(SYS_pidfd_open, repack->pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	int n = fd < 0 ? 1 : 0;

	while (n == 0 || (n < 0 && errno == EINTR)) {
		n = poll(&ended, 1, TICK);
		if (n == 0 && !tick(user_data, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_repack_wait(ProaRepack *repack, ProaRepackTick tick, gpointer user_data, GError **error)
{
	struct rusage usage = { 0 };
	int status = 0;

	proa_close_fd(&repack->in);
	if (tick && !wait_ended(repack, tick, user_data, error))
		return FALSE;
	while (wait4(repack->pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "waiting for a repack");
	repack->pid = 0;
	repack->max_rss = (guint64)usage.ru_maxrss * 1024;
	repack->cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
		      (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
	if (WIFSIGNALED(status))
		return proa_fail(error, BAD, "the repack process was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status) == PROA_EXIT_OK ? TRUE : proa_fail(error, BAD, "it could not be repacked");
}

gboolean proa_repack_library_version(
	const char *program, const char *library_dir, guint32 *ret_version, GError **error)
{
	g_auto(ProaRepack) repack = { .in = -1 };
	g_autoptr(GPtrArray) arguments = arguments_of(program, "version");
	g_auto(GStrv) environment = with_library(arguments, g_get_environ(), library_dir);
	PROA_AUTO_FD int fd = memfd_create("proa-version", MFD_CLOEXEC);
	char text[16] = { 0 };
	guint64 version = 0;

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making room for a version");
	if (!spawn(arguments, environment, G_SPAWN_DEFAULT, -1, fd, &repack, error) ||
		!proa_repack_wait(&repack, NULL, NULL, error))
		return FALSE;
	if (pread(fd, text, sizeof text - 1, 0) < 1 ||
		!g_ascii_string_to_unsigned(g_strchomp(text), 10, 1, G_MAXUINT32, &version, NULL))
		return proa_fail(error, BAD, "%s/libzstd.so.1 tells no version", library_dir);
	*ret_version = (guint32)version;
	return TRUE;
}

void proa_repack_clear(ProaRepack *repack)
{
	proa_close_fd(&repack->in);
	if (repack->pid > 0) {
		kill(repack->pid, SIGKILL);
		while (waitpid(repack->pid, NULL, 0) < 0 && errno == EINTR)
			;
		repack->pid = 0;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repack: one zstd frame unpacked, or packed once more to the very bytes that it had, in a process of its
 * own: a kernel takes 800 MB and 20 CPU seconds, which must not become part of whoever asks for it.
 *
 * The process is the calling program itself, run as "PROGRAM repack ...": a program that uses this calls
 * proa_repack_main() first thing in main().
 */
#pragma once

#include "base/reason.h"

#include <sys/types.h>

/* The argument that makes a program this one. */
#define PROA_REPACK_VERB "repack"
/* Program of the running process, for @program below. */
#define PROA_REPACK_SELF "/proc/self/exe"

/* What is unpacked or packed is no larger. Bytes. */
#define PROA_REPACK_MAX_SIZE (256u * 1024 * 1024)

/* How a frame was packed, as far as it decides about its bytes. */
typedef struct {
	guint8 level;      /* zstd level, 1 to 22 */
	gboolean workers;  /* by zstd's workers, as the program does by default since 1.5.7 */
	gboolean checksum; /* a checksum follows the frame */
	gboolean sized;    /* its size was known when it began */
} ProaRepackParams;

typedef struct {
	guint64 offset;      /* where the frame lies in a file, or goes to; bytes */
	guint64 packed_size; /* bytes of the frame */
	guint64 size;        /* bytes in it, at least 1 */
	ProaRepackParams params;
} ProaRepackFrame;

/* The number of the libzstd that is linked at run time, such as 10507 for 1.5.7. */
guint32 proa_repack_zstd_version(void);

/*
 * Looks at the @size bytes of a frame at @data: *@ret_size (its content if it says so, 0 if not),
 * *@ret_window_log and what of @ret_params the frame itself tells. FALSE if no zstd frame begins there.
 */
gboolean proa_repack_look(const guint8 *data, gsize size, guint64 *ret_size, guint *ret_window_log,
	ProaRepackParams *ret_params);

/* Packs in this process, for what takes a few MiB. */
typedef struct ProaPacker ProaPacker;

/* Begins a frame, which goes to @out_fd at @frame->offset. */
ProaPacker *proa_packer_new(
	const ProaRepackFrame *frame, int out_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_packer_free(ProaPacker *packer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaPacker, proa_packer_free)

/*
 * Takes the next bytes; with the last of @frame->size the frame ends. BAD_PAYLOAD if it comes out larger or
 * smaller than @frame->packed_size.
 */
gboolean proa_packer_take(
	ProaPacker *packer, const guint8 *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A process under way. It is killed when the thread that started it ends. */
typedef struct {
	pid_t pid;       /* 0: none */
	int in;          /* packing: takes what is to be packed; otherwise -1 */
	guint64 max_rss; /* after proa_repack_wait(): bytes that it had resident at most */
	double cpu;      /* CPU seconds that it took */
} ProaRepack;

/*
 * Starts to pack what is written to *@ret->in, @frame->size bytes, and to write the frame to @out_fd at
 * @frame->offset. @program: PROA_REPACK_SELF, or a program that calls proa_repack_main(). @library_dir (NULL:
 * the system's): a directory whose libzstd.so.1 is used instead; it fails if that is not the one loaded.
 * Everything is taken in before packing begins, so that who writes need not wait. IO if it cannot be
 * started. What it says of a failure goes where standard error does, unless @quiet.
 */
gboolean proa_repack_pack(const char *program, const char *library_dir, const ProaRepackFrame *frame,
	gboolean quiet, int out_fd, ProaRepack *ret, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Starts to unpack the frame in @in_fd to the beginning of @out_fd. */
gboolean proa_repack_unpack(const char *program, const ProaRepackFrame *frame, int in_fd, int out_fd,
	ProaRepack *ret, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * *@ret_version: the number of the libzstd.so.1 in @library_dir, as proa_repack_zstd_version() tells it of a
 * program that runs with it. BAD_PAYLOAD if it does not load or tell one.
 */
gboolean proa_repack_library_version(const char *program, const char *library_dir, guint32 *ret_version,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Asked once a second; FALSE, with an error, ends the process and the waiting. */
typedef gboolean (*ProaRepackTick)(gpointer user_data, GError **error);

/*
 * Closes ->in and waits for the end; @tick may be NULL. BAD_PAYLOAD if the frame is malformed or of another
 * size than said, or what was packed is.
 */
gboolean proa_repack_wait(ProaRepack *repack, ProaRepackTick tick, gpointer user_data,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Kills the process if there is one. */
void proa_repack_clear(ProaRepack *repack);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaRepack, proa_repack_clear)

/*
 * Whether the arguments of a program ask for a repack process. If so it does it all; *@ret_status is what
 * main() returns.
 */
gboolean proa_repack_main(int argc, char **argv, int *ret_status);

/* SPDX-License-Identifier: Apache-2.0 */
/* file: bounded reads, durable replacement and whole writes; the one place where durability is written out.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Closes *@fd if it is not negative; for g_auto() style cleanup: PROA_AUTO_FD int fd = -1. */
void proa_close_fd(int *fd);
#define PROA_AUTO_FD __attribute__((cleanup(proa_close_fd)))

/* Gives the descriptor away: returns it and leaves -1 behind. */
int proa_steal_fd(int *fd);

/*
 * Reads the whole of @path, at most @max bytes.
 * Returns the contents (a terminating NUL follows them and is not counted in *@ret_size), to be freed with
 * g_free(); NULL with NOT_FOUND, PERMISSION, IO, or TOO_LARGE when there is more than @max. @ret_size may be
 * NULL.
 */
char *proa_file_read(const char *path, gsize max, gsize *ret_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* As proa_file_read(), of @name below the directory descriptor @dir_fd (AT_FDCWD allowed). */
char *proa_file_read_at(
	int dir_fd, const char *name, gsize max, gsize *ret_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Replaces @path durably: after success the new content is on disk under its name; after a failure or a power
 * cut the old content is whole. Writes "@path.tmp", fsyncs it, renames it, fsyncs the directory. @mode as in
 * open(2).
 */
gboolean proa_file_replace(const char *path, const void *data, gsize size, mode_t mode,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Appends one line to @path (made with mode 0644 if missing) and fsyncs it. @line has no newline. When the
 * file would grow over @max bytes, the older half of its lines is dropped first, durably.
 */
gboolean proa_file_append_line(
	const char *path, const char *line, gsize max, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes @path durably; one that is not there is no error. */
gboolean proa_file_remove(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Bytes that what is kept only to save time leaves free on its file system: others live there, too. */
#define PROA_FILE_RESERVE ((guint64)64 * 1024 * 1024)

/*
 * Whether @size bytes more, written to the file system of @fd, leave PROA_FILE_RESERVE of it to those who are
 * not root. TRUE where that can't be told, as in memory.
 */
gboolean proa_file_has_room(int fd, guint64 size);

/* Makes @path and its parents with mode 0755. */
gboolean proa_file_make_dirs(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes or reads exactly @size bytes, over short transfers and EINTR. A read that meets the end early is IO.
 */
gboolean proa_write_all(int fd, const void *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_pwrite_all(
	int fd, const void *data, gsize size, goffset offset, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_pread_all(
	int fd, void *data, gsize size, goffset offset, GError **error) G_GNUC_WARN_UNUSED_RESULT;

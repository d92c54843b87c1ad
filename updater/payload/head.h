/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head: the head of a payload that lies in a file: all before its first frame. Each format reads a fixed
 * part, then what that says of the rest; here is what they have in common: bounds, digest, and the file's
 * size.
 */
#pragma once

#include "base/digest.h"
#include "base/reason.h"

typedef struct {
	int fd;
	guint64 size;   /* of the file, bytes */
	guint64 at;     /* bytes taken so far */
	GChecksum *sum; /* of them */
} ProaHead;

/*
 * Opens @path and takes its first @size bytes into @fixed. PAYLOAD_TRUNCATED if it is shorter, NOT_FOUND, IO.
 * proa_head_clear() closes it, whether or not this succeeded.
 */
gboolean proa_head_open(ProaHead *ret_head, const char *path, guint8 *fixed, gsize size,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_head_clear(ProaHead *head);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaHead, proa_head_clear)

/*
 * The next @size bytes (0 is allowed), to be freed with g_free(). NULL with PAYLOAD_TRUNCATED if the file
 * ends before, without asking for that memory; IO.
 */
guint8 *proa_head_take(ProaHead *head, guint64 size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * After all of the head: checks that the file has @total bytes (0: the head does not say), or fails with
 * PAYLOAD_TRUNCATED (fewer) or BAD_PAYLOAD (more). @ret_sha256 (may be NULL): the digest of what was taken,
 * 64 hexadecimal digits; free with g_free().
 */
gboolean proa_head_end(
	ProaHead *head, guint64 total, char **ret_sha256, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The SHA-256 of @size bytes, by libcrypto: a frame has millions of them, and GLib's takes six times as long.
 */
void proa_head_digest(const guint8 *data, gsize size, guint8 ret_digest[PROA_SHA256_SIZE]);

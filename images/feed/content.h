/* SPDX-License-Identifier: Apache-2.0 */
/* content: files of a feed that are named by their digest, written whole or not at all. */
#pragma once

#include "base/reason.h"

typedef struct {
	gint64 size;  /* bytes */
	char *sha256; /* 64 hexadecimal digits */
} ProaContent;

void proa_content_clear(ProaContent *content);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaContent, proa_content_clear)

/* The size and digest of a file, read in bounded memory. */
gboolean proa_content_of_file(
	const char *path, ProaContent *ret_content, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads @path into @checksum, and writes it to the descriptor @out unless that is negative; in bounded
 * memory. More than @max bytes are TOO_LARGE.
 */
gboolean proa_content_pump_file(const char *path, guint64 max, int out, GChecksum *checksum,
	guint64 *ret_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Copies @from to @dir/<sha256>@suffix durably, which must come out as @content: METADATA_MISMATCH if the
 * file changed under our hands. A file that is there already under that name, with that size, is left alone.
 */
gboolean proa_content_put(const char *from, const ProaContent *content, const char *dir, const char *suffix,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/* digest: SHA-256 in hexadecimal, and hexadecimal itself. GLib's GChecksum does the work. */
#pragma once

#include <glib.h>

#define PROA_SHA256_SIZE 32
#define PROA_SHA256_HEX_LENGTH 64

/* Whether @text is exactly @length lower-case hexadecimal digits. */
gboolean proa_hex_valid(const char *text, gsize length);

/* Whether @text is a SHA-256 digest in lower-case hexadecimal (64 digits). */
gboolean proa_sha256_hex_valid(const char *text);

/* @size bytes as lower-case hexadecimal; free with g_free(). */
char *proa_hex_encode(const guint8 *data, gsize size);

/* Decodes exactly 2 * @size hexadecimal digits (either case) into @out; FALSE, @out untouched, on anything
 * else. */
gboolean proa_hex_decode(const char *text, guint8 *out, gsize size);

/* The SHA-256 of @size bytes as lower-case hexadecimal; free with g_free(). */
char *proa_sha256_hex(const void *data, gsize size);

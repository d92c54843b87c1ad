/* SPDX-License-Identifier: Apache-2.0 */
/* ranges: a list of parts of a file as text, "OFFSET LENGTH" a line: how proa-fetch is told more than one. */
#pragma once

#include "updater/fetch/stream.h"

/* A list over this is refused. Bytes of text. */
#define PROA_RANGES_MAX_SIZE (8 * 1024 * 1024)

/* The list as text; free with g_free(). */
char *proa_ranges_format(const ProaByteRange *ranges, guint n);

/*
 * Parses a list: an array of ProaByteRange, never empty. NULL with USAGE if a line is not two decimal
 * numbers, a length is 0, a range ends past 2^63, or there is none.
 */
GArray *proa_ranges_parse(const char *text, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads a list from @fd to its end, and parses it; IO, and TOO_LARGE over PROA_RANGES_MAX_SIZE. */
GArray *proa_ranges_read(int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

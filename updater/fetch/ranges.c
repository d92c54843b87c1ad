/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/ranges.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

char *proa_ranges_format(const ProaByteRange *ranges, guint n)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < n; i++)
		g_string_append_printf(text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n",
			ranges[i].offset, ranges[i].length);
	return g_string_free(text, FALSE);
}

/* A decimal number up to 2^63 - 1 that ends at @end; moves *@at past it and @end. */
static gboolean take_number(const char **at, const char *stop, char end, guint64 *ret_value)
{
	const char *p = *at;
	guint64 value = 0;

	if (p == stop || !g_ascii_isdigit(*p))
		return FALSE;
	for (; p < stop && g_ascii_isdigit(*p); p++) {
		if (value > ((guint64)G_MAXINT64 - 9) / 10)
			return FALSE;
		value = value * 10 + (guint64)(*p - '0');
	}
	if (p == stop || *p != end)
		return FALSE;
	*at = p + 1;
	*ret_value = value;
	return TRUE;
}

GArray *proa_ranges_parse(const char *text, gsize size, GError **error)
{
	g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ProaByteRange));
	const char *at = text, *stop = text + size;

	while (at < stop) {
		ProaByteRange range = { 0 };
		if (!take_number(&at, stop, ' ', &range.offset) ||
			!take_number(&at, stop, '\n', &range.length) || range.length == 0 ||
			range.length > (guint64)G_MAXINT64 - range.offset) {
			proa_fail(error, PROA_REASON_USAGE, "range %u is malformed", ranges->len);
			return NULL;
		}
		g_array_append_val(ranges, range);
	}
	if (ranges->len == 0) {
		proa_fail(error, PROA_REASON_USAGE, "there is no range");
		return NULL;
	}
	return g_steal_pointer(&ranges);
}

GArray *proa_ranges_read(int fd, GError **error)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	guint8 chunk[4096];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			proa_fail_errno(error, PROA_REASON_IO, errno, "reading the ranges");
			return NULL;
		}
		if (n == 0)
			break;
		if (text->len + (gsize)n > PROA_RANGES_MAX_SIZE) {
			proa_fail(error, PROA_REASON_TOO_LARGE, "more than %d bytes of ranges",
				PROA_RANGES_MAX_SIZE);
			return NULL;
		}
		g_byte_array_append(text, chunk, (guint)n);
	}
	return proa_ranges_parse((const char *)text->data, text->len, error);
}

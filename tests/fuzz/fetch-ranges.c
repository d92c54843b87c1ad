/* SPDX-License-Identifier: Apache-2.0 */
// link: stream
#include "updater/fetch/ranges.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *text = g_memdup2(data, size);
	g_autoptr(GArray) ranges = proa_ranges_parse(text ? text : "", size, &error);

	g_assert((ranges == NULL) == (error != NULL));
	if (!ranges)
		return 0;
	for (guint i = 0; i < ranges->len; i++) {
		const ProaByteRange *range = &g_array_index(ranges, ProaByteRange, i);
		g_assert(range->length > 0 && range->offset + range->length <= (guint64)G_MAXINT64);
	}
	g_autofree char *again = proa_ranges_format((const ProaByteRange *)ranges->data, ranges->len);
	g_autoptr(GArray) same = proa_ranges_parse(again, strlen(again), NULL);
	g_assert(same && same->len == ranges->len);
	return 0;
}

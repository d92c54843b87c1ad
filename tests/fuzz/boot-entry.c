/* SPDX-License-Identifier: Apache-2.0 */
// link: boot
#include "base/version.h"
#include "boot/entry.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any file name: what is an entry has a valid version and counters in range, and composes to the same entry
 * again. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree char *name = g_strndup((const char *)data, size);
	g_autoptr(ProaEntry) entry = proa_entry_parse(name);

	if (!entry)
		return 0;
	g_assert(proa_version_valid(entry->version));
	g_assert(entry->tries_left >= -1 && entry->tries_left <= PROA_ENTRY_MAX_COUNT);
	g_assert(entry->tries_done >= -1 && entry->tries_done <= PROA_ENTRY_MAX_COUNT);
	g_assert(entry->tries_left >= 0 || entry->tries_done < 0);
	g_autofree char *composed = proa_entry_format(entry->version, entry->tries_left, entry->tries_done);
	g_autoptr(ProaEntry) again = proa_entry_parse(composed);
	/* Leading zeros of counters may make a name longer than what is composed, never the other way. */
	g_assert(again && strlen(composed) <= strlen(name));
	g_assert(again->tries_left == entry->tries_left && again->tries_done == entry->tries_done);
	g_assert(strcmp(again->version, entry->version) == 0);
	return 0;
}

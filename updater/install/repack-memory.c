/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/repack-memory.h"

#include "base/file.h"

#include <string.h>

#define MEMORY_FILE "/proc/meminfo"
#define MAX_MEMORY_FILE ((gsize)64 * 1024)

guint64 proa_repack_memory_available(void)
{
	g_autofree char *text = proa_file_read(MEMORY_FILE, MAX_MEMORY_FILE, NULL, NULL);
	const char *line = text ? strstr(text, "\nMemAvailable:") : NULL;

	return line ? g_ascii_strtoull(line + strlen("\nMemAvailable:"), NULL, 10) * 1024 : 0;
}

static gboolean is(const char *kernel_repack, const char *word)
{
	return strcmp(kernel_repack, word) == 0;
}

gboolean proa_repack_memory_thinkable(const char *kernel_repack, guint64 available)
{
	return is(kernel_repack, "always") || (!is(kernel_repack, "never") && available > 0);
}

gboolean proa_repack_memory_allows(
	const char *kernel_repack, guint64 wanted, guint64 available, GError **error)
{
	if (is(kernel_repack, "always"))
		return TRUE;
	if (is(kernel_repack, "never"))
		return proa_fail(
			error, PROA_REASON_TOO_LARGE, "no kernel is packed again here (kernel_repack=never)");
	if (wanted == 0)
		return proa_fail(error, PROA_REASON_TOO_LARGE,
			"the payload does not say how much memory packing the kernel again takes "
			"(kernel_repack=auto)");
	if (available / 3 * 2 >= wanted)
		return TRUE;
	return proa_fail(error, PROA_REASON_TOO_LARGE,
		"packing the kernel again wants %" G_GUINT64_FORMAT " MiB of memory, %" G_GUINT64_FORMAT
		" MiB are available (kernel_repack=auto)",
		(wanted >> 20) + (wanted >> 21), available >> 20);
}

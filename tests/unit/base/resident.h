/* SPDX-License-Identifier: Apache-2.0 */
/* resident: how much of this process lies in memory. */
#pragma once

#include <glib.h>
#include <string.h>

/* Bytes, by the name of a line of /proc/self/status (proc_pid_status(5)), as "VmRSS:". */
static inline gint64 resident(const char *name)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
	const char *found = strstr(text, name);
	g_assert_nonnull(found);
	return g_ascii_strtoll(found + strlen(name), NULL, 10) * 1024;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bench: how a benchmark tells its result: one JSON line that tests/bench/run.py reads. */
#pragma once

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* KiB at the peak since this program began; getrusage(2) would count its parent's, too. */
static inline gint64 bench_peak_kib(void)
{
	g_autofree char *text = NULL;
	const char *found =
		g_file_get_contents("/proc/self/status", &text, NULL, NULL) ? strstr(text, "VmHWM:") : NULL;

	return found ? g_ascii_strtoll(found + strlen("VmHWM:"), NULL, 10) : 0;
}

/* Prints the time since @start (g_get_monotonic_time()) for @bytes of work, and the process's peak of memory.
 */
static inline void bench_report(const char *name, guint64 bytes, gint64 start)
{
	double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
	printf("{\"bench\":\"%s\",\"bytes\":%" G_GUINT64_FORMAT
	       ",\"seconds\":%.3f,\"mb_per_second\":%.1f,\"peak_kib\":%" G_GINT64_FORMAT "}\n",
		name, bytes, seconds, (double)bytes / 1e6 / seconds, bench_peak_kib());
}

/* Ends the benchmark with an error: a number without its work done would be a lie. */
static inline void bench_must(gboolean done, const GError *error)
{
	if (done)
		return;
	fprintf(stderr, "%s\n", error ? error->message : "failed");
	exit(1);
}

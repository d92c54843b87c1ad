/* SPDX-License-Identifier: Apache-2.0 */
/* bench: how a benchmark tells its result: one JSON line that tests/bench/run.py reads. */
#pragma once

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Prints the time since @start (g_get_monotonic_time()) for @bytes of work, and the process's peak of memory.
 */
static inline void bench_report(const char *name, guint64 bytes, gint64 start)
{
	double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"bench\":\"%s\",\"bytes\":%" G_GUINT64_FORMAT
	       ",\"seconds\":%.3f,\"mb_per_second\":%.1f,\"peak_kib\":%ld}\n",
		name, bytes, seconds, (double)bytes / 1e6 / seconds, usage.ru_maxrss);
}

/* Ends the benchmark with an error: a number without its work done would be a lie. */
static inline void bench_must(gboolean done, const GError *error)
{
	if (done)
		return;
	fprintf(stderr, "%s\n", error ? error->message : "failed");
	exit(1);
}

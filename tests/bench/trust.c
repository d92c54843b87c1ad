/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-trust STORE METADATA_URL refresh|poll TARGET...: a client's work on a feed, as tests/bench/trust.py
 * asks for it. The store holds root.json. Prints how long the client was at it, without the start of the
 * process.
 */
#include "updater/trust/trust.h"
#include "images/feed/source.h"

#include <stdio.h>
#include <string.h>

static gboolean work(ProaTrust *trust, ProaSource *source, gboolean poll, char **names, GError **error)
{
	gboolean news = TRUE;

	if (poll && !proa_trust_poll(trust, proa_source_fetch, source, &news, error))
		return FALSE;
	if (!poll && !proa_trust_refresh(trust, proa_source_fetch, source, error))
		return FALSE;
	if (poll && news)
		return proa_fail(error, PROA_REASON_INTERNAL, "the poll was not idle");
	for (; *names; names++)
		if (!proa_trust_find_target(trust, *names, error))
			return FALSE;
	return TRUE;
}

/* KiB at the peak since this program began; getrusage(2) would count its parent's, too. */
static gint64 peak_kib(void)
{
	g_autofree char *text = NULL;
	const char *found =
		g_file_get_contents("/proc/self/status", &text, NULL, NULL) ? strstr(text, "VmHWM:") : NULL;

	return found ? g_ascii_strtoll(found + strlen("VmHWM:"), NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	if (argc < 4) {
		fputs("usage: bench-trust STORE METADATA_URL refresh|poll TARGET...\n", stderr);
		return 2;
	}
	g_autoptr(ProaSource) source = proa_source_open(argv[2]);
	gint64 began = g_get_monotonic_time();
	g_autoptr(ProaTrust) trust = proa_trust_open(argv[1], NULL, 0, &error);
	if (!trust || !work(trust, source, strcmp(argv[3], "poll") == 0, argv + 4, &error)) {
		fprintf(stderr, "bench-trust: %s\n", error->message);
		return 1;
	}
	printf("{\"seconds\":%.4f,\"peak_kib\":%" G_GINT64_FORMAT "}\n",
		(double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC, peak_kib());
	return 0;
}

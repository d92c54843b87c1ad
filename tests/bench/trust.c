/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-trust STORE METADATA_URL refresh|poll TARGET...: a client's work on a feed, as tests/bench/trust.py
 * asks for it. The store holds root.json. Prints how long the client was at it, without the start of the
 * process.
 */
#include "updater/trust/trust.h"
#include "images/feed/source.h"
#include "tests/bench/bench.h"

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
		(double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC, bench_peak_kib());
	return 0;
}

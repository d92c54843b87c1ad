/* SPDX-License-Identifier: Apache-2.0 */
/* transfer: parts of one URL to standard output, and what came of it in one line on standard error.
 * proa-fetch only. */
#pragma once

#include "updater/fetch/stream.h"

#define PROA_TRANSFER_MAX_ETAG 256

typedef struct {
	const char *url;
	gboolean is_file;            /* of scheme file */
	const ProaByteRange *ranges; /* fetched in this order; a length of 0: to the end */
	guint n_ranges;              /* at least 1 */
	gint64 max_bytes;            /* of all ranges together; 0: no limit */
	gint64 max_speed;            /* bytes a second; 0: no limit */
	int connect_timeout;         /* seconds */
	long low_speed_bytes, low_speed_seconds;
	guint retries;             /* tries after one that broke, slower together than low_speed */
	gulong retry_delay;        /* milliseconds before the first of them; doubles up to 30 s */
	const char *if_none_match; /* NULL: none */
	const char *ca_file;       /* NULL: the system's */
} ProaTransfer;

/* Runs it; returns the exit status. libcurl has been initialized. */
int proa_transfer_run(const ProaTransfer *wish);

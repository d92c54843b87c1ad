/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal: messages of proad with fields, so that a machine finds what a human reads: PROA_REASON=,
 * PROA_VERSION=, PROA_OPERATION= and MESSAGE_ID=. Where there is no journal they go to standard error.
 */
#pragma once

#include "base/reason.h"

#include <systemd/sd-id128.h>

/* Message identifiers, documented in proad(8); they never change. */
#define PROA_MESSAGE_STARTED SD_ID128_MAKE(81, 78, 9f, 35, 73, 57, 42, c2, 86, bd, f3, 93, 02, c9, 63, 00)
#define PROA_MESSAGE_CHECKED SD_ID128_MAKE(8f, 13, ec, 77, 24, 5b, 44, 11, b9, 80, cd, 2f, 74, 0c, c4, 03)
#define PROA_MESSAGE_STAGED SD_ID128_MAKE(d3, 68, a8, ff, a9, 78, 4a, 10, 8c, c2, f7, 19, 96, f9, 6c, db)
#define PROA_MESSAGE_FAILED SD_ID128_MAKE(8a, 99, 87, 20, ea, 13, 49, 5e, a9, 5b, 10, 9f, e3, eb, d8, 3a)
#define PROA_MESSAGE_ROLLED_BACK SD_ID128_MAKE(a1, 20, a2, 96, 8f, bb, 40, d8, a2, 2f, de, 7b, 0f, d1, 25, ff)
#define PROA_MESSAGE_DECIDED SD_ID128_MAKE(a9, cd, 3f, 13, e8, c6, 4a, a1, b8, 5d, 3e, 1a, d8, f4, ef, 58)
#define PROA_MESSAGE_REBOOT SD_ID128_MAKE(6b, 39, 7b, 02, 55, 83, 45, d3, a1, 92, 0b, d4, 57, 1d, d7, d4)
#define PROA_MESSAGE_CONFIG SD_ID128_MAKE(f1, c9, af, 84, 14, ae, 4c, ad, ba, cb, 42, 7a, 4f, 9f, c6, c9)

typedef struct {
	sd_id128_t id;         /* SD_ID128_NULL: none */
	int priority;          /* LOG_NOTICE and so on */
	const char *operation; /* the rest may be NULL */
	const char *reason;
	const char *version;
} ProaMessage;

void proa_journal(const ProaMessage *fields, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* SPDX-License-Identifier: Apache-2.0 */
/* journal: the last messages of this boot, or of the one before, for the black box. */
#pragma once

#include <glib.h>

/* Messages kept at most; each is cut at 512 bytes. */
#define PROA_JOURNAL_MAX_LINES 400

/*
 * The last messages of this boot, oldest first, a line each: seconds since the boot began, who, what. Free
 * with g_free(). NULL if the journal cannot be read.
 */
char *proa_journal_tail(void);

/*
 * The same of the boot before this one, whose journal /var kept; NULL also if there is none.
 */
char *proa_journal_before(void);

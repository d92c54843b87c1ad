/* SPDX-License-Identifier: Apache-2.0 */
/* journal: the last messages of this boot, or of a release's last boot, for the black box. */
#pragma once

#include <glib.h>

/* Messages kept at most; each is cut at 512 bytes. */
#define PROA_JOURNAL_MAX_LINES 400
/* Of all of them so much. Bytes. */
#define PROA_JOURNAL_MAX_TEXT (72 * 1024)

/*
 * The last messages of this boot, oldest first, a line each: seconds since the boot began, who, what; under a
 * line that names the boot and its beginning. Free with g_free(). NULL if the journal cannot be read.
 */
char *proa_journal_tail(void);

/*
 * The same of the last boot before this one whose kernel was started for @root_hash, as far as /var kept its
 * journal; NULL also if there is none: such a boot may end before anything of it is written.
 */
char *proa_journal_of_release(const char *root_hash);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blackbox: why a boot failed, kept in /var/lib/proa/blackbox where the release that runs afterwards finds
 * it.
 *
 *   verdict.json             what a release said of itself before it rebooted
 *   <time>-<version>.txt     one page an operator can read; the newest 8 are kept
 */
#pragma once

#include "base/state.h"

#define PROA_BLACKBOX_PAGES 8
/* Of the text of a page this much is kept. Bytes. */
#define PROA_BLACKBOX_MAX_TEXT (128 * 1024)

/*
 * Remembers durably why @release is about to be left. @reason is a reason word; @detail and @checks (what the
 * health checks said, a line each) may be NULL.
 */
gboolean proa_blackbox_set_verdict(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, const char *checks, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The checks of that verdict, if it is one of @root_hash; free with g_free(). NULL: none. */
char *proa_blackbox_checks(const char *state_dir, const char *root_hash);

/*
 * The evidence of a page: what the checks said, @entries (the boot entries and their counters, a line each),
 * the kernel's last words and the last messages of the journal; each may be NULL, each is bounded; that there
 * are no messages is said. Free with g_free().
 */
char *proa_blackbox_evidence(
	const char *checks, const char *entries, const char *kernel, const char *journal);

/* What @root_hash said of itself; NULL if it said nothing. Read-only: a broken file is as none. */
ProaRejected *proa_blackbox_verdict(const char *state_dir, const char *root_hash);

/* Writes a page of head and @text (may be NULL), and removes the oldest pages. */
gboolean proa_blackbox_write(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

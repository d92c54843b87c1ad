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
/* Of the text of a page this much is kept: its end, where the failure is. Bytes. */
#define PROA_BLACKBOX_MAX_TEXT (128 * 1024)

/* Remembers durably why @release is about to be left. @reason is a reason word, @detail may be NULL. */
gboolean proa_blackbox_set_verdict(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What @root_hash said of itself; NULL if it said nothing. Read-only: a broken file is as none. */
ProaRejected *proa_blackbox_verdict(const char *state_dir, const char *root_hash);

/* Writes a page of head and @text (may be NULL), and removes the oldest pages. */
gboolean proa_blackbox_write(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

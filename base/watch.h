/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: how long a release is watched for crashes before the other slot, which holds the last release known
 * to be sound, may be written (/var/lib/proa/crashes.json, kept by proa-bootd). proa-install obeys it.
 */
#pragma once

#include "base/reason.h"

/* No watch keeps the other slot for longer, whatever the file says. Seconds. */
#define PROA_WATCH_MAX (7 * 24 * 3600)
/* For a release that the running one's own feed calls too old to be safe, as long as it never crashed. */
#define PROA_WATCH_URGENT 3600

/* Seconds since this machine was started, the time that it slept included: /proc/uptime below @root; 0 if
 * that cannot be read. */
gint64 proa_watch_uptime(const char *root);

/*
 * When the watch of the running release @root_hash is over, in seconds since 1970; 0: it is, or there is
 * none.
 * @dir is the state directory, @now the clock, @uptime as of proa_watch_uptime(). It ends a set time after
 * the release's first boot, by the node's own time (boot/crashes.h), PROA_WATCH_URGENT at most if @urgent and
 * it never went down unasked. It is also over once this boot has lasted for as long. The clock only serves to
 * name the end. A missing or broken file is no watch: losing it must not keep a node from its updates.
 */
gint64 proa_watch_ends(const char *dir, const char *root_hash, gboolean urgent, gint64 now, gint64 uptime);

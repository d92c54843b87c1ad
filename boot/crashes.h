/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crashes: counting goes on after the blessing. A release that is blessed and under which the node then goes
 * down unasked (panic, hang, reset, power) too often, soon after it first ran here, is no good release
 * (/var/lib/proa/crashes.json, docs/formats.md).
 *
 * A boot is noted when it begins and when it came to health; an orderly shutdown takes the note away. A boot
 * that finds a healthy one noted knows that it ended unasked. Boots that never came to health are counted by
 * the firmware (on trial) and by proa-etc (after it).
 *
 * How old a release is, is reckoned in a time of the node's own, kept in the same file, which no clock turns
 * back or stops: seconds that its boots lasted, as the kernel counts them, noted every now and then
 * (uptime.json), and what the clock says lay between two boots, if it went forward. So a release ages as
 * well on a node whose clock begins each boot at the same time.
 */
#pragma once

#include <glib.h>

typedef struct {
	char boot_id[64];
	gint64 clock;  /* seconds since 1970 */
	gint64 uptime; /* seconds since this machine was started */
} ProaMoment;

/* This one; @root is where /proc/uptime is read. */
ProaMoment proa_moment_now(const char *root);

typedef struct {
	char *root_hash; /* of the release that went down unasked; NULL: none did */
	guint count;     /* so often by now, all within the time asked for */
} ProaCrash;

void proa_crash_clear(ProaCrash *crash);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaCrash, proa_crash_clear)

/*
 * A boot of @root_hash begins: judges the one before, and is noted itself. Only what happens within @within
 * seconds of a release's first boot here counts; for @hold seconds after it the other slot is not to be
 * written (base/watch.h). Called again in the same boot it counts nothing. A broken file is as none. IO if it
 * cannot be written; *@ret_crash is set all the same.
 */
gboolean proa_crashes_begin(const char *dir, const char *root_hash, const ProaMoment *moment, gint64 within,
	gint64 hold, ProaCrash *ret_crash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* This boot came to health. */
gboolean proa_crashes_healthy(
	const char *dir, const ProaMoment *moment, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* This boot goes on: notes how long it has lasted, for the next one, should this one end unasked. Nothing is
 * written once its release is older than @within and its hold. */
gboolean proa_crashes_goes_on(
	const char *dir, const ProaMoment *moment, gint64 within, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* This boot is about to end because someone asked for it. */
gboolean proa_crashes_asked(
	const char *dir, const ProaMoment *moment, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Forgets what was counted of @root_hash: it was left for it, and may come back one day. */
gboolean proa_crashes_forget(
	const char *dir, const char *root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

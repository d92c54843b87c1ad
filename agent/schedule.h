/* SPDX-License-Identifier: Apache-2.0 */
/* schedule: when the next check and the next automatic reboot are. Pure arithmetic: the clock and the dice
 * come in. */
#pragma once

#include <glib.h>

/* Least wait of a running agent: what is overdue and cannot be done now is not tried in a loop. Seconds. */
#define PROA_SCHEDULE_LEAST 30

/*
 * Seconds from @now until the next check. @last_check is when the last one was (0: never; one in the future
 * means that the clock went back, and counts as overdue), @interval is [update] check_interval. An overdue
 * check comes after @least seconds. To that comes a delay of 0 to @jitter seconds, drawn by @random (any 32
 * bits, new ones at each call), so that the nodes of a fleet that start together do not ask together.
 */
gint64 proa_schedule_check(
	gint64 now, gint64 last_check, gint64 interval, gint64 jitter, gint64 least, guint32 random);

/* A daily window, in minutes after local midnight. It may go over midnight. */
typedef struct {
	int start, end;
} ProaWindow;

/* Reads "22:30-04:00". FALSE, *@ret_window untouched, for anything else, and for an empty window (start equal
 * to end). */
gboolean proa_window_parse(const char *text, ProaWindow *ret_window);

/* Seconds until the window is open, at @second_of_day after local midnight; 0 while it is open. */
gint64 proa_window_wait(const ProaWindow *window, int second_of_day);

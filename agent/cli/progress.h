/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: how far a transaction is, with rate and time left.
 *
 * On a terminal one line is drawn over and over; elsewhere a plain line is written now and then, so that a
 * log stays readable; with JSON each change is a line.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

/* The rate of a transfer: a mean over the last few seconds. */
typedef struct {
	gint64 last_usec; /* 0: nothing measured yet */
	guint64 last_done;
	double rate; /* bytes a second; 0: not known yet */
} ProaMeter;

/* Takes a measurement at @usec (monotonic microseconds). A @done below the last one begins anew. */
void proa_meter_update(ProaMeter *meter, guint64 done, gint64 usec);

/* Seconds until @total at this rate, or -1 if nobody can tell. */
gint64 proa_meter_left(const ProaMeter *meter, guint64 done, guint64 total);

/* 0 to 100; -1 if @total is 0. */
int proa_progress_percent(guint64 done, guint64 total);

typedef enum {
	PROA_PROGRESS_NONE,
	PROA_PROGRESS_TERMINAL,
	PROA_PROGRESS_LINES,
	PROA_PROGRESS_JSON,
} ProaProgressStyle;

typedef struct ProaProgress ProaProgress;

/* @out is not owned. */
ProaProgress *proa_progress_new(FILE *out, ProaProgressStyle style);

/* Ends the line that is being drawn, and frees. */
void proa_progress_free(ProaProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaProgress, proa_progress_free)

/* The transaction is in @phase (a word), @done of @total bytes of it (0 and 0: not known), at @usec. */
void proa_progress_update(
	ProaProgress *progress, const char *phase, guint64 done, guint64 total, gint64 usec);

/* Ends the line that is being drawn, if one is: what is printed next stands on a line of its own. */
void proa_progress_end(ProaProgress *progress);

/* A sentence in between, on a line of its own; nothing with JSON. */
void proa_progress_say(ProaProgress *progress, const char *text);

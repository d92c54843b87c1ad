/* SPDX-License-Identifier: Apache-2.0 */
/* text: how numbers, times and other people's words are written for a human. */
#pragma once

#include <glib.h>

/* Longest text of another program that is passed on; the rest is cut off. Bytes. */
#define PROA_TEXT_MAX 1024

/*
 * @text on one line and safe for a terminal or a journal field: valid UTF-8, control characters (escape
 * sequences among them) turned into spaces, at most PROA_TEXT_MAX bytes. NULL gives "". Free with g_free().
 */
char *proa_text_safe(const char *text);

/* 91000000 -> "91.0 MB", 512 -> "512 B"; powers of 1000, as disks and networks are sold. Free with g_free().
 */
char *proa_text_bytes(guint64 bytes);

/* Seconds as "42 s", "2 min 5 s", "3 h 20 min", "4 d 2 h"; negative as 0. Free with g_free(). */
char *proa_text_span(gint64 seconds);

/* Seconds since 1970 as "2026-11-22 06:30:00 UTC"; 0 or less: "never". Free with g_free(). */
char *proa_text_time(gint64 time);

/* As proa_text_time(), then how far that is from @now: "2026-11-22 06:30:00 UTC (3 min ago)", "(in 40 min)".
 */
char *proa_text_time_from(gint64 time, gint64 now);

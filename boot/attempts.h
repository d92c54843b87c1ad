/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempts: boots of a release that have begun since it was last healthy (/var/lib/proa/attempts.json). The
 * firmware counts only until a release is blessed; this goes on counting.
 */
#pragma once

#include <glib.h>

/* After so many boots without health a blessed release is given up, if the other slot boots. */
#define PROA_ATTEMPTS_MAX 3

/* Of the text, bytes; more is no such text. */
#define PROA_ATTEMPTS_MAX_SIZE 256

/* The text that says so often, for the file and for the firmware (boot/starts.h). */
char *proa_attempts_format(const char *root_hash, guint attempts);

/* What such a text of @size bytes says of @root_hash; 0 for another release, or a broken text. */
guint proa_attempts_parse(const char *content, gsize size, const char *root_hash);

/* Attempts of @root_hash in @dir/attempts.json; 0 for another release, a missing or a broken file. */
guint proa_attempts_read(const char *dir, const char *root_hash);

/* Replaces the file durably. */
gboolean proa_attempts_write(
	const char *dir, const char *root_hash, guint attempts, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes the file: the release is healthy, or the next boot is another. */
gboolean proa_attempts_clear(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

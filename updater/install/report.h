/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: how a transaction goes, as JSON Lines on standard output (docs/architecture.md, "Programs"). A
 * reader that went away stops nothing: the transaction goes on without one.
 */
#pragma once

#include "base/reason.h"

/* Lines of progress come at most so often; microseconds. */
#define PROA_REPORT_INTERVAL (G_USEC_PER_SEC / 4)

void proa_report_phase(const char *phase);
void proa_report_offer(const char *version, const char *root_hash, guint64 bytes, guint64 root_size,
	guint64 tree_size, guint64 uki_size);

/* The UKI comes by that payload ("uki-kernel", "uki-delta", "uki-full", "uki"); bytes to be fetched. */
void proa_report_boot_image(const char *type, guint64 bytes);

/* Which payload is taken, what is still to be fetched of it, and how much of the image is there already;
 * bytes. */
void proa_report_payload(const char *type, guint64 bytes, guint64 from);

/* That payload failed, and the next one is tried. Also said on standard error. */
void proa_report_fallback(const char *type, const GError *error);

/* Bytes done of @total; left out when the last line was less than PROA_REPORT_INTERVAL ago, unless all is
 * done. */
void proa_report_progress(const char *phase, guint64 done, guint64 total);

/* That it is to be tried again at @until, seconds since 1970; the error follows. */
void proa_report_wait(const char *reason, gint64 until);

void proa_report_done(const char *version, const char *root_hash, const char *slot);
void proa_report_error(const GError *error);

/* One sentence on standard error (the journal) about what is wrong but stops nothing. */
void proa_report_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* SPDX-License-Identifier: Apache-2.0 */
/* later: a rollback at a time that an operator chose: a timer of systemd's, which needs neither D-Bus nor
 * proad, and goes with the next reboot. */
#pragma once

#include "base/reason.h"

/* Whether @at is a time of systemd.time(7) that is still to come; USAGE. */
gboolean proa_later_check(const char *at, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Plans `proa rollback --now --to @version` for then. One that was planned before is dropped, and *@ret_note
 * says so (free with g_free()); otherwise it is NULL. USAGE or INTERNAL.
 */
gboolean proa_later_plan(
	const char *at, const char *version, char **ret_note, GError **error) G_GNUC_WARN_UNUSED_RESULT;

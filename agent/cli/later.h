/* SPDX-License-Identifier: Apache-2.0 */
/* later: a rollback at a time that an operator chose: a timer of systemd's, which needs neither D-Bus nor
 * proad, and goes with the next reboot. */
#pragma once

#include "base/reason.h"

/*
 * When the time @at of systemd.time(7) comes next, as one that comes once, with its date and in UTC; free
 * *@ret_when with g_free(). USAGE if it is none or has passed; INTERNAL.
 */
gboolean proa_later_check(const char *at, char **ret_when, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Plans `proa rollback --now --to @version` for @at, a time of proa_later_check(). One that was planned
 * before is dropped, and *@ret_note says so (free with g_free()); otherwise it is NULL. USAGE or INTERNAL.
 */
gboolean proa_later_plan(
	const char *at, const char *version, char **ret_note, GError **error) G_GNUC_WARN_UNUSED_RESULT;

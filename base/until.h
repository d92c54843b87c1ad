/* SPDX-License-Identifier: Apache-2.0 */
/* until: the last moment of something, as a person writes it (ISO 8601). */
#pragma once

#include <glib.h>

/*
 * "2026-12-31" (to the end of that day) or "2026-12-31T12:00:00Z", UTC if it says nothing else, in seconds
 * since 1970; FALSE if it is neither or has gone by.
 */
gboolean proa_until_parse(const char *text, gint64 *ret_until);

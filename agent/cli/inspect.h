/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: verbs that look and change nothing: what the health checks said, why releases failed, what stands
 * in the way of the next update.
 */
#pragma once

#include "agent/cli/options.h"
#include "agent/paths.h"

#include <json-glib/json-glib.h>

/* Larger reports and pages are not shown. Bytes. */
#define PROA_INSPECT_MAX_REPORT (256 * 1024)
#define PROA_INSPECT_MAX_PAGE (1024 * 1024)

/* What the checks said last in this boot (health.json). NULL with NOT_RUNNING (none has ended yet),
 * PERMISSION or BAD_STATE. */
JsonObject *proa_inspect_health(const ProaPaths *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The pages of the black box, newest first: {"name", "time", "version"}. PERMISSION; an empty array if there
 * is none.
 */
JsonArray *proa_inspect_pages(const ProaPaths *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The text of the newest page, made safe for a terminal line by line; free with g_free(). NOT_FOUND if none
 * is there.
 */
char *proa_inspect_last_page(const ProaPaths *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * All that `proa doctor` looks at: proa-bootd's checks (asked only by root), the stored trust and its expiry,
 * and what asking the feed came to (@feed: an outcome, NULL: not asked). "check", "verdict",
 * "reason", "message", "hint".
 */
JsonArray *proa_inspect_doctor(const ProaPaths *paths, JsonObject *feed);

/* Checks as text, a line each and its way out below. Free with g_free(). */
char *proa_inspect_health_text(JsonObject *report);
char *proa_inspect_doctor_text(JsonArray *checks);

/* Whether one of them is not right: of health a check that waits or fails, of the doctor a problem. */
gboolean proa_inspect_health_bad(JsonObject *report);
gboolean proa_inspect_doctor_bad(JsonArray *checks);

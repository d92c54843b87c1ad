/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print: the documents of the agent as text for a human. Whatever stands in them is made safe for a terminal;
 * members that are missing or of the wrong type are left out.
 */
#pragma once

#include <json-glib/json-glib.h>

/* The status document on one screen; @now in seconds since 1970. Free with g_free(). */
char *proa_print_status(JsonObject *status, gint64 now);

/* History entries, a line each. Free with g_free(). */
char *proa_print_history(JsonArray *entries);

/* Rejected releases, as in the status document's "rejected". Free with g_free(). */
char *proa_print_rejected(JsonArray *rejected);

/* Pages of the black box, as of proa_inspect_pages(), a line each. Free with g_free(). */
char *proa_print_pages(JsonArray *pages);

/* An outcome (proa_outcome_to_json()) that went well, in one line. Free with g_free(). */
char *proa_print_done(JsonObject *outcome);

/* One that did not: "proa: refused (esp-full): ..." and "hint: ..." on two lines. Free with g_free(). */
char *proa_print_not_done(JsonObject *outcome);

/* SPDX-License-Identifier: Apache-2.0 */
/* timestamp: timestamp.json, which names the newest snapshot (TUF 4.6). */
#pragma once

#include "updater/trust/role.h"

typedef struct {
	ProaRoleHead head;
	ProaFileInfo *snapshot; /* what it says of snapshot.json */
	gint64 time; /* seconds since 1970 when it was signed, by our member "proa": {"time": N}; 0: not told
		      */
	ProaSigned *file;
} ProaTimestamp;

/* Parses a timestamp; its signatures are not looked at. */
ProaTimestamp *proa_timestamp_parse(
	GBytes *bytes, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_timestamp_free(ProaTimestamp *timestamp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaTimestamp, proa_timestamp_free)

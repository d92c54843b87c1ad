/* SPDX-License-Identifier: Apache-2.0 */
/* history: reads what base/state.h's proa_history_append() wrote. */
#pragma once

#include "base/reason.h"

#include <json-glib/json-glib.h>

/* A longer file is refused: the writer keeps it under half of this. Bytes. */
#define PROA_HISTORY_MAX_SIZE (2 * 1024 * 1024)

/*
 * The newest @count entries (0: all) of @dir/history.jsonl, oldest first; a missing file gives none. A line
 * that cannot be read (half of one after a power cut) is left out.
 */
JsonArray *proa_history_load(const char *dir, guint count, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/* query: asks `proa-bootd status` what is booted, what is in the other slot and what the firmware boots next.
 */
#pragma once

#include "agent/paths.h"
#include "base/reason.h"

#include <json-glib/json-glib.h>
#include <systemd/sd-event.h>

/* A longer answer is refused. Bytes. */
#define PROA_QUERY_MAX_SIZE (1024 * 1024)

typedef struct ProaQuery ProaQuery;

/*
 * The answer: @status is proa-bootd's object (owned by the query), or NULL with @error. The query may be
 * freed in here.
 */
typedef void (*ProaQueryAnswer)(JsonObject *status, const GError *error, gpointer data);

/* Starts the question; errors as proa_child_start(). proa-bootd gets 30 seconds. */
ProaQuery *proa_query_start(sd_event *event, const ProaPaths *paths, ProaQueryAnswer answer, gpointer data,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Frees it; one under way is given up, and is not answered. */
void proa_query_free(ProaQuery *query);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaQuery, proa_query_free)

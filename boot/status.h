/* SPDX-License-Identifier: Apache-2.0 */
/* status: what `proa-bootd status` prints (docs/architecture.md, "Programs: how they speak with each other").
 */
#pragma once

#include "boot/node.h"

#include <json-glib/json-glib.h>

/* One JSON object; unref with json_object_unref(). A broken state file reads as the empty state. */
JsonObject *proa_status(const ProaNode *node);

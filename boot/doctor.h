/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what stands in the way of the next update or of the way back, as far as boot, disk and machine go.
 */
#pragma once

#include "boot/node.h"

#include <json-glib/json-glib.h>

/*
 * Looks, and changes nothing. One object a check: "check", "verdict" ("ok", "warning": something is weaker
 * than it could be, "problem": an update or a way back would fail, "skipped": it is not for this node),
 * "reason" and "hint", the way out (null where there is nothing to do), and "message". The API server is
 * asked where there is a kubelet; nothing else needs the network. Free with json_array_unref().
 */
JsonArray *proa_doctor(const ProaNode *node);

/* SPDX-License-Identifier: Apache-2.0 */
/* priority: how much a transaction may disturb what the node is for. */
#pragma once

#include <glib.h>

/*
 * Lowers the priority of this process and of those that it starts from now on. @io: "idle" (only when nobody
 * else wants the disk), "low" (the last of those who share it) or "normal"; @cpu: "low" (nice 10) or
 * "normal". Another word is "normal". A kernel that refuses is no error: it returns FALSE, and all goes on.
 */
gboolean proa_priority_lower(const char *io, const char *cpu);

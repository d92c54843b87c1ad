/* SPDX-License-Identifier: Apache-2.0 */
/* audit: a whole feed, checked as a client would, every payload included, and what expires when. */
#pragma once

#include "images/feed/walk.h"

/*
 * Checks every file of the walk and adds what is wrong to its problems, and so each role that has expired
 * (STALE_FEED), under its name. Returns {"roles": [{"role", "version", "expires", "seconds_left",
 * "expired"}], "files", "bytes", "requests", "problems": [{"path", "reason", "message"}]}.
 */
JsonObject *proa_audit_run(ProaWalk *walk);

/* The same as text on standard output. */
void proa_audit_print(JsonObject *audit);

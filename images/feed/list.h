/* SPDX-License-Identifier: Apache-2.0 */
/* list: what a feed offers, and until when its metadata holds, for people and as JSON. */
#pragma once

#include "images/feed/feed.h"

/*
 * {"feed", "metadata": {role: {"version", "expires", "expired"}}, "releases": [{"channel", "version",
 * "architecture", "root_hash", "tree", "payload_bytes", "published"}]}. Releases by channel, then version,
 * oldest first. What a manifest tells is null if the manifest is gone.
 */
JsonObject *proa_list_make(const ProaFeed *feed);

/* The same as a table on standard output. */
void proa_list_print(JsonObject *list);

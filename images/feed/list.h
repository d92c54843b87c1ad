/* SPDX-License-Identifier: Apache-2.0 */
/* list: what a feed offers, what waits for signatures, and until when its metadata holds, for people and as
 * JSON. */
#pragma once

#include "images/feed/feed.h"

/*
 * {"feed", "metadata": {role: {"version", "expires", "expired"}}, "keys": {role: {"threshold", "keys":
 * [{"keyid", "scheme"}]}}, "releases": [{"channel", "version",
 * "architecture", "root_hash", "tree", "payload_bytes", "published"}], "drafts": [{"change", "role", "file",
 * "signatures"}]}. Metadata holds the four roles and the channels, keys break-glass too. Releases by channel,
 * then version, oldest first. What a manifest tells is null if the manifest is gone.
 */
JsonObject *proa_list_make(const ProaFeed *feed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same as a table on standard output. */
void proa_list_print(JsonObject *list);

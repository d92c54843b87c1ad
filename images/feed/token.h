/* SPDX-License-Identifier: Apache-2.0 */
/* token: makes break-glass tokens (docs/formats.md, "Token"); updater/trust/token.h reads them. */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
	const char *release, *channel;
	const char *node, *pool; /* one of the two; NULL: the other */
	const char *reason;
	gint64 lifetime; /* seconds */
} ProaTokenWish;

/*
 * An envelope without signatures (envelope.h) around a token with an id of its own. USAGE if nobody, two or
 * somebody who can't be is named, or no reason; BAD_TOKEN if a node would take it for malformed.
 */
JsonObject *proa_token_make(const ProaTokenWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;

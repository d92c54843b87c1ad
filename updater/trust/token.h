/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token: a break-glass token, with which one release below the floor may be installed on one node or pool
 * until a date (docs/formats.md, "Token"). The keys that sign tokens are a role of their own, named in
 * targets metadata.
 */
#pragma once

#include "updater/trust/trust.h"

/* Two hybrid signatures are 14 kB. Bytes. */
#define PROA_TOKEN_MAX_SIZE ((gsize)64 * 1024)
/* The value of "_type". */
#define PROA_TOKEN_TYPE "proa-token"

typedef struct {
	char *id;      /* 32 hexadecimal digits */
	char *release; /* version */
	char *channel;
	char *node;     /* machine id, 32 hexadecimal digits; NULL: it is for a pool */
	char *pool;     /* name; NULL: it is for a node */
	char *reason;   /* one sentence of whoever signed it */
	gint64 expires; /* seconds since 1970 */
} ProaToken;

void proa_token_free(ProaToken *token);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaToken, proa_token_free)

/* Whom and what a token must be for. */
typedef struct {
	const char *release, *channel;
	const char *node; /* machine id; NULL: unknown */
	const char *pool; /* NULL or "": none */
} ProaTokenUse;

/* Parses a token; its signatures are not looked at. BAD_TOKEN, or TOO_LARGE over PROA_TOKEN_MAX_SIZE. */
ProaToken *proa_token_parse(GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The token in @bytes if the feed's break-glass role signed it, it has not expired by the time that metadata
 * is judged by, and it is for @use. To be called after a successful refresh. NULL with BAD_TOKEN and the
 * reason why. An operator's acceptance of stale metadata does not lengthen its life.
 */
ProaToken *proa_token_check(
	ProaTrust *trust, GBytes *bytes, const ProaTokenUse *use, GError **error) G_GNUC_WARN_UNUSED_RESULT;

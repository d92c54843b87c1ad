/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/token.h"

#include "base/digest.h"
#include "base/version.h"
#include "updater/trust/refresh.h"

#include <string.h>

#define ID_LENGTH 32
#define MAX_NAME 64
#define MAX_REASON 512

void proa_token_free(ProaToken *token)
{
	if (!token)
		return;
	g_free(token->id);
	g_free(token->release);
	g_free(token->channel);
	g_free(token->node);
	g_free(token->pool);
	g_free(token->reason);
	g_free(token);
}

static gboolean malformed(const char *member, GError **error)
{
	return proa_fail(
		error, PROA_REASON_BAD_TOKEN, "the token's member \"%s\" is missing or malformed", member);
}

/* A name that means nothing to a shell, a log or a path. */
static gboolean name_valid(const char *text)
{
	gsize length = strlen(text);

	return length > 0 && length <= MAX_NAME &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static gboolean take_target(JsonObject *content, ProaToken *token, GError **error)
{
	const char *node = proa_json_string_or(content, "node", NULL);
	const char *pool = proa_json_string_or(content, "pool", NULL);

	if ((node == NULL) == (pool == NULL))
		return proa_fail(error, PROA_REASON_BAD_TOKEN, "a token is for one node or for one pool");
	if (node && !proa_hex_valid(node, ID_LENGTH))
		return malformed("node", error);
	if (pool && !name_valid(pool))
		return malformed("pool", error);
	token->node = g_strdup(node);
	token->pool = g_strdup(pool);
	return TRUE;
}

static gboolean take_content(JsonObject *content, ProaToken *token, GError **error)
{
	const char *id = proa_json_string_or(content, "id", "");
	const char *release = proa_json_string_or(content, "release", "");
	const char *channel = proa_json_string_or(content, "channel", "");
	const char *reason = proa_json_string_or(content, "reason", "");
	ProaRoleHead head;
	g_autoptr(GError) inner = NULL;

	if (!proa_role_head_parse(content, PROA_TOKEN_TYPE, &head, &inner))
		return proa_fail(error, PROA_REASON_BAD_TOKEN, "the token: %s", inner->message);
	if (!proa_hex_valid(id, ID_LENGTH))
		return malformed("id", error);
	if (!proa_version_valid(release))
		return malformed("release", error);
	if (!name_valid(channel))
		return malformed("channel", error);
	if (!*reason || strlen(reason) > MAX_REASON)
		return malformed("reason", error);
	token->id = g_strdup(id);
	token->release = g_strdup(release);
	token->channel = g_strdup(channel);
	token->reason = g_strdup(reason);
	token->expires = head.expires;
	return take_target(content, token, error);
}

/* The envelope and what is in it. */
static ProaToken *parse(GBytes *bytes, ProaSigned **ret_file, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_TOKEN_MAX_SIZE, "the token", &inner);
	g_autoptr(ProaToken) token = g_new0(ProaToken, 1);

	if (!file) {
		ProaReason reason = proa_reason_of(inner);
		proa_fail(error, reason == PROA_REASON_TOO_LARGE ? reason : PROA_REASON_BAD_TOKEN, "%s",
			inner->message);
		return NULL;
	}
	if (!take_content(file->content, token, error))
		return NULL;
	*ret_file = g_steal_pointer(&file);
	return g_steal_pointer(&token);
}

ProaToken *proa_token_parse(GBytes *bytes, GError **error)
{
	g_autoptr(ProaSigned) file = NULL;

	return parse(bytes, &file, error);
}

static gboolean check_signed(ProaTrust *trust, const ProaSigned *file, GError **error)
{
	const ProaTargets *targets = g_hash_table_lookup(trust->targets, "targets");
	g_autoptr(GError) inner = NULL;

	if (!trust->fresh || !targets)
		return proa_fail(error, PROA_REASON_INTERNAL, "the feed's metadata was not refreshed");
	if (!targets->token_keys)
		return proa_fail(error, PROA_REASON_BAD_TOKEN, "the feed names nobody who may sign tokens");
	return proa_signed_check(file, targets->token_keys, "the token", &inner) ||
	       proa_fail(error, PROA_REASON_BAD_TOKEN, "%s", inner->message);
}

static gboolean check_use(const ProaToken *token, const ProaTokenUse *use, GError **error)
{
	if (strcmp(token->release, use->release) != 0 || strcmp(token->channel, use->channel) != 0)
		return proa_fail(error, PROA_REASON_BAD_TOKEN, "the token is for %s %s, not for %s %s",
			token->channel, token->release, use->channel, use->release);
	if (token->node && g_strcmp0(token->node, use->node) != 0)
		return proa_fail(error, PROA_REASON_BAD_TOKEN, "the token is for the node %s, this one is %s",
			token->node, use->node ? use->node : "without a machine id");
	if (token->pool && g_strcmp0(token->pool, use->pool) != 0)
		return proa_fail(error, PROA_REASON_BAD_TOKEN,
			"the token is for the pool %s, this node is of %s%s", token->pool,
			use->pool && *use->pool ? "the pool " : "none", use->pool ? use->pool : "");
	return TRUE;
}

ProaToken *proa_token_check(ProaTrust *trust, GBytes *bytes, const ProaTokenUse *use, GError **error)
{
	g_autoptr(ProaSigned) file = NULL;
	g_autoptr(ProaToken) token = parse(bytes, &file, error);

	if (!token || !check_signed(trust, file, error) || !check_use(token, use, error)) {
		(void)proa_error_make_printable(error);
		return NULL;
	}
	if (token->expires <= trust->now) {
		g_autofree char *expired = proa_role_time_format(token->expires);
		proa_fail(error, PROA_REASON_BAD_TOKEN, "the token expired at %s", expired);
		return NULL;
	}
	return g_steal_pointer(&token);
}

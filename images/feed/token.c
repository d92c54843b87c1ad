/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/token.h"

#include "base/digest.h"
#include "images/feed/envelope.h"
#include "updater/trust/role.h"
#include "updater/trust/token.h"

#include <openssl/rand.h>

#define ID_SIZE 16

JsonObject *proa_token_make(const ProaTokenWish *wish, GError **error)
{
	g_autoptr(JsonObject) content = json_object_new();
	g_autofree char *expires = proa_role_time_format(g_get_real_time() / G_USEC_PER_SEC + wish->lifetime);
	guint8 raw[ID_SIZE];

	if (wish->reason && !g_utf8_validate(wish->reason, -1, NULL)) {
		proa_fail(error, PROA_REASON_USAGE, "the reason is not UTF-8 text");
		return NULL;
	}
	if (wish->node && !proa_hex_valid(wish->node, 2 * ID_SIZE)) {
		proa_fail(error, PROA_REASON_USAGE,
			"--node %s: a machine id has 32 hexadecimal digits (/etc/machine-id of the node)",
			wish->node);
		return NULL;
	}
	if (!wish->node == !wish->pool) {
		proa_fail(error, PROA_REASON_USAGE,
			"a token is for one node or for one pool: --node ID or --pool NAME");
		return NULL;
	}
	if (!wish->reason || !*wish->reason) {
		proa_fail(error, PROA_REASON_USAGE,
			"--reason TEXT is missing: every use of a token is logged with it");
		return NULL;
	}
	if (RAND_bytes(raw, sizeof raw) != 1) {
		proa_fail(error, PROA_REASON_INTERNAL, "no random numbers");
		return NULL;
	}
	g_autofree char *id = proa_hex_encode(raw, sizeof raw);
	json_object_set_string_member(content, "_type", PROA_TOKEN_TYPE);
	json_object_set_string_member(content, "spec_version", "1.0.31");
	json_object_set_int_member(content, "version", 1);
	json_object_set_string_member(content, "expires", expires);
	json_object_set_string_member(content, "id", id);
	json_object_set_string_member(content, "release", wish->release);
	json_object_set_string_member(content, "channel", wish->channel);
	if (wish->node)
		json_object_set_string_member(content, "node", wish->node);
	if (wish->pool)
		json_object_set_string_member(content, "pool", wish->pool);
	json_object_set_string_member(content, "reason", wish->reason);

	g_autoptr(JsonObject) envelope = proa_envelope_new(content);
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	g_autoptr(ProaToken) token = proa_token_parse(bytes, error);
	return token ? g_steal_pointer(&envelope) : NULL;
}

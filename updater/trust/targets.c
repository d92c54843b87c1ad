/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/targets.h"

#include <string.h>

static void target_free(gpointer data)
{
	ProaTrustTarget *target = data;

	if (!target)
		return;
	g_free(target->path);
	g_free(target->sha256);
	g_free(target->sha512);
	g_clear_pointer(&target->custom, json_object_unref);
	g_free(target);
}

static ProaTrustTarget *parse_target(const char *path, JsonObject *object, GError **error)
{
	g_autoptr(ProaFileInfo) info = proa_file_info_parse_target(object, error);

	if (!info)
		return NULL;
	ProaTrustTarget *target = g_new0(ProaTrustTarget, 1);
	target->path = g_strdup(path);
	target->length = info->length;
	target->sha256 = g_steal_pointer(&info->sha256);
	target->sha512 = g_steal_pointer(&info->sha512);
	JsonObject *custom = proa_json_object_or_null(object, "custom");
	target->custom = custom ? json_object_ref(custom) : NULL;
	return target;
}

/* Our member "proa": {"break-glass": {"keys", "keyids", "threshold"}}; unknown to other clients. */
static gboolean parse_token_keys(ProaTargets *targets, JsonObject *content, GError **error)
{
	JsonObject *ours = proa_json_object_or_null(content, "proa");

	if (!ours || !json_object_has_member(ours, "break-glass"))
		return TRUE;
	JsonObject *role = proa_json_object(ours, "break-glass", PROA_REASON_BAD_METADATA, error);
	JsonObject *object = role ? proa_json_object(role, "keys", PROA_REASON_BAD_METADATA, error) : NULL;
	g_autoptr(GHashTable) keys = object ? proa_keys_parse(object, error) : NULL;
	targets->token_keys = keys ? proa_role_keys_new(role, keys, error) : NULL;
	if (!targets->token_keys)
		g_prefix_error(error, "break-glass: ");
	return targets->token_keys != NULL;
}

static gboolean parse_content(ProaTargets *targets, JsonObject *content, GError **error)
{
	if (!proa_role_head_parse(content, "targets", &targets->head, error))
		return FALSE;
	JsonObject *list = proa_json_object(content, "targets", PROA_REASON_BAD_METADATA, error);
	if (!list)
		return FALSE;
	g_autoptr(GList) paths = json_object_get_members(list);
	for (GList *path = paths; path; path = path->next) {
		JsonObject *object = proa_json_object(list, path->data, PROA_REASON_BAD_METADATA, error);
		ProaTrustTarget *target = object ? parse_target(path->data, object, error) : NULL;
		if (!target) {
			g_prefix_error(error, "target %s: ", (const char *)path->data);
			return FALSE;
		}
		g_hash_table_insert(targets->targets, g_strdup(path->data), target);
	}
	if (!parse_token_keys(targets, content, error))
		return FALSE;
	JsonNode *node = json_object_get_member(content, "delegations");
	if (!node || JSON_NODE_HOLDS_NULL(node))
		return TRUE;
	JsonObject *delegations = proa_json_object(content, "delegations", PROA_REASON_BAD_METADATA, error);
	targets->delegations = delegations ? proa_delegations_parse(delegations, error) : NULL;
	if (!targets->delegations)
		g_prefix_error(error, "delegations: ");
	return targets->delegations != NULL;
}

ProaTargets *proa_targets_parse(GBytes *bytes, const char *what, GError **error)
{
	g_autoptr(ProaTargets) targets = g_new0(ProaTargets, 1);

	targets->targets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, target_free);
	targets->file = proa_signed_parse(bytes, PROA_TARGETS_MAX_SIZE, what, error);
	if (!targets->file)
		return NULL;
	if (!parse_content(targets, targets->file->content, error)) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	return g_steal_pointer(&targets);
}

void proa_targets_free(ProaTargets *targets)
{
	if (!targets)
		return;
	g_clear_pointer(&targets->targets, g_hash_table_unref);
	proa_delegations_free(targets->delegations);
	proa_role_keys_free(targets->token_keys);
	proa_signed_free(targets->file);
	g_free(targets);
}

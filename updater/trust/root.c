/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/root.h"

const char *proa_role_to_string(ProaRole role)
{
	static const char *const names[] = { "root", "timestamp", "snapshot", "targets" };

	return names[role];
}

static gboolean parse_roles(ProaRoot *root, JsonObject *content, GError **error)
{
	JsonObject *object = proa_json_object(content, "keys", PROA_REASON_BAD_METADATA, error);
	g_autoptr(GHashTable) keys = object ? proa_keys_parse(object, error) : NULL;
	JsonObject *roles = keys ? proa_json_object(content, "roles", PROA_REASON_BAD_METADATA, error) : NULL;

	if (!roles)
		return FALSE;
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++) {
		const char *name = proa_role_to_string(role);
		JsonObject *member = proa_json_object(roles, name, PROA_REASON_BAD_METADATA, error);
		root->roles[role] = member ? proa_role_keys_new(member, keys, error) : NULL;
		if (!root->roles[role]) {
			g_prefix_error(error, "role %s: ", name);
			return FALSE;
		}
	}
	return TRUE;
}

ProaRoot *proa_root_parse(GBytes *bytes, const char *what, GError **error)
{
	g_autoptr(ProaRoot) root = g_new0(ProaRoot, 1);

	root->file = proa_signed_parse(bytes, PROA_ROOT_MAX_SIZE, what, error);
	if (!root->file)
		return NULL;
	JsonObject *content = root->file->content;
	if (!proa_role_head_parse(content, "root", &root->head, error) ||
		!parse_roles(root, content, error) ||
		!proa_json_bool(content, "consistent_snapshot", FALSE, &root->consistent_snapshot,
			PROA_REASON_BAD_METADATA, error)) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	return g_steal_pointer(&root);
}

void proa_root_free(ProaRoot *root)
{
	if (!root)
		return;
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++)
		proa_role_keys_free(root->roles[role]);
	proa_signed_free(root->file);
	g_free(root);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/delegation.h"

#include "base/digest.h"
#include "updater/trust/store.h"

#include <string.h>

typedef struct {
	char *name;
	ProaRoleKeys *keys;
	gboolean terminating;
	char **paths;    /* NULL: by digest */
	char **prefixes; /* NULL: by path */
} Role;

struct ProaDelegations {
	GHashTable *keys;
	GPtrArray *roles; /* Role, in order; NULL: succinct */
	ProaRoleKeys *bin_keys;
	guint bin_bits; /* 1 to 32 */
	char *bin_prefix;
};

static void role_free(gpointer data)
{
	Role *role = data;

	if (!role)
		return;
	g_free(role->name);
	proa_role_keys_free(role->keys);
	g_strfreev(role->paths);
	g_strfreev(role->prefixes);
	g_free(role);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Role, role_free)

static void delegate_free(gpointer data)
{
	ProaDelegate *delegate = data;

	g_free(delegate->name);
	g_free(delegate);
}

/* One path segment (no '/') against one of a pattern; backtracks over the last '*' only, so never
 * exponential. */
static gboolean segment_matches(
	const char *pattern, const char *pattern_end, const char *text, const char *text_end)
{
	const char *star = NULL, *resume = NULL;

	while (text < text_end) {
		if (pattern < pattern_end && *pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (pattern < pattern_end && *pattern == '?') {
			pattern++;
			text = g_utf8_next_char(text);
		} else if (pattern < pattern_end && *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = resume = g_utf8_next_char(resume);
		} else {
			return FALSE;
		}
	}
	while (pattern < pattern_end && *pattern == '*')
		pattern++;
	return pattern == pattern_end;
}

gboolean proa_delegation_pattern_matches(const char *pattern, const char *path, gboolean prefix)
{
	for (;;) {
		const char *pattern_end = strchrnul(pattern, '/'), *path_end = strchrnul(path, '/');
		/* What the last segment of a prefix grows into is open; the patterns here are few, so guess
		 * wide. */
		if (prefix && !*path_end)
			return TRUE;
		if (!segment_matches(pattern, pattern_end, path, path_end))
			return FALSE;
		if (!*pattern_end || !*path_end)
			return *pattern_end == *path_end;
		pattern = pattern_end + 1;
		path = path_end + 1;
	}
}

static char **parse_strings(JsonObject *object, const char *member, GError **error)
{
	JsonArray *array = proa_json_array(object, member, PROA_REASON_BAD_METADATA, error);

	if (!array)
		return NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		const char *text = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
		if (!text) {
			proa_fail(error, PROA_REASON_BAD_METADATA, "\"%s\" holds something that is no string",
				member);
			return NULL;
		}
		g_strv_builder_add(builder, text);
	}
	return g_strv_builder_end(builder);
}

/* The name becomes a file name in the store; 255 bytes less what is added to it. */
static gboolean fits_a_file_name(const char *name)
{
	g_autofree char *quoted = proa_store_quote(name);

	return *name && strlen(quoted) <= 230;
}

static gboolean name_allowed(const char *name)
{
	static const char *const taken[] = { "root", "timestamp", "snapshot", "targets", NULL };

	return !g_strv_contains(taken, name) && fits_a_file_name(name);
}

static Role *parse_role(JsonObject *object, GHashTable *keys, GError **error)
{
	g_autoptr(Role) role = g_new0(Role, 1);
	const char *name = proa_json_string(object, "name", PROA_REASON_BAD_METADATA, error);

	if (!name)
		return NULL;
	if (!name_allowed(name)) {
		proa_fail(error, PROA_REASON_BAD_METADATA, "\"%s\" may not be the name of a delegated role",
			name);
		return NULL;
	}
	role->name = g_strdup(name);
	role->keys = proa_role_keys_new(object, keys, error);
	/* One that is mistyped must not pass for one that lets others speak. */
	if (!role->keys || !proa_json_bool(object, "terminating", FALSE, &role->terminating,
				   PROA_REASON_BAD_METADATA, error))
		return NULL;
	gboolean by_path = json_object_has_member(object, "paths");
	if (by_path == json_object_has_member(object, "path_hash_prefixes")) {
		proa_fail(error, PROA_REASON_BAD_METADATA,
			"role %s: one of \"paths\" and \"path_hash_prefixes\" is due", name);
		return NULL;
	}
	if (by_path)
		role->paths = parse_strings(object, "paths", error);
	else
		role->prefixes = parse_strings(object, "path_hash_prefixes", error);
	return role->paths || role->prefixes ? g_steal_pointer(&role) : NULL;
}

static gboolean parse_roles(ProaDelegations *delegations, JsonArray *list, GError **error)
{
	g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

	if (json_array_get_length(list) > PROA_DELEGATION_MAX_ROLES)
		return proa_fail(error, PROA_REASON_BAD_METADATA, "more than %d delegated roles",
			PROA_DELEGATION_MAX_ROLES);
	delegations->roles = g_ptr_array_new_with_free_func(role_free);
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonNode *node = json_array_get_element(list, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return proa_fail(
				error, PROA_REASON_BAD_METADATA, "a delegated role is not an object");
		Role *role = parse_role(json_node_get_object(node), delegations->keys, error);
		if (!role)
			return FALSE;
		g_ptr_array_add(delegations->roles, role);
		if (!g_hash_table_add(names, role->name))
			return proa_fail(
				error, PROA_REASON_BAD_METADATA, "the role %s comes twice", role->name);
	}
	return TRUE;
}

static gboolean parse_succinct(ProaDelegations *delegations, JsonObject *object, GError **error)
{
	gint64 bits;
	const char *prefix = proa_json_string(object, "name_prefix", PROA_REASON_BAD_METADATA, error);

	if (!prefix || !proa_json_int(object, "bit_length", 1, 32, &bits, PROA_REASON_BAD_METADATA, error))
		return FALSE;
	/* The names are "PREFIX-<bin>": none can be a top-level role's. */
	if (!fits_a_file_name(prefix))
		return proa_fail(error, PROA_REASON_BAD_METADATA,
			"\"%s\" may not be the prefix of delegated roles", prefix);
	delegations->bin_prefix = g_strdup(prefix);
	delegations->bin_bits = (guint)bits;
	delegations->bin_keys = proa_role_keys_new(object, delegations->keys, error);
	return delegations->bin_keys != NULL;
}

ProaDelegations *proa_delegations_parse(JsonObject *object, GError **error)
{
	g_autoptr(ProaDelegations) delegations = g_new0(ProaDelegations, 1);
	JsonObject *keys = proa_json_object(object, "keys", PROA_REASON_BAD_METADATA, error);
	gboolean listed = json_object_has_member(object, "roles");

	delegations->keys = keys ? proa_keys_parse(keys, error) : NULL;
	if (!delegations->keys)
		return NULL;
	if (listed == json_object_has_member(object, "succinct_roles")) {
		proa_fail(error, PROA_REASON_BAD_METADATA, "one of \"roles\" and \"succinct_roles\" is due");
		return NULL;
	}
	if (listed) {
		JsonArray *list = proa_json_array(object, "roles", PROA_REASON_BAD_METADATA, error);
		if (!list || !parse_roles(delegations, list, error))
			return NULL;
	} else {
		JsonObject *succinct =
			proa_json_object(object, "succinct_roles", PROA_REASON_BAD_METADATA, error);
		if (!succinct || !parse_succinct(delegations, succinct, error))
			return NULL;
	}
	return g_steal_pointer(&delegations);
}

void proa_delegations_free(ProaDelegations *delegations)
{
	if (!delegations)
		return;
	g_clear_pointer(&delegations->keys, g_hash_table_unref);
	g_clear_pointer(&delegations->roles, g_ptr_array_unref);
	proa_role_keys_free(delegations->bin_keys);
	g_free(delegations->bin_prefix);
	g_free(delegations);
}

static void add_delegate(
	GPtrArray *delegates, char *name_taken, const ProaRoleKeys *keys, gboolean terminating)
{
	ProaDelegate *delegate = g_new0(ProaDelegate, 1);

	delegate->name = name_taken;
	delegate->keys = keys;
	delegate->terminating = terminating;
	g_ptr_array_add(delegates, delegate);
}

/* TAP 15: the bin's number in as many hexadecimal digits as the highest one needs. A bin is always
 * terminating. */
static void add_bin(GPtrArray *delegates, const ProaDelegations *delegations, guint32 bin)
{
	guint digits = (delegations->bin_bits + 3) / 4;

	add_delegate(delegates, g_strdup_printf("%s-%0*x", delegations->bin_prefix, (int)digits, bin),
		delegations->bin_keys, TRUE);
}

static gboolean role_matches(const Role *role, const char *path, const char *digest)
{
	for (char **pattern = role->paths; pattern && *pattern; pattern++)
		if (proa_delegation_pattern_matches(*pattern, path, FALSE))
			return TRUE;
	for (char **prefix = role->prefixes; prefix && *prefix; prefix++)
		if (g_str_has_prefix(digest, *prefix))
			return TRUE;
	return FALSE;
}

GPtrArray *proa_delegations_for_path(const ProaDelegations *delegations, const char *path)
{
	GPtrArray *delegates = g_ptr_array_new_with_free_func(delegate_free);
	g_autofree char *digest = proa_sha256_hex(path, strlen(path));

	if (!delegations->roles) {
		g_autofree char *head = g_strndup(digest, 8);
		guint64 bits = g_ascii_strtoull(head, NULL, 16);
		add_bin(delegates, delegations, (guint32)(bits >> (32 - delegations->bin_bits)));
		return delegates;
	}
	for (guint i = 0; i < delegations->roles->len; i++) {
		const Role *role = g_ptr_array_index(delegations->roles, i);
		if (role_matches(role, path, digest))
			add_delegate(delegates, g_strdup(role->name), role->keys, role->terminating);
	}
	return delegates;
}

GPtrArray *proa_delegations_all(const ProaDelegations *delegations)
{
	GPtrArray *delegates = g_ptr_array_new_with_free_func(delegate_free);

	for (guint i = 0; delegations->roles && i < delegations->roles->len; i++) {
		const Role *role = g_ptr_array_index(delegations->roles, i);
		add_delegate(delegates, g_strdup(role->name), role->keys, role->terminating);
	}
	return delegates;
}

GPtrArray *proa_delegations_for_prefix(const ProaDelegations *delegations, const char *prefix)
{
	GPtrArray *delegates = g_ptr_array_new_with_free_func(delegate_free);

	if (!delegations->roles) {
		guint64 bins = MIN((guint64)1 << delegations->bin_bits, PROA_DELEGATION_MAX_LISTED_BINS);
		for (guint32 bin = 0; bin < bins; bin++)
			add_bin(delegates, delegations, bin);
		return delegates;
	}
	for (guint i = 0; i < delegations->roles->len; i++) {
		const Role *role = g_ptr_array_index(delegations->roles, i);
		gboolean may = role->prefixes != NULL;
		for (char **pattern = role->paths; !may && pattern && *pattern; pattern++)
			may = proa_delegation_pattern_matches(*pattern, prefix, TRUE);
		if (may)
			add_delegate(delegates, g_strdup(role->name), role->keys, role->terminating);
	}
	return delegates;
}

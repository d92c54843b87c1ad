/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/trust.h"

#include "updater/trust/refresh.h"

#include <string.h>

/* Roles that a search for one path may visit (TUF 5.6.7.1), and a listing. */
#define MAX_VISITED_BY_SEARCH 64
#define MAX_VISITED_BY_LISTING 1024

/* A role still to be visited. */
typedef struct {
	char *name;
	const ProaRoleKeys *keys; /* owned by the metadata of the delegating role */
} Visit;

static Visit *visit_new(const char *name, const ProaRoleKeys *keys)
{
	Visit *visit = g_new0(Visit, 1);

	visit->name = g_strdup(name);
	visit->keys = keys;
	return visit;
}

static void visit_free(gpointer data)
{
	Visit *visit = data;

	if (!visit)
		return;
	g_free(visit->name);
	g_free(visit);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visit, visit_free)

static void targets_release(gpointer data)
{
	proa_targets_free(data);
}

ProaTrust *proa_trust_open(
	const char *store_dir, const char *shipped_root_path, gint64 build_time, GError **error)
{
	g_autoptr(ProaTrust) trust = g_new0(ProaTrust, 1);

	trust->build_time = build_time;
	trust->targets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	trust->retired = g_ptr_array_new_with_free_func(targets_release);
	trust->store = proa_store_open(store_dir, error);
	if (!trust->store || !proa_refresh_load_root(trust, shipped_root_path, error)) {
		(void)proa_error_make_printable(error);
		return NULL;
	}
	return g_steal_pointer(&trust);
}

void proa_trust_free(ProaTrust *trust)
{
	if (!trust)
		return;
	proa_refresh_forget_targets(trust);
	g_clear_pointer(&trust->targets, g_hash_table_unref);
	g_clear_pointer(&trust->retired, g_ptr_array_unref);
	proa_snapshot_free(trust->snapshot);
	proa_timestamp_free(trust->timestamp);
	proa_root_free(trust->root);
	proa_store_free(trust->store);
	g_free(trust);
}

gboolean proa_trust_refresh(ProaTrust *trust, ProaTrustFetch fetch, gpointer data, GError **error)
{
	trust->fetch = fetch;
	trust->fetch_data = data;
	return proa_refresh_run(trust, error) || proa_error_make_printable(error);
}

gboolean proa_trust_poll(
	ProaTrust *trust, ProaTrustFetch fetch, gpointer data, gboolean *ret_news, GError **error)
{
	trust->fetch = fetch;
	trust->fetch_data = data;
	return proa_refresh_poll(trust, ret_news, error) || proa_error_make_printable(error);
}

void proa_trust_accept_stale(ProaTrust *trust, gint64 until)
{
	trust->accept_stale = until;
}

gboolean proa_trust_was_stale(const ProaTrust *trust)
{
	return trust->was_stale;
}

/*
 * Puts the delegates on the stack (the end of the array is its top) so that the first is visited first. A
 * terminating one ends the search after it and its own delegates: whatever waited on the stack is never
 * visited (TUF 5.6.7.2).
 */
static void push_delegates(GPtrArray *stack, const GPtrArray *delegates, gboolean heed_terminating)
{
	guint count = delegates->len;

	for (guint i = 0; heed_terminating && i < count; i++) {
		const ProaDelegate *delegate = g_ptr_array_index(delegates, i);
		if (!delegate->terminating)
			continue;
		g_ptr_array_set_size(stack, 0);
		count = i + 1;
	}
	for (guint i = count; i > 0; i--) {
		const ProaDelegate *delegate = g_ptr_array_index(delegates, i - 1);
		g_ptr_array_add(stack, visit_new(delegate->name, delegate->keys));
	}
}

/*
 * The next role on the stack that was not visited yet, loaded; NULL without an error when there is none, or
 * when @max were: it is on the stack then.
 */
static ProaTargets *next_role(
	ProaTrust *trust, GPtrArray *stack, GHashTable *visited, guint max, GError **error)
{
	while (stack->len > 0) {
		const Visit *top = g_ptr_array_index(stack, stack->len - 1);
		if (!g_hash_table_contains(visited, top->name) && g_hash_table_size(visited) >= max)
			return NULL;
		g_autoptr(Visit) visit = g_ptr_array_steal_index(stack, stack->len - 1);
		if (g_hash_table_contains(visited, visit->name))
			continue;
		g_hash_table_add(visited, g_strdup(visit->name));
		return proa_refresh_targets(trust, visit->name, visit->keys, error);
	}
	return NULL;
}

static ProaFileInfo info_of(const ProaTrustTarget *target)
{
	return (ProaFileInfo){ .length = target->length,
		.sha256 = target->sha256,
		.sha512 = target->sha512,
		.unknown = !target->sha256 && !target->sha512 };
}

/* TUF 5.6.7. */
static const ProaTrustTarget *search(ProaTrust *trust, const char *path, GError **error)
{
	g_autoptr(GPtrArray) stack = g_ptr_array_new_with_free_func(visit_free);
	g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GError) inner = NULL;
	ProaTargets *role;

	/* Pre-order, depth first. */
	g_ptr_array_add(stack, visit_new("targets", trust->root->roles[PROA_ROLE_TARGETS]));
	while ((role = next_role(trust, stack, visited, MAX_VISITED_BY_SEARCH, &inner))) {
		ProaTrustTarget *target = g_hash_table_lookup(role->targets, path);
		if (target) {
			target->consistent = trust->root->consistent_snapshot;
			return target;
		}
		if (!role->delegations)
			continue;
		g_autoptr(GPtrArray) delegates = proa_delegations_for_path(role->delegations, path);
		push_delegates(stack, delegates, TRUE);
	}
	if (inner)
		g_propagate_prefixed_error(error, g_steal_pointer(&inner), "looking for %s: ", path);
	else
		proa_fail(error, PROA_REASON_NOT_FOUND, "the feed vouches for no file %s", path);
	return NULL;
}

const ProaTrustTarget *proa_trust_find_target(ProaTrust *trust, const char *path, GError **error)
{
	if (!trust->fresh) {
		proa_fail(error, PROA_REASON_INTERNAL, "the feed's metadata was not refreshed");
		return NULL;
	}
	const ProaTrustTarget *target = search(trust, path, error);
	ProaFileInfo info = target ? info_of(target) : (ProaFileInfo){ 0 };
	/* Of no use, it is the answer all the same: nobody after it may speak for the path. */
	if (target && proa_file_info_usable(&info, path, error))
		return target;
	(void)proa_error_make_printable(error);
	return NULL;
}

/* The paths with @prefix that any role names, whether or not it may; sorted. */
static GPtrArray *collect_paths(ProaTrust *trust, const char *prefix, GError **error)
{
	g_autoptr(GPtrArray) stack = g_ptr_array_new_with_free_func(visit_free);
	g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) inner = NULL;
	ProaTargets *role;

	g_ptr_array_add(stack, visit_new("targets", trust->root->roles[PROA_ROLE_TARGETS]));
	while ((role = next_role(trust, stack, visited, MAX_VISITED_BY_LISTING, &inner))) {
		GHashTableIter iter;
		gpointer path;
		g_hash_table_iter_init(&iter, role->targets);
		while (g_hash_table_iter_next(&iter, &path, NULL)) {
			if (!g_str_has_prefix(path, prefix) || g_hash_table_contains(seen, path))
				continue;
			g_ptr_array_add(paths, g_strdup(path));
			g_hash_table_add(seen, g_ptr_array_index(paths, paths->len - 1));
		}
		if (!role->delegations)
			continue;
		g_autoptr(GPtrArray) delegates = proa_delegations_for_prefix(role->delegations, prefix);
		push_delegates(stack, delegates, FALSE);
	}
	/* A list that lacks some would pass for all. */
	if (!inner && stack->len > 0)
		proa_fail(&inner, PROA_REASON_TOO_LARGE, "more than %d roles are delegated to",
			MAX_VISITED_BY_LISTING);
	if (inner) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	g_ptr_array_sort_values(paths, (GCompareFunc)strcmp);
	return g_steal_pointer(&paths);
}

GPtrArray *proa_trust_list_targets(ProaTrust *trust, const char *prefix, GError **error)
{
	if (!trust->fresh) {
		proa_fail(error, PROA_REASON_INTERNAL, "the feed's metadata was not refreshed");
		return NULL;
	}
	g_autoptr(GPtrArray) paths = collect_paths(trust, prefix, error);
	if (!paths) {
		(void)proa_error_make_printable(error);
		return NULL;
	}
	/* Who may speak for a path, and who speaks first, is for the search to say. */
	g_autoptr(GPtrArray) targets = g_ptr_array_new();
	for (guint i = 0; i < paths->len; i++) {
		g_autoptr(GError) inner = NULL;
		const ProaTrustTarget *target = search(trust, g_ptr_array_index(paths, i), &inner);
		if (target) {
			if (!info_of(target).unknown)
				g_ptr_array_add(targets, (gpointer)(guintptr)target);
		} else if (!g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			(void)proa_error_make_printable(error);
			return NULL;
		}
	}
	return g_steal_pointer(&targets);
}

static void role_free(gpointer data)
{
	ProaTrustRole *role = data;

	g_free(role->name);
	g_free(role);
}

static void add_role(GPtrArray *roles, const char *name, const ProaRoleHead *head)
{
	ProaTrustRole *role = g_new0(ProaTrustRole, 1);

	role->name = g_strdup(name);
	role->version = head->version;
	role->expires = head->expires;
	g_ptr_array_add(roles, role);
}

GPtrArray *proa_trust_roles(const ProaTrust *trust)
{
	GPtrArray *roles = g_ptr_array_new_with_free_func(role_free);
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(trust->targets), (GCompareFunc)strcmp);
	const ProaTargets *top = g_hash_table_lookup(trust->targets, "targets");

	add_role(roles, "root", &trust->root->head);
	if (trust->timestamp)
		add_role(roles, "timestamp", &trust->timestamp->head);
	if (trust->snapshot)
		add_role(roles, "snapshot", &trust->snapshot->head);
	if (top)
		add_role(roles, "targets", &top->head);
	for (GList *name = names; name; name = name->next) {
		const ProaTargets *targets = g_hash_table_lookup(trust->targets, name->data);
		if (targets != top)
			add_role(roles, name->data, &targets->head);
	}
	return roles;
}

char *proa_trust_target_url_path(const ProaTrustTarget *target)
{
	const char *slash = strrchr(target->path, '/');
	const char *name = slash ? slash + 1 : target->path;

	if (!target->consistent)
		return g_strconcat("targets/", target->path, NULL);
	return g_strdup_printf("targets/%.*s%s.%s", (int)(name - target->path), target->path,
		target->sha256 ? target->sha256 : target->sha512, name);
}

gboolean proa_trust_check_target(const ProaTrustTarget *target, GBytes *content, GError **error)
{
	ProaFileInfo info = info_of(target);

	return proa_file_info_check(&info, content, target->path, error);
}

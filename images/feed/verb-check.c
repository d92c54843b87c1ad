/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only read a feed: audit and mirror. */
#include "images/feed/audit.h"
#include "images/feed/mirror.h"
#include "images/feed/verbs.h"
#include "updater/trust/role.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

/* A walk in a store of its own, which goes with it. */
static ProaWalk *walk_new(const char *place, const ProaWalkOptions *options, char **ret_store, GError **error)
{
	g_autofree char *store = g_dir_make_tmp("proa-feed-XXXXXX", error);

	if (!store)
		return NULL;
	ProaWalk *walk = proa_walk_new(place, options, store, error);
	*ret_store = g_steal_pointer(&store);
	return walk;
}

static void remove_store(char *store)
{
	if (store)
		nftw(store, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_free(store);
}

static ProaExit audit(Call *call, ProaWalk *walk)
{
	g_autoptr(JsonObject) result = proa_audit_run(walk);

	json_object_set_string_member(result, "event", "done");
	json_object_set_string_member(result, "verb", call->verb);
	if (call->json)
		verb_say(call, result, " ");
	else
		proa_audit_print(result);
	return walk->problems->len == 0 ? PROA_EXIT_OK : PROA_EXIT_FAILED;
}

ProaExit verb_audit(Call *call, GError **error)
{
	const ProaWalkOptions options = {
		.root = call->root, .channel = call->channel, .go_on = TRUE, .as_a_node = TRUE
	};
	char *store = NULL;
	g_autoptr(ProaWalk) walk = walk_new(call->feed, &options, &store, error);
	ProaExit status = walk ? audit(call, walk) : PROA_EXIT_FAILED;

	remove_store(store);
	return status;
}

/* What was accepted though it had expired is the operator's decision, and is said each time. */
static void warn_of_stale(const Call *call, const ProaWalk *walk)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(walk->trust);
	g_autofree char *until = proa_role_time_format(call->accept_stale);

	for (guint i = 0; proa_trust_was_stale(walk->trust) && i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		g_autofree char *expires = proa_role_time_format(role->expires);
		g_autofree char *name = proa_printable(role->name);
		if (role->expires <= g_get_real_time() / G_USEC_PER_SEC)
			fprintf(stderr, "proa-feed: %s expired at %s; accepted until %s (--accept-stale)\n",
				name, expires, until);
	}
}

ProaExit verb_mirror(Call *call, GError **error)
{
	const ProaWalkOptions walking = {
		.root = call->root,
		.channel = call->channel,
		.accept_stale = call->accept_stale,
	};
	char *store = NULL;
	g_autoptr(ProaWalk) walk = walk_new(call->argv[1], &walking, &store, error);
	g_autoptr(JsonObject) result = verb_result(call);
	const ProaMirrorOptions options = { .trees = !call->no_trees, .prune = call->prune };
	ProaMirrored mirrored;
	if (walk)
		warn_of_stale(call, walk);
	gboolean ok = walk && proa_mirror_run(walk, call->feed, &options, &mirrored, error);

	remove_store(store);
	if (!ok)
		return PROA_EXIT_FAILED;
	json_object_set_int_member(result, "files", mirrored.files);
	json_object_set_int_member(result, "fetched", mirrored.fetched);
	json_object_set_int_member(result, "damaged", mirrored.damaged);
	json_object_set_int_member(result, "bytes", mirrored.bytes);
	json_object_set_int_member(result, "trees", mirrored.trees);
	json_object_set_int_member(result, "removed", mirrored.removed);
	json_object_set_int_member(result, "freed", mirrored.freed);
	g_autofree char *removed = g_strdup_printf(
		"; %u files removed (%.1f MB)", mirrored.removed, (double)mirrored.freed / 1e6);
	g_autofree char *damaged = g_strdup_printf("; %u of these were there, but damaged", mirrored.damaged);
	verb_say(call, result, "%s mirrors %s: %u files, %u of them fetched (%.1f MB%s), %u tree%s%s.",
		call->feed, call->argv[1], mirrored.files, mirrored.fetched, (double)mirrored.bytes / 1e6,
		mirrored.damaged ? damaged : "", mirrored.trees, mirrored.trees == 1 ? "" : "s",
		call->prune ? removed : "");
	return PROA_EXIT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/walk.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/version.h"
#include "images/feed/release.h"
#include "updater/release/manifest.h"
#include "updater/trust/role.h"
#include "updater/trust/targets.h"

#include <stdio.h>
#include <string.h>

#define PROGRESS_INTERVAL (2 * G_USEC_PER_SEC)
#define MAX_FILES 100000

static void file_free(gpointer data)
{
	ProaWalkFile *file = data;

	g_free(file->path);
	g_free(file->sha256);
	g_clear_pointer(&file->bytes, g_bytes_unref);
	g_free(file);
}

static void tree_free(gpointer data)
{
	ProaWalkTree *tree = data;

	g_free(tree->commit);
	g_free(tree->ref);
	g_free(tree);
}

static void problem_free(gpointer data)
{
	ProaWalkProblem *problem = data;

	g_free(problem->path);
	g_free(problem->message);
	g_free(problem);
}

void proa_walk_progress(const char *what, guint done, guint all)
{
	static gint64 last;
	gint64 now = g_get_monotonic_time();

	if (last != 0 && now - last < PROGRESS_INTERVAL)
		return;
	if (last != 0)
		fprintf(stderr, "proa-feed: %s: %u of %u files\n", what, done, all);
	last = now;
}

void proa_walk_add_problem(ProaWalk *walk, const char *path, const GError *error)
{
	ProaWalkProblem *problem = g_new0(ProaWalkProblem, 1);

	problem->path = proa_printable(path);
	problem->reason = proa_reason_of(error);
	problem->message = proa_printable(error->message);
	g_ptr_array_add(walk->problems, problem);
}

static gboolean add_file(
	ProaWalk *walk, const char *path, gint64 size, const char *sha256, GBytes *bytes, GError **error)
{
	for (guint i = 0; i < walk->files->len; i++)
		if (strcmp(((ProaWalkFile *)walk->files->pdata[i])->path, path) == 0)
			return TRUE;
	if (walk->files->len >= MAX_FILES)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "more than %d files", MAX_FILES);
	ProaWalkFile *file = g_new0(ProaWalkFile, 1);
	file->path = g_strdup(path);
	file->size = size;
	file->sha256 = g_strdup(sha256);
	file->bytes = bytes ? g_bytes_ref(bytes) : NULL;
	g_ptr_array_add(walk->files, file);
	return TRUE;
}

/* A file of content lies in one of these folders, and its name leads nowhere else. */
static gboolean path_allowed(const char *path)
{
	const char *slash = strchr(path, '/');

	if (!slash || (!g_str_has_prefix(path, "payloads/") && !g_str_has_prefix(path, "sbom/")))
		return FALSE;
	for (const char *c = slash + 1; *c; c++)
		if (!g_ascii_isalnum(*c) && !strchr("._-", *c))
			return FALSE;
	return slash[1] && slash[1] != '.';
}

static gboolean take_node(ProaWalk *walk, JsonNode *node, GError **error);

/* An object of a manifest: a file if it says so, whatever its kind; and whatever is inside of it. */
static gboolean take_object(ProaWalk *walk, JsonObject *object, GError **error)
{
	const char *file = proa_json_string_or(object, "file", NULL);
	const char *sha256 = proa_json_string_or(object, "sha256", NULL);
	gint64 size = proa_json_int_or(object, "size", -1);
	g_autoptr(GList) members = json_object_get_members(object);

	if (file) {
		if (!sha256 || !proa_sha256_hex_valid(sha256) || size < 0 || !path_allowed(file))
			return proa_fail(error, PROA_REASON_BAD_MANIFEST,
				"\"%s\" is described without size and digest, or lies elsewhere", file);
		if (!add_file(walk, file, size, sha256, NULL, error))
			return FALSE;
	}
	for (GList *member = members; member; member = member->next)
		if (!take_node(walk, json_object_get_member(object, member->data), error))
			return FALSE;
	return TRUE;
}

static gboolean take_node(ProaWalk *walk, JsonNode *node, GError **error)
{
	if (JSON_NODE_HOLDS_OBJECT(node))
		return take_object(walk, json_node_get_object(node), error);
	JsonArray *array = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
	for (guint i = 0; array && i < json_array_get_length(array); i++)
		if (!take_node(walk, json_array_get_element(array, i), error))
			return FALSE;
	return TRUE;
}

/* "stable/1.0.1/manifest.json" and what is in it give the ref that `proa-feed add` made. */
static gboolean take_tree(ProaWalk *walk, const char *path, JsonObject *manifest, GError **error)
{
	const char *commit = proa_json_string_or(manifest, "tree", NULL);
	const char *architecture = proa_json_string_or(manifest, "architecture", "");
	const char *version = proa_json_string_or(manifest, "version", "");

	if (!commit)
		return TRUE;
	if (!proa_sha256_hex_valid(commit) || !proa_version_valid(version) || !*architecture ||
		strspn(architecture, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(architecture))
		return proa_fail(
			error, PROA_REASON_BAD_MANIFEST, "\"%s\" is not the tree of a release", commit);
	ProaWalkTree *tree = g_new0(ProaWalkTree, 1);
	tree->commit = g_strdup(commit);
	tree->ref = g_strdup_printf("proa/%.*s/%s/%s", (int)strcspn(path, "/"), path, architecture, version);
	g_ptr_array_add(walk->trees, tree);
	return TRUE;
}

/* What a node would refuse is told here: the manifest as a whole, and that it is the one of its path. */
static gboolean check_manifest(const char *path, const char *text, gsize size, GError **error)
{
	if (!g_str_has_suffix(path, "/manifest.json"))
		return TRUE;
	g_autoptr(ProaManifest) manifest = proa_manifest_parse(text, size, error);
	if (!manifest)
		return FALSE;
	g_autofree char *end = g_strconcat("/", manifest->version, "/manifest.json", NULL);
	return g_str_has_suffix(path, end) ||
	       proa_fail(error, PROA_REASON_BAD_MANIFEST, "it is the manifest of %s", manifest->version);
}

static gboolean take_target(
	ProaWalk *walk, const ProaWalkOptions *options, const ProaTrustTarget *target, GError **error)
{
	g_autofree char *path = proa_trust_target_url_path(target);
	g_autofree char *quoted = proa_source_quote(path);

	if (target->length > (gint64)PROA_RELEASE_MAX_MANIFEST)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "over %zu bytes", PROA_RELEASE_MAX_MANIFEST);
	g_autoptr(GBytes) bytes = proa_source_read(walk->source, quoted, (gsize)target->length, error);
	if (!bytes || !proa_trust_check_target(target, bytes, error) ||
		!add_file(walk, path, target->length, target->sha256, bytes, error))
		return FALSE;
	gsize size;
	const char *text = g_bytes_get_data(bytes, &size);
	g_autoptr(JsonObject) manifest =
		proa_json_parse(text ? text : "", size, path, PROA_REASON_BAD_MANIFEST, error);
	return manifest && take_object(walk, manifest, error) &&
	       take_tree(walk, target->path, manifest, error) &&
	       (!options->as_a_node || check_manifest(target->path, text ? text : "", size, error));
}

/* Whether a channel without a release is one at all: its role was needed for the listing then. */
static gboolean check_channel(ProaWalk *walk, const char *channel, GError **error)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(walk->trust);

	for (guint i = 0; i < roles->len; i++)
		if (strcmp(((ProaTrustRole *)roles->pdata[i])->name, channel) == 0)
			return TRUE;
	return proa_fail(error, PROA_REASON_NOT_FOUND, "%s has no channel %s",
		proa_source_place(walk->source), channel);
}

/* What a channel's role, or any (NULL), vouches for. */
static GPtrArray *list_targets(ProaWalk *walk, const char *channel, GError **error)
{
	g_autofree char *prefix = channel ? g_strconcat(channel, "/", NULL) : g_strdup("");

	return proa_trust_list_targets(walk->trust, prefix, error);
}

/* The feed's targets, as the store got them and verified them. */
static ProaTargets *top_targets(const ProaWalk *walk, GError **error)
{
	g_autofree char *path = g_build_filename(walk->store, "targets.json", NULL);
	gsize size;
	char *text = proa_file_read(path, PROA_TARGETS_MAX_SIZE, &size, error);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;

	return bytes ? proa_targets_parse(bytes, path, error) : NULL;
}

static void hint_at_channel(GError **error)
{
	if (error && g_error_matches(*error, PROA_ERROR, PROA_REASON_NOT_FOUND))
		g_prefix_error(error, "a mirror of one channel must be named with --channel: ");
}

static int compare_targets(gconstpointer a, gconstpointer b)
{
	return strcmp(((const ProaTrustTarget *)a)->path, ((const ProaTrustTarget *)b)->path);
}

/*
 * What is left of a feed of which all can't be listed, for @why: what targets itself vouches for, and each
 * channel that holds. One that does not is a problem.
 */
static GPtrArray *list_what_holds(ProaWalk *walk, const GError *why, GError **error)
{
	g_autoptr(ProaTargets) top = top_targets(walk, error);
	g_autoptr(GHashTable) found = g_hash_table_new(g_str_hash, g_str_equal); /* owned by the trust */
	guint before = walk->problems->len;
	GHashTableIter iter;
	gpointer path;

	if (!top)
		return NULL;
	g_autoptr(GPtrArray) channels =
		top->delegations ? proa_delegations_all(top->delegations) : g_ptr_array_new();
	for (guint i = 0; i < channels->len; i++) {
		const char *channel = ((const ProaDelegate *)channels->pdata[i])->name;
		g_autoptr(GError) inner = NULL;
		g_autoptr(GPtrArray) targets = list_targets(walk, channel, &inner);
		hint_at_channel(&inner);
		if (!targets)
			proa_walk_add_problem(walk, channel, inner);
		for (guint j = 0; targets && j < targets->len; j++) {
			ProaTrustTarget *target = targets->pdata[j];
			g_hash_table_insert(found, target->path, target);
		}
	}
	g_hash_table_iter_init(&iter, top->targets);
	while (g_hash_table_iter_next(&iter, &path, NULL)) {
		const ProaTrustTarget *target = proa_trust_find_target(walk->trust, path, NULL);
		if (target)
			g_hash_table_insert(found, target->path, (gpointer)(guintptr)target);
	}
	/* Of a role that is no channel. */
	if (walk->problems->len == before)
		proa_walk_add_problem(walk, "targets", why);
	GPtrArray *targets = g_hash_table_get_values_as_ptr_array(found);
	g_ptr_array_sort_values(targets, compare_targets);
	return targets;
}

static GPtrArray *choose_targets(ProaWalk *walk, const ProaWalkOptions *options, GError **error)
{
	const char *channel = options->channel;
	g_autoptr(GError) inner = NULL;
	g_autoptr(GPtrArray) targets = list_targets(walk, channel, &inner);

	if (targets && channel && targets->len == 0 && !check_channel(walk, channel, error))
		return NULL;
	if (targets)
		return g_steal_pointer(&targets);
	if (options->go_on && !channel)
		return list_what_holds(walk, inner, error);
	if (options->go_on) {
		proa_walk_add_problem(walk, channel, inner);
		return g_ptr_array_new();
	}
	if (!channel)
		hint_at_channel(&inner);
	g_propagate_error(error, g_steal_pointer(&inner));
	return NULL;
}

static gboolean read_manifests(ProaWalk *walk, const ProaWalkOptions *options, GError **error)
{
	g_autoptr(GPtrArray) targets = choose_targets(walk, options, error);

	if (!targets)
		return FALSE;
	for (guint i = 0; i < targets->len; i++) {
		const ProaTrustTarget *target = targets->pdata[i];
		g_autoptr(GError) inner = NULL;
		if (!take_target(walk, options, target, &inner))
			proa_walk_add_problem(walk, target->path, inner);
		proa_walk_progress("reading manifests", i, targets->len);
	}
	return TRUE;
}

/* The feed's own first root, in the store. */
static char *first_root(ProaWalk *walk, GError **error)
{
	g_autoptr(GBytes) bytes = proa_source_read(walk->metadata, "1.root.json", PROA_ROOT_MAX_SIZE, error);
	g_autofree char *path = g_build_filename(walk->store, "first-root.json.in", NULL);

	if (!bytes)
		g_prefix_error(
			error, "%s is no feed, or has no metadata yet: ", proa_source_place(walk->source));
	if (!bytes ||
		!proa_file_replace(path, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error))
		return NULL;
	return g_steal_pointer(&path);
}

ProaWalk *proa_walk_new(const char *place, const ProaWalkOptions *options, const char *store, GError **error)
{
	g_autoptr(ProaWalk) walk = g_new0(ProaWalk, 1);

	walk->source = proa_source_open(place);
	walk->metadata = proa_source_folder(walk->source, "metadata");
	walk->store = g_strdup(store);
	walk->files = g_ptr_array_new_with_free_func(file_free);
	walk->trees = g_ptr_array_new_with_free_func(tree_free);
	walk->problems = g_ptr_array_new_with_free_func(problem_free);
	if (!proa_file_make_dirs(store, error))
		return NULL;
	g_autofree char *first = options->root ? g_strdup(options->root) : first_root(walk, error);
	walk->trust = first ? proa_trust_open(store, first, 0, error) : NULL;
	if (!walk->trust)
		return NULL;
	proa_trust_accept_stale(walk->trust, options->go_on ? G_MAXINT64 : options->accept_stale);
	if (!proa_trust_refresh(walk->trust, proa_source_fetch, walk->metadata, error) ||
		!read_manifests(walk, options, error))
		return NULL;
	return g_steal_pointer(&walk);
}

void proa_walk_free(ProaWalk *walk)
{
	if (!walk)
		return;
	proa_trust_free(walk->trust);
	proa_source_free(walk->source);
	proa_source_free(walk->metadata);
	g_free(walk->store);
	g_ptr_array_unref(walk->files);
	g_ptr_array_unref(walk->trees);
	g_ptr_array_unref(walk->problems);
	g_free(walk);
}

gboolean proa_walk_check(ProaWalk *walk, const ProaWalkFile *file, int fd, GError **error)
{
	g_auto(ProaContent) content = { 0 };
	g_autofree char *quoted = proa_source_quote(file->path);

	if (!proa_source_pump(walk->source, quoted, (guint64)file->size, fd, &content, error))
		return FALSE;
	if (content.size != file->size || g_strcmp0(content.sha256, file->sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"%s is not the file that is signed for (%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
			" bytes)",
			file->path, content.size, file->size);
	return TRUE;
}

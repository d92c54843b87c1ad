/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/ceremony.h"

#include "images/feed/release.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* People in one room. */
#define MAX_HOLDERS 16

static gboolean is_top_level(const char *role)
{
	for (ProaRole i = 0; i < _PROA_ROLE_MAX; i++)
		if (strcmp(role, proa_role_to_string(i)) == 0)
			return TRUE;
	return FALSE;
}

/* The keys of a file: those that are there, or new ones. A key is never overwritten. */
static gboolean keys_of_file(
	ProaKeyset *keyset, GPtrArray *signers, const char *path, const char *algorithm, GError **error)
{
	g_autoptr(GPtrArray) own = proa_signers_new();
	gboolean there = g_file_test(path, G_FILE_TEST_EXISTS);

	if (there ? !proa_signers_add(own, path, error) : !proa_signers_generate(own, path, algorithm, error))
		return FALSE;
	if (!proa_keyset_add_signers(keyset, own, error))
		return FALSE;
	g_ptr_array_extend_and_steal(signers, g_steal_pointer(&own));
	return TRUE;
}

static gboolean make_keys_dir(const char *dir, GError **error)
{
	return g_mkdir_with_parents(dir, 0700) == 0 ||
	       proa_fail_errno(error, PROA_REASON_IO, errno, "making the directory %s", dir);
}

/* --- init */

/* Whether "ROLE=REST" of an option is of a role that the feed will have; *@ret_rest points behind the '='. */
static gboolean split_word(const ProaCeremonyInit *options, const char *word, const char **ret_rest,
	char **ret_role, GError **error)
{
	const char *equals = strchr(word, '=');
	g_autofree char *role = equals ? g_strndup(word, (gsize)(equals - word)) : NULL;

	if (!role || !equals[1])
		return proa_fail(error, PROA_REASON_USAGE, "\"%s\": ROLE=... is due", word);
	if (!is_top_level(role) && strcmp(role, PROA_BREAK_GLASS) != 0 &&
		!g_strv_contains(options->channels, role))
		return proa_fail(error, PROA_REASON_USAGE,
			"\"%s\": the feed will have no role \"%s\" (a channel is to be named with --channel)",
			word, role);
	*ret_rest = equals + 1;
	*ret_role = g_steal_pointer(&role);
	return TRUE;
}

/* What --holders says of a role, "root=2/3"; 0 of 0: nothing. */
static gboolean holders_of(
	const ProaCeremonyInit *options, const char *role, guint *ret_must, guint *ret_all, GError **error)
{
	*ret_must = *ret_all = 0;
	for (const char *const *word = options->holders; word && *word; word++) {
		g_autofree char *of = NULL;
		const char *rest;
		guint64 must, all;
		if (!split_word(options, *word, &rest, &of, error))
			return FALSE;
		g_auto(GStrv) parts = g_strsplit(rest, "/", -1);
		if (g_strv_length(parts) != 2 ||
			!g_ascii_string_to_unsigned(parts[0], 10, 1, MAX_HOLDERS, &must, NULL) ||
			!g_ascii_string_to_unsigned(parts[1], 10, 1, MAX_HOLDERS, &all, NULL))
			return proa_fail(error, PROA_REASON_USAGE,
				"\"%s\": ROLE=T/N is due, as in root=2/3, with at most %d holders", *word,
				MAX_HOLDERS);
		if (strcmp(of, role) == 0) {
			*ret_must = (guint)must;
			*ret_all = (guint)all;
		}
	}
	return TRUE;
}

/* The public keys that --public names for a role; *@ret_files of them, perhaps none. */
static gboolean add_publics(const ProaCeremonyInit *options, const char *role, ProaKeyset *keyset,
	guint *ret_files, GError **error)
{
	*ret_files = 0;
	for (const char *const *word = options->publics; word && *word; word++) {
		g_autofree char *of = NULL;
		const char *path;
		if (!split_word(options, *word, &path, &of, error))
			return FALSE;
		if (strcmp(of, role) != 0)
			continue;
		if (!proa_keyset_add_public(keyset, path, error))
			return FALSE;
		*ret_files += 1;
	}
	return TRUE;
}

/* Private keys, made where there are none yet: one file a holder. */
static gboolean make_keys(const ProaCeremonyInit *options, const char *role, guint holders,
	ProaKeyset *keyset, GPtrArray *signers, GError **error)
{
	if (!options->keys_dir)
		return proa_fail(error, PROA_REASON_USAGE,
			"who signs for %s? --public %s=FILE names a holder's public key, --keys DIR makes keys",
			role, role);
	if (!make_keys_dir(options->keys_dir, error))
		return FALSE;
	for (guint i = 1; i <= holders; i++) {
		g_autofree char *path = holders == 1
						? g_strdup_printf("%s/%s.pem", options->keys_dir, role)
						: g_strdup_printf("%s/%s-%u.pem", options->keys_dir, role, i);
		if (!keys_of_file(keyset, signers, path, options->algorithm, error))
			return FALSE;
	}
	return TRUE;
}

static ProaKeyset *first_keys(
	const ProaCeremonyInit *options, const char *role, GPtrArray *signers, GError **error)
{
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	guint must, all, files;

	if (!holders_of(options, role, &must, &all, error) ||
		!add_publics(options, role, keyset, &files, error))
		return NULL;
	if (files == 0 && !make_keys(options, role, MAX(all, 1), keyset, signers, error))
		return NULL;
	guint holders = proa_keyset_holders(keyset);
	if (files > 0 && all > 0 && all != holders) {
		proa_fail(error, PROA_REASON_USAGE, "--holders %s=%u/%u, but --public names the keys of %u",
			role, must, all, holders);
		return NULL;
	}
	return proa_keyset_set_holders(keyset, must > 0 ? must : holders, error) ? g_steal_pointer(&keyset)
										 : NULL;
}

static gboolean edit_first(
	ProaChange *change, const ProaCeremonyInit *options, GPtrArray *signers, GError **error)
{
	const ProaLifetimes *lifetimes = options->lifetimes;
	JsonObject *root = proa_change_edit(change, "root", lifetimes->of[PROA_ROLE_ROOT], error);
	JsonObject *targets =
		root ? proa_change_edit(change, "targets", lifetimes->of[PROA_ROLE_TARGETS], error) : NULL;

	if (!targets)
		return FALSE;
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++) {
		const char *name = proa_role_to_string(role);
		g_autoptr(ProaKeyset) keyset = first_keys(options, name, signers, error);
		if (!keyset)
			return FALSE;
		proa_keyset_to_root(keyset, root, name);
	}
	for (const char *const *channel = options->channels; *channel; channel++) {
		g_autoptr(ProaKeyset) keyset = first_keys(options, *channel, signers, error);
		if (!keyset || !proa_change_edit(change, *channel, lifetimes->of[PROA_ROLE_TARGETS], error))
			return FALSE;
		proa_keyset_to_targets(keyset, targets, *channel);
	}
	g_autoptr(ProaKeyset) tokens = first_keys(options, PROA_BREAK_GLASS, signers, error);
	if (!tokens)
		return FALSE;
	proa_keyset_to_targets(tokens, targets, PROA_BREAK_GLASS);
	return TRUE;
}

ProaChange *proa_ceremony_begin(
	ProaFeed *feed, const ProaCeremonyInit *options, GPtrArray *signers, GError **error)
{
	g_autoptr(ProaChange) change = proa_change_new(feed, PROA_FEED_FIRST_CHANGE);

	for (const char *const *channel = options->channels; *channel; channel++) {
		if (proa_release_channel_valid(*channel))
			continue;
		proa_fail(error, PROA_REASON_USAGE, "\"%s\" cannot be a channel's name", *channel);
		return NULL;
	}
	return edit_first(change, options, signers, error) && proa_change_sign(change, signers, error)
		       ? g_steal_pointer(&change)
		       : NULL;
}

/* --- rotation */

/* New keys in place of all: one file a holder, named after the version in which they come. */
static ProaKeyset *fresh_keys(const ProaCeremonyRotation *rotation, guint holders, gint64 version,
	GPtrArray *signers, GError **error)
{
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();

	if (!rotation->keys_dir) {
		proa_fail(error, PROA_REASON_USAGE,
			"whose keys shall it have? --add FILE (public keys of a holder), --remove KEYID, or --keys DIR where new ones are made");
		return NULL;
	}
	if (!make_keys_dir(rotation->keys_dir, error))
		return NULL;
	for (guint i = 1; i <= holders; i++) {
		g_autofree char *number = holders == 1 ? g_strdup("") : g_strdup_printf("-%u", i);
		g_autofree char *path = g_strdup_printf("%s/%s%s-v%" G_GINT64_FORMAT ".pem",
			rotation->keys_dir, rotation->role, number, version);
		if (!keys_of_file(keyset, signers, path, rotation->algorithm, error))
			return NULL;
	}
	return g_steal_pointer(&keyset);
}

/* How many holders must sign now; the inverse of proa_keyset_set_holders(). */
static guint holders_that_must(const ProaKeyset *keyset)
{
	guint all = proa_keyset_holders(keyset);

	return keyset->objects->len > all ? MAX(keyset->threshold / 2, 1) : keyset->threshold;
}

/* The keyset that is to follow @now. */
static ProaKeyset *next_keys(const ProaCeremonyRotation *rotation, const ProaKeyset *now, gint64 version,
	GPtrArray *signers, GError **error)
{
	gboolean named = (rotation->add && *rotation->add) || (rotation->remove && *rotation->remove);
	guint must = rotation->holders ? rotation->holders : holders_that_must(now);
	g_autoptr(ProaKeyset) next = NULL;

	if (!named) {
		next = fresh_keys(rotation, proa_keyset_holders(now), version, signers, error);
		return next && proa_keyset_set_holders(next, must, error) ? g_steal_pointer(&next) : NULL;
	}
	gboolean keep = rotation->keep || (rotation->remove && *rotation->remove);
	next = keep ? proa_keyset_copy(now) : proa_keyset_new();
	for (const char *const *id = rotation->remove; id && *id; id++)
		if (!proa_keyset_remove(next, *id, error))
			return NULL;
	for (const char *const *path = rotation->add; path && *path; path++)
		if (!proa_keyset_add_public(next, *path, error))
			return NULL;
	/* That fewer must sign than before is for somebody to say (--threshold), not to be inferred. */
	return proa_keyset_set_holders(next, must, error) ? g_steal_pointer(&next) : NULL;
}

static gboolean rotate_top_level(
	ProaChange *change, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	const ProaLifetimes *lifetimes = rotation->lifetimes;
	JsonObject *root = proa_change_edit(change, "root", lifetimes->of[PROA_ROLE_ROOT], error);
	g_autoptr(ProaKeyset) now = root ? proa_keyset_of_root(root, rotation->role, error) : NULL;
	g_autoptr(ProaKeyset) next =
		now ? next_keys(rotation, now, json_object_get_int_member(root, "version"), signers, error)
		    : NULL;

	if (!next)
		return FALSE;
	proa_keyset_to_root(next, root, rotation->role);
	return strcmp(rotation->role, "targets") != 0 ||
	       proa_change_edit(change, "targets", lifetimes->of[PROA_ROLE_TARGETS], error) != NULL;
}

static gboolean rotate_delegated(
	ProaChange *change, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	gint64 lifetime = rotation->lifetimes->of[PROA_ROLE_TARGETS];
	JsonObject *targets = proa_change_edit(change, "targets", lifetime, error);
	g_autoptr(ProaKeyset) now = targets ? proa_keyset_of_targets(targets, rotation->role, error) : NULL;
	g_autoptr(ProaKeyset) next =
		now ? next_keys(rotation, now, json_object_get_int_member(targets, "version"), signers, error)
		    : NULL;

	if (!next)
		return FALSE;
	proa_keyset_to_targets(next, targets, rotation->role);
	return strcmp(rotation->role, PROA_BREAK_GLASS) == 0 ||
	       proa_change_edit(change, rotation->role, lifetime, error) != NULL;
}

ProaChange *proa_ceremony_rotate(
	ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	g_autofree char *name = g_strconcat("rotate-", rotation->role, NULL);
	g_autoptr(ProaChange) change = proa_change_new(feed, name);
	gboolean ok = is_top_level(rotation->role) ? rotate_top_level(change, rotation, signers, error)
						   : rotate_delegated(change, rotation, signers, error);

	return ok && proa_change_sign(change, signers, error) ? g_steal_pointer(&change) : NULL;
}

ProaChange *proa_ceremony_renew(
	ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes, GError **error)
{
	g_autoptr(ProaChange) change = proa_change_new(feed, "renew");

	if (!proa_change_edit(change, "root", lifetimes->of[PROA_ROLE_ROOT], error) ||
		!proa_change_sign(change, signers, error))
		return NULL;
	return g_steal_pointer(&change);
}

/* --- channels */

/* What targets vouched for under the channel's name is the channel's from now on. */
static void move_targets(JsonObject *from, JsonObject *to, const char *channel)
{
	JsonObject *old = json_object_get_object_member(from, "targets");
	JsonObject *new = json_object_get_object_member(to, "targets");
	g_autofree char *prefix = g_strconcat(channel, "/", NULL);
	g_autoptr(GList) paths = json_object_get_members(old);

	for (GList *path = paths; path; path = path->next) {
		if (!g_str_has_prefix(path->data, prefix))
			continue;
		json_object_set_member(
			new, path->data, json_node_copy(json_object_get_member(old, path->data)));
		json_object_remove_member(old, path->data);
	}
}

static ProaKeyset *channel_keys(const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	g_autofree char *path =
		rotation->keys_dir ? g_strdup_printf("%s/%s.pem", rotation->keys_dir, rotation->role) : NULL;

	for (const char *const *file = rotation->add; file && *file; file++)
		if (!proa_keyset_add_public(keyset, *file, error))
			return NULL;
	if (keyset->ids->len == 0 && !path) {
		proa_fail(error, PROA_REASON_USAGE, "--add FILE, or --keys DIR for a new key, is due");
		return NULL;
	}
	if (keyset->ids->len == 0 &&
		(!make_keys_dir(rotation->keys_dir, error) ||
			!keys_of_file(keyset, signers, path, rotation->algorithm, error)))
		return NULL;
	guint must = rotation->holders ? rotation->holders : proa_keyset_holders(keyset);
	return proa_keyset_set_holders(keyset, must, error) ? g_steal_pointer(&keyset) : NULL;
}

ProaChange *proa_ceremony_channel(
	ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	const char *channel = rotation->role;
	gint64 lifetime = rotation->lifetimes->of[PROA_ROLE_TARGETS];
	g_autofree char *name = g_strconcat("channel-", channel, NULL);
	g_autoptr(ProaChange) change = proa_change_new(feed, name);

	gboolean tokens = strcmp(channel, PROA_BREAK_GLASS) == 0;
	if (!tokens && !proa_release_channel_valid(channel)) {
		proa_fail(error, PROA_REASON_USAGE, "\"%s\" cannot be a channel's name", channel);
		return NULL;
	}
	if (tokens ? feed->targets->token_keys != NULL : g_hash_table_contains(feed->channels, channel)) {
		proa_fail(error, PROA_REASON_BAD_STATE,
			"%s is a role of its own already; `proa-feed rotate` changes its keys", channel);
		return NULL;
	}
	JsonObject *targets = proa_change_edit(change, "targets", lifetime, error);
	JsonObject *own = targets && !tokens ? proa_change_edit(change, channel, lifetime, error) : NULL;
	g_autoptr(ProaKeyset) keyset =
		targets && (own || tokens) ? channel_keys(rotation, signers, error) : NULL;
	if (!keyset)
		return NULL;
	proa_keyset_to_targets(keyset, targets, channel);
	if (own)
		move_targets(targets, own, channel);
	return proa_change_sign(change, signers, error) ? g_steal_pointer(&change) : NULL;
}

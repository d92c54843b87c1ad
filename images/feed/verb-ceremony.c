/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of key ceremonies: key, rotate, revoke, renew, channel, sign, merge, drop. */
#include "images/feed/ceremony.h"
#include "images/feed/envelope.h"
#include "images/feed/keyset.h"
#include "images/feed/token.h"
#include "images/feed/verbs.h"

#include "base/file.h"
#include "updater/trust/token.h"

#include <stdio.h>
#include <string.h>

static JsonArray *needs_to_json(const GPtrArray *needs)
{
	JsonArray *array = json_array_new();

	for (guint i = 0; i < needs->len; i++) {
		const ProaNeed *need = needs->pdata[i];
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "role", need->role);
		json_object_set_string_member(object, "by", need->by);
		json_object_set_int_member(object, "have", need->have);
		json_object_set_int_member(object, "threshold", need->threshold);
		json_array_add_object_element(array, object);
	}
	return array;
}

static JsonArray *paths_to_json(const ProaChange *change)
{
	JsonArray *array = json_array_new();

	for (guint i = 0; i < change->drafts->len; i++) {
		g_autofree char *path =
			proa_change_path(change, ((ProaDraft *)change->drafts->pdata[i])->role);
		json_array_add_string_element(array, path);
	}
	return array;
}

/* What must still be signed, for people, on standard error. */
static void print_needs(const ProaChange *change, const GPtrArray *needs)
{
	for (guint i = 0; i < needs->len; i++) {
		const ProaNeed *need = needs->pdata[i];
		g_autofree char *path = proa_change_path(change, need->role);
		fprintf(stderr, "  %s: signed by %u of the %u keys of %s that must\n", path, need->have,
			need->threshold, need->by);
	}
}

static JsonObject *result_of(
	const Call *call, const ProaChange *change, const char *state, const GPtrArray *needs)
{
	JsonObject *result = verb_result(call);

	json_object_set_string_member(result, "change", change->name);
	json_object_set_string_member(result, "state", state);
	json_object_set_array_member(result, "needs", needs_to_json(needs));
	return result;
}

ProaExit verb_tell_draft(const Call *call, const ProaChange *change, GError **error)
{
	g_autoptr(GPtrArray) needs = proa_change_needs(change, error);

	if (!needs)
		return PROA_EXIT_FAILED;
	g_autoptr(JsonObject) result = result_of(call, change, "draft", needs);
	const char *so_far = change->feed->root ? "the feed is as it was" : "there is no feed yet";
	json_object_set_array_member(result, "drafts", paths_to_json(change));
	if (needs->len == 0)
		verb_say(call, result,
			"%s has all signatures; %s. `proa-feed merge --keys DIR` with the keys of snapshot and timestamp publishes it.",
			change->name, so_far);
	else
		verb_say(call, result,
			"%s waits for signatures; %s. `proa-feed sign FILE` by each holder, then `proa-feed merge`.",
			change->name, so_far);
	if (!call->json)
		print_needs(change, needs);
	return PROA_EXIT_OK;
}

ProaExit verb_finish(
	const Call *call, ProaChange *change, const GPtrArray *signers, const char *done, GError **error)
{
	g_autoptr(GPtrArray) needs = proa_change_needs(change, error);
	g_autoptr(GError) inner = NULL;

	if (!needs)
		return PROA_EXIT_FAILED;
	if (needs->len == 0 && proa_commit(change, signers, &call->lifetimes, &inner)) {
		g_autoptr(JsonObject) result = result_of(call, change, "published", needs);
		g_autofree char *published = g_strdup_printf("%s: published.", change->name);
		verb_say(call, result, "%s", done ? done : published);
		return PROA_EXIT_OK;
	}
	/* All have signed, but here are no keys of snapshot and timestamp: `merge` where they are. */
	if (inner && !g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return PROA_EXIT_FAILED;
	}
	if (!proa_change_save(change, error))
		return PROA_EXIT_FAILED;
	if (inner)
		fprintf(stderr, "proa-feed: %s\n", inner->message);
	return verb_tell_draft(call, change, error);
}

ProaExit verb_key(Call *call, GError **error)
{
	const char *path = call->argv[1];
	g_autoptr(GPtrArray) signers = verb_signers(call, error);
	g_autoptr(ProaKeyset) keyset = proa_keyset_new();
	g_autoptr(JsonObject) result = verb_result(call);
	JsonArray *ids = json_array_new();
	gboolean made = signers && signers->len == 0;
	g_autofree char *public = made ? g_strconcat(path, ".pub", NULL) : g_strdup(path);

	json_object_set_array_member(result, "keyids", ids);
	if (!signers || (made && !proa_signers_generate(signers, path, call->algorithm, error)) ||
		!proa_keyset_add_signers(keyset, signers, error) ||
		!proa_keyset_write_public(keyset, public, error))
		return PROA_EXIT_FAILED;
	g_autoptr(GString) named = g_string_new(NULL);
	for (guint i = 0; i < keyset->ids->len; i++) {
		json_array_add_string_element(ids, keyset->ids->pdata[i]);
		g_string_append_printf(named, "%s%.16s %s", i ? ", " : "", (char *)keyset->ids->pdata[i],
			proa_json_string_or(keyset->objects->pdata[i], "scheme", "?"));
	}
	json_object_set_string_member(result, "public", public);
	verb_say(call, result, "%s%s%s holds the public half (%s); give it to whoever keeps the feed.",
		made ? path : "", made ? " is the private key; " : "", public, named->str);
	return PROA_EXIT_OK;
}

static ProaCeremonyRotation rotation_of(const Call *call, const char *role)
{
	return (ProaCeremonyRotation){ .role = role,
		.add = (const char *const *)call->add,
		.remove = (const char *const *)call->remove,
		.keep = call->keep,
		.holders = (guint)call->threshold,
		.keys_dir = call->keys,
		.algorithm = call->algorithm,
		.lifetimes = &call->lifetimes };
}

typedef ProaChange *(*Ceremony)(
	ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error);

static ProaExit run_ceremony(
	Call *call, const ProaCeremonyRotation *rotation, Ceremony ceremony, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, TRUE, error);
	g_autoptr(GPtrArray) signers = feed ? verb_signers(call, error) : NULL;
	g_autoptr(ProaChange) change = signers ? ceremony(feed, rotation, signers, error) : NULL;

	return change ? verb_finish(call, change, signers, NULL, error) : PROA_EXIT_FAILED;
}

ProaExit verb_rotate(Call *call, GError **error)
{
	const ProaCeremonyRotation rotation = rotation_of(call, call->argv[1]);

	return run_ceremony(call, &rotation, proa_ceremony_rotate, error);
}

ProaExit verb_revoke(Call *call, GError **error)
{
	ProaCeremonyRotation rotation = rotation_of(call, call->argv[1]);

	rotation.remove = (const char *const *)call->argv + 2;
	return run_ceremony(call, &rotation, proa_ceremony_rotate, error);
}

ProaExit verb_channel(Call *call, GError **error)
{
	const ProaCeremonyRotation rotation = rotation_of(call, call->argv[1]);

	return run_ceremony(call, &rotation, proa_ceremony_channel, error);
}

static ProaChange *renew(
	ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers, GError **error)
{
	return proa_ceremony_renew(feed, signers, rotation->lifetimes, error);
}

ProaExit verb_renew(Call *call, GError **error)
{
	const ProaCeremonyRotation rotation = rotation_of(call, "root");

	return run_ceremony(call, &rotation, renew, error);
}

static void print_role(const char *what, const char *name, JsonObject *role)
{
	JsonArray *ids = role ? proa_json_array_or_null(role, "keyids") : NULL;
	g_autofree char *printable = proa_printable(name);

	fprintf(stderr, "  %s%s: %" G_GINT64_FORMAT " of", what, printable,
		role ? proa_json_int_or(role, "threshold", 0) : 0);
	for (guint i = 0; ids && i < json_array_get_length(ids); i++) {
		JsonNode *node = json_array_get_element(ids, i);
		const char *id = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
		g_autofree char *key = proa_printable(id ? id : "?");
		fprintf(stderr, " %.16s", key);
	}
	fputc('\n', stderr);
}

/* "  NAME: VALUE", or NAME alone; what a stranger wrote must not hide what is signed. */
static void print_line(const char *name, const char *value)
{
	g_autofree char *left = proa_printable(name), *right = proa_printable(value ? value : "");

	fprintf(stderr, "  %s%s%s\n", left, value ? ": " : "", right);
}

/* Whom targets let speak for channels, and sign tokens. */
static void print_delegations(JsonObject *content)
{
	JsonObject *delegations = proa_json_object_or_null(content, "delegations");
	JsonArray *roles = delegations ? proa_json_array_or_null(delegations, "roles") : NULL;
	JsonObject *ours = proa_json_object_or_null(content, "proa");

	for (guint i = 0; roles && i < json_array_get_length(roles); i++) {
		JsonNode *node = json_array_get_element(roles, i);
		JsonObject *role = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
		print_role("channel ", role ? proa_json_string_or(role, "name", "?") : "?", role);
	}
	if (ours && json_object_has_member(ours, PROA_BREAK_GLASS))
		print_role("", PROA_BREAK_GLASS, proa_json_object_or_null(ours, PROA_BREAK_GLASS));
}

/* What a token lets in, and where. */
static void print_token(JsonObject *content)
{
	static const char *const members[] = { "channel", "release", "node", "pool", "reason" };

	for (guint i = 0; i < G_N_ELEMENTS(members); i++)
		if (json_object_has_member(content, members[i]))
			print_line(members[i], proa_json_string_or(content, members[i], "?"));
}

/* What a holder is about to sign, so that nobody signs blindly. */
static void print_content(JsonObject *content)
{
	const char *type = proa_json_string_or(content, "_type", "?");
	g_autofree char *what = proa_printable(type),
			*expires = proa_printable(proa_json_string_or(content, "expires", "?"));

	fprintf(stderr, "proa-feed: signing %s version %" G_GINT64_FORMAT ", which expires %s\n", what,
		proa_json_int_or(content, "version", 0), expires);
	if (strcmp(type, PROA_TOKEN_TYPE) == 0)
		print_token(content);
	JsonObject *roles = proa_json_object_or_null(content, "roles");
	g_autoptr(GList) names = roles ? json_object_get_members(roles) : NULL;
	for (GList *name = names; name; name = name->next)
		print_role("", name->data, proa_json_object_or_null(roles, name->data));
	print_delegations(content);
	JsonObject *targets = proa_json_object_or_null(content, "targets");
	g_autoptr(GList) paths = targets ? json_object_get_members(targets) : NULL;
	for (GList *path = paths; path; path = path->next)
		print_line(path->data, NULL);
}

ProaExit verb_sign(Call *call, GError **error)
{
	const char *path = call->argv[1];
	g_autoptr(JsonObject) envelope = proa_envelope_read(path, error);
	g_autoptr(GPtrArray) signers = envelope ? verb_signers(call, error) : NULL;
	g_autoptr(JsonObject) result = verb_result(call);
	guint added = 0;

	if (!signers)
		return PROA_EXIT_FAILED;
	if (signers->len == 0) {
		proa_fail(error, PROA_REASON_USAGE, "--key FILE or --keys DIR is due");
		return PROA_EXIT_USAGE;
	}
	print_content(proa_envelope_content(envelope));
	if (!proa_envelope_sign_all(envelope, signers, &added, error))
		return PROA_EXIT_FAILED;
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	const char *to = call->out ? call->out : path;
	if (!proa_file_replace(to, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error))
		return PROA_EXIT_FAILED;
	json_object_set_int_member(result, "signatures", added);
	json_object_set_string_member(result, "file", to);
	verb_say(call, result, "%s: %u signature%s added.", to, added, added == 1 ? "" : "s");
	return PROA_EXIT_OK;
}

/* With --feed: whether a node of that feed would take the token, as far as it is signed. */
static gboolean check_token(
	const Call *call, const ProaTokenWish *wish, JsonObject *envelope, guint *ret_missing, GError **error)
{
	g_autoptr(ProaFeed) feed = call->feed ? proa_feed_open(call->feed, FALSE, error) : NULL;
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);

	if (!call->feed)
		return TRUE;
	if (!feed)
		return FALSE;
	g_autoptr(ProaSigned) file = proa_signed_parse(bytes, PROA_TOKEN_MAX_SIZE, "the token", error);
	if (!file)
		return FALSE;
	if (!feed->targets->token_keys)
		return proa_fail(error, PROA_REASON_BAD_TOKEN,
			"%s names nobody who may sign tokens: `proa-feed rotate break-glass`", call->feed);
	guint have = proa_signed_count(file, feed->targets->token_keys);
	if (have == 0)
		return proa_fail(error, PROA_REASON_BAD_TOKEN,
			"none of these keys is one of break-glass in %s (`proa-feed list` tells them)",
			call->feed);
	g_autofree char *path = g_strdup_printf("%s/%s/manifest.json", wish->channel, wish->release);
	const ProaTargets *channel = g_hash_table_lookup(feed->channels, wish->channel);
	if (!g_hash_table_contains((channel ? channel : feed->targets)->targets, path))
		return proa_fail(error, PROA_REASON_NO_SUCH_RELEASE, "%s has no release %s in channel %s",
			call->feed, wish->release, wish->channel);
	*ret_missing = feed->targets->token_keys->threshold - have;
	return TRUE;
}

ProaExit verb_token(Call *call, GError **error)
{
	const ProaTokenWish wish = { .release = call->argv[1],
		.channel = call->channel ? call->channel : "stable",
		.node = call->node,
		.pool = call->pool,
		.reason = call->reason,
		.lifetime = call->lifetime };
	g_autoptr(JsonObject) envelope = proa_token_make(&wish, error);
	g_autoptr(GPtrArray) signers = envelope ? verb_signers(call, error) : NULL;
	g_autoptr(JsonObject) result = verb_result(call);
	const char *to = call->out ? call->out : "token.json";
	guint added = 0, missing = 0;

	if (!signers || !proa_envelope_sign_all(envelope, signers, &added, error) ||
		!check_token(call, &wish, envelope, &missing, error))
		return PROA_EXIT_FAILED;
	g_autoptr(GBytes) bytes = proa_envelope_bytes(envelope);
	if (!proa_file_replace(to, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error))
		return PROA_EXIT_FAILED;
	JsonObject *content = proa_envelope_content(envelope);
	json_object_set_string_member(result, "file", to);
	json_object_set_string_member(result, "id", json_object_get_string_member(content, "id"));
	json_object_set_string_member(result, "expires", json_object_get_string_member(content, "expires"));
	json_object_set_int_member(result, "signatures", added);
	verb_say(call, result,
		"%s: a token until %s, %u signature%s. On the node: proa update --to %s --token FILE", to,
		json_object_get_string_member(content, "expires"), added, added == 1 ? "" : "s",
		wish.release);
	if (missing > 0)
		fprintf(stderr,
			"proa-feed: %u more of the keys of break-glass must sign it: `proa-feed sign %s`\n",
			missing, to);
	return PROA_EXIT_OK;
}

/* Hands the signatures of one file to the change that it belongs to. */
static gboolean merge_file(const GPtrArray *changes, const char *path, GError **error)
{
	g_autoptr(JsonObject) envelope = proa_envelope_read(path, error);
	gboolean taken = FALSE;
	guint added = 0, worthless = 0;

	if (!envelope)
		return FALSE;
	for (guint i = 0; !taken && i < changes->len; i++)
		if (!proa_change_merge(changes->pdata[i], envelope, &taken, &added, &worthless, error))
			return FALSE;
	if (!taken)
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"%s is around no draft that waits in this feed: it may be of an earlier one", path);
	fprintf(stderr, "proa-feed: %s: %u new signature%s", path, added, added == 1 ? "" : "s");
	if (worthless > 0)
		fprintf(stderr, ", %u passed over (broken, or of keys that have no say here)", worthless);
	fputc('\n', stderr);
	return TRUE;
}

ProaExit verb_merge(Call *call, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open_drafts(call->feed, error);
	g_autoptr(GPtrArray) signers = feed ? verb_signers(call, error) : NULL;
	g_autoptr(GPtrArray) changes = signers ? proa_changes_load(feed, error) : NULL;

	if (!changes)
		return PROA_EXIT_FAILED;
	if (changes->len == 0) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "no draft waits for signatures in %s", call->feed);
		return PROA_EXIT_FAILED;
	}
	for (int i = 1; i < call->argc; i++)
		if (!merge_file(changes, call->argv[i], error))
			return PROA_EXIT_FAILED;
	/* One at a time: what one brings out is what the next begins with. */
	ProaChange *ready = NULL;
	for (guint i = 0; i < changes->len; i++) {
		ProaChange *change = changes->pdata[i];
		if (!proa_change_sign(change, signers, error) || !proa_change_save(change, error))
			return PROA_EXIT_FAILED;
		g_autoptr(GPtrArray) needs = proa_change_needs(change, error);
		if (!needs)
			return PROA_EXIT_FAILED;
		if (needs->len == 0)
			ready = change;
	}
	return verb_finish(call, ready ? ready : changes->pdata[0], signers, NULL, error);
}

ProaExit verb_drop(Call *call, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open_drafts(call->feed, error);
	g_autoptr(GPtrArray) changes = feed ? proa_changes_load(feed, error) : NULL;
	g_autoptr(JsonObject) result = verb_result(call);
	guint dropped = 0;

	if (!changes)
		return PROA_EXIT_FAILED;
	for (guint i = 0; i < changes->len; i++) {
		ProaChange *change = changes->pdata[i];
		if (call->argc > 1 && strcmp(change->name, call->argv[1]) != 0)
			continue;
		if (!proa_change_drop(change, error))
			return PROA_EXIT_FAILED;
		dropped++;
	}
	json_object_set_int_member(result, "dropped", dropped);
	verb_say(call, result, "%u draft%s given up; the feed is as it was.", dropped,
		dropped == 1 ? "" : "s");
	return dropped > 0 ? PROA_EXIT_OK : PROA_EXIT_NOTHING;
}

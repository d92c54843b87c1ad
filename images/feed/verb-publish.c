/* SPDX-License-Identifier: Apache-2.0 */
/* The daily verbs: init, add, publish, refresh, list. */
#include "images/feed/ceremony.h"
#include "images/feed/deltas.h"
#include "images/feed/list.h"
#include "images/feed/payloads.h"
#include "images/feed/publish.h"
#include "images/feed/release.h"
#include "images/feed/trees.h"
#include "images/feed/verbs.h"

#include <stdio.h>
#include <string.h>

ProaExit verb_init(Call *call, GError **error)
{
	static const char *const stable[] = { "stable", NULL };
	const ProaCeremonyInit options = {
		.keys_dir = call->keys,
		.algorithm = call->algorithm,
		.lifetimes = &call->lifetimes,
		.channels = call->channels ? (const char *const *)call->channels : stable,
		.holders = (const char *const *)call->holders,
		.publics = (const char *const *)call->publics,
	};
	g_autoptr(ProaFeed) feed = proa_feed_create(call->feed, error);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(ProaChange) change = feed ? proa_ceremony_begin(feed, &options, signers, error) : NULL;

	if (!change)
		return PROA_EXIT_FAILED;
	g_autofree char *where =
		call->keys ? g_strdup_printf(" Private keys are in %s: keep those of root, targets and "
					     "break-glass elsewhere.",
				     call->keys)
			   : g_strdup("");
	g_autofree char *done = g_strdup_printf(
		"The feed %s is made. Nodes trust it through metadata/1.root.json.%s", call->feed, where);
	return verb_finish(call, change, signers, done, error);
}

/* Where the tree of a release comes from: the option, or the repository beside the release. */
static gboolean bring_tree(
	const Call *call, const ProaFeed *feed, const ProaReleaseAdded *added, GError **error)
{
	g_autofree char *beside = g_build_filename(call->argv[1], "..", "ostree", NULL);
	g_autofree char *to = proa_feed_path(feed, "trees");
	g_autofree char *ref =
		g_strdup_printf("proa/%s/%s/%s", added->channel, added->architecture, added->version);

	if (call->no_trees || !added->tree) {
		fprintf(stderr, "proa-feed: the tree of %s is left out (%s)\n", added->version,
			call->no_trees ? "--no-trees" : "release.json names none");
		return TRUE;
	}
	if (!proa_trees_pull(to, call->trees ? call->trees : beside, added->tree, ref, error)) {
		g_prefix_error(error,
			"tree of %s (--trees REPO names its repository, --no-trees leaves it out): ",
			added->version);
		return FALSE;
	}
	return TRUE;
}

/* In a feed with channels each release is of one of them, so that a slip of the hand makes no new one. */
static gboolean check_channel(const ProaFeed *feed, const char *channel, GError **error)
{
	if (!proa_release_channel_valid(channel))
		return proa_fail(error, PROA_REASON_USAGE,
			"\"%s\" is no channel: a-z, 0-9 and '-', at most 32, not the name of a role",
			channel);
	if (g_hash_table_size(feed->channels) > 0 && !g_hash_table_contains(feed->channels, channel))
		return proa_fail(error, PROA_REASON_NOT_FOUND,
			"the feed has no channel %s; `proa-feed channel %s` makes it", channel, channel);
	return TRUE;
}

ProaExit verb_add(Call *call, GError **error)
{
	const char *channel = call->channel ? call->channel : "stable";
	g_autoptr(JsonObject) result = verb_result(call);

	if (call->deltas < 0 || call->deltas > PROA_DELTAS_MAX) {
		proa_fail(error, PROA_REASON_USAGE, "--deltas is 0 to %d", PROA_DELTAS_MAX);
		return PROA_EXIT_USAGE;
	}
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, TRUE, error);
	gboolean ready = feed && check_channel(feed, channel, error) &&
			 proa_payloads_make(call->argv[1], !call->no_blocks, error) &&
			 proa_deltas_make(feed, call->argv[1], channel, (guint)call->deltas, error);
	g_autoptr(ProaReleaseAdded) added =
		ready ? proa_release_add(feed, call->argv[1], channel, error) : NULL;

	/* Pending is saved last: what `publish` finds there is complete, its tree included. */
	if (!added || !bring_tree(call, feed, added, error) || !proa_feed_save_pending(feed, error))
		return PROA_EXIT_FAILED;
	json_object_set_string_member(result, "version", added->version);
	json_object_set_string_member(result, "channel", channel);
	json_object_set_string_member(result, "path", added->path);
	json_object_set_int_member(result, "payload_bytes", added->payload_size);
	json_object_set_boolean_member(result, "new", added->news);
	if (added->news)
		verb_say(call, result, "%s %s: added, payload %.1f MB. `proa-feed publish` makes it visible.",
			channel, added->version, (double)added->payload_size / 1e6);
	else
		verb_say(call, result, "%s %s: the feed already has it.", channel, added->version);
	return PROA_EXIT_OK;
}

static void warn_of_expired(const Call *call, const ProaPublishExpired *expired)
{
	g_autofree char *when = proa_role_time_format(expired->expires);

	fprintf(stderr, "proa-feed: %s expired at %s, and nodes refuse it: ", expired->role, when);
	if (expired->drafted)
		fprintf(stderr, "its draft waits for signatures; `proa-feed list --feed %s` tells whose\n",
			call->feed);
	else if (strcmp(expired->role, "root") == 0)
		fprintf(stderr, "`proa-feed renew --feed %s` with its keys signs it anew\n", call->feed);
	else
		fprintf(stderr,
			"`proa-feed refresh --feed %s` with its keys too (--key FILE) signs it anew\n",
			call->feed);
}

/* What has expired and could not be signed: a timer that sees only a 0 would never tell. */
static gboolean tell_expired(const Call *call, JsonObject *result, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, FALSE, error);
	g_autoptr(GPtrArray) expired = feed ? proa_publish_expired(feed, error) : NULL;
	JsonArray *roles = json_array_new();

	json_object_set_array_member(result, "expired", roles);
	for (guint i = 0; expired && i < expired->len; i++) {
		const ProaPublishExpired *one = expired->pdata[i];
		json_array_add_string_element(roles, one->role);
		warn_of_expired(call, one);
	}
	return expired != NULL;
}

static ProaExit publish(Call *call, ProaPublishKind kind, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, TRUE, error);
	g_autoptr(GPtrArray) signers = feed ? verb_signers(call, error) : NULL;
	g_autoptr(ProaChange) waiting = NULL;
	guint pending = feed ? json_object_get_size(feed->pending) : 0;
	g_autoptr(JsonObject) result = verb_result(call);

	if (!signers ||
		!proa_publish(feed, signers, &call->lifetimes, kind, call->draft ? &waiting : NULL, error))
		return PROA_EXIT_FAILED;
	if (waiting)
		return verb_tell_draft(call, waiting, error);
	if (!tell_expired(call, result, error))
		return PROA_EXIT_FAILED;
	guint published = pending - json_object_get_size(feed->pending);
	json_object_set_int_member(result, "releases", published);
	json_object_set_int_member(result, "timestamp", feed->timestamp->head.version + 1);
	verb_say(call, result, "%s: %u new release%s, timestamp version %" G_GINT64_FORMAT ".",
		kind == PROA_PUBLISH_ALL ? "Published" : "Refreshed", published, published == 1 ? "" : "s",
		feed->timestamp->head.version + 1);
	return PROA_EXIT_OK;
}

ProaExit verb_publish(Call *call, GError **error)
{
	return publish(call, PROA_PUBLISH_ALL, error);
}

ProaExit verb_refresh(Call *call, GError **error)
{
	return publish(call, PROA_PUBLISH_REFRESH, error);
}

ProaExit verb_list(Call *call, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, FALSE, error);
	g_autoptr(JsonObject) list = feed ? proa_list_make(feed, error) : NULL;

	if (!list)
		return PROA_EXIT_FAILED;
	if (call->json)
		verb_say(call, list, " ");
	else
		proa_list_print(list);
	return PROA_EXIT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proa-feed: makes, fills, signs and lists a feed. See proa-feed(1). */
#include "images/feed/deltas.h"
#include "images/feed/list.h"
#include "images/feed/publish.h"
#include "images/feed/release.h"
#include "images/feed/signer.h"
#include "images/feed/trees.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that the command line of any verb can say. */
typedef struct {
	char *feed;
	char *keys;
	char *channel;
	char *trees;
	gboolean no_trees;
	int deltas;
	gboolean json;
	ProaLifetimes lifetimes;
	int argc;
	char **argv; /* [0] is the verb; then what is no option */
} Call;

typedef struct {
	const char *name;
	const char *arguments;
	const char *summary;
	int arguments_count;
	gboolean needs_keys;
	gboolean adds;  /* --channel, --trees */
	gboolean signs; /* --*-expires */
	ProaExit (*run)(Call *call, GError **error);
} Verb;

static Call *parsing; /* for the option callbacks alone */

static gboolean parse_expires(const char *option, const char *value, gpointer data, GError **error)
{
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++) {
		g_autofree char *name = g_strdup_printf("--%s-expires", proa_role_to_string(role));
		if (strcmp(option, name) == 0 && proa_lifetime_parse(value, &parsing->lifetimes.of[role]))
			return TRUE;
	}
	g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
		"%s: \"%s\" is not a time such as 90s, 5min, 6h, 2d or 1w, at most 20 years", option, value);
	return FALSE;
}

/* One JSON object, or a line for people. */
static void say(const Call *call, JsonObject *object, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void say(const Call *call, JsonObject *object, const char *format, ...)
{
	va_list args;

	if (call->json) {
		g_autofree char *line = proa_json_to_line(object);
		puts(line);
		return;
	}
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static JsonObject *result_new(const char *verb)
{
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "event", "done");
	json_object_set_string_member(object, "verb", verb);
	return object;
}

static ProaExit run_init(Call *call, GError **error)
{
	g_autoptr(JsonObject) result = result_new("init");

	if (!proa_feed_init(call->feed, call->keys, &call->lifetimes, error))
		return PROA_EXIT_FAILED;
	json_object_set_string_member(result, "feed", call->feed);
	json_object_set_string_member(result, "keys", call->keys);
	say(call, result,
		"The feed %s is made. Nodes trust it through metadata/1.root.json; its private keys are in %s: keep "
		"those of root and targets elsewhere.",
		call->feed, call->keys);
	return PROA_EXIT_OK;
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

static ProaExit run_add(Call *call, GError **error)
{
	g_autoptr(ProaFeed) feed = NULL;
	g_autoptr(ProaReleaseAdded) added = NULL;
	g_autoptr(JsonObject) result = result_new("add");
	const char *channel = call->channel ? call->channel : "stable";

	if (!proa_release_channel_valid(channel)) {
		proa_fail(error, PROA_REASON_USAGE, "\"%s\" is no channel: a-z, 0-9 and '-', at most 32",
			channel);
		return PROA_EXIT_USAGE;
	}
	if (call->deltas < 0 || call->deltas > PROA_DELTAS_MAX) {
		proa_fail(error, PROA_REASON_USAGE, "--deltas is 0 to %d", PROA_DELTAS_MAX);
		return PROA_EXIT_USAGE;
	}
	feed = proa_feed_open(call->feed, TRUE, error);
	/* Pending is saved last: what `publish` finds there is complete, its tree included. */
	if (!feed || !proa_deltas_make(feed, call->argv[1], channel, (guint)call->deltas, error) ||
		!(added = proa_release_add(feed, call->argv[1], channel, error)) ||
		!bring_tree(call, feed, added, error) || !proa_feed_save_pending(feed, error))
		return PROA_EXIT_FAILED;
	json_object_set_string_member(result, "version", added->version);
	json_object_set_string_member(result, "channel", channel);
	json_object_set_string_member(result, "path", added->path);
	json_object_set_int_member(result, "payload_bytes", added->payload_size);
	json_object_set_boolean_member(result, "new", added->news);
	if (added->news)
		say(call, result, "%s %s: added, payload %.1f MB. `proa-feed publish` makes it visible.",
			channel, added->version, (double)added->payload_size / 1e6);
	else
		say(call, result, "%s %s: the feed already has it.", channel, added->version);
	return PROA_EXIT_OK;
}

static ProaExit publish(Call *call, ProaPublishKind kind, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, TRUE, error);
	g_autoptr(GPtrArray) signers = feed ? proa_signers_load(call->keys, error) : NULL;
	guint pending = feed ? json_object_get_size(feed->pending) : 0;
	g_autoptr(JsonObject) result = result_new(kind == PROA_PUBLISH_ALL ? "publish" : "refresh");

	if (!signers || !proa_publish(feed, signers, &call->lifetimes, kind, error))
		return PROA_EXIT_FAILED;
	guint published = kind == PROA_PUBLISH_ALL ? pending : 0;
	json_object_set_int_member(result, "releases", published);
	json_object_set_int_member(result, "timestamp", feed->timestamp->head.version + 1);
	say(call, result, "%s: %u new release%s, timestamp version %" G_GINT64_FORMAT ".",
		kind == PROA_PUBLISH_ALL ? "Published" : "Refreshed", published, published == 1 ? "" : "s",
		feed->timestamp->head.version + 1);
	return PROA_EXIT_OK;
}

static ProaExit run_publish(Call *call, GError **error)
{
	return publish(call, PROA_PUBLISH_ALL, error);
}

static ProaExit run_refresh(Call *call, GError **error)
{
	return publish(call, PROA_PUBLISH_REFRESH, error);
}

static ProaExit run_list(Call *call, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_open(call->feed, FALSE, error);

	if (!feed)
		return PROA_EXIT_FAILED;
	g_autoptr(JsonObject) list = proa_list_make(feed);
	if (call->json)
		say(call, list, " ");
	else
		proa_list_print(list);
	return PROA_EXIT_OK;
}

static const Verb verbs[] = {
	{ "init", "", "make an empty feed, and keys for the roles that have none", 0, TRUE, FALSE, TRUE,
		run_init },
	{ "add", "RELEASE_DIR", "take a release in; `publish` makes it visible", 1, FALSE, TRUE, FALSE,
		run_add },
	{ "publish", "", "sign and publish what was added", 0, TRUE, FALSE, TRUE, run_publish },
	{ "refresh", "", "sign a new timestamp, and what nears its expiry", 0, TRUE, FALSE, TRUE,
		run_refresh },
	{ "list", "", "tell what the feed offers and when its metadata expires", 0, FALSE, FALSE, FALSE,
		run_list },
};

static void print_help(void)
{
	puts("usage: proa-feed VERB --feed DIR [--keys DIR] [OPTION...] [ARGUMENT...]\n");
	for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
		g_autofree char *usage = g_strdup_printf("%s %s", verbs[i].name, verbs[i].arguments);
		printf("  %-18s %s\n", usage, verbs[i].summary);
	}
	puts("\n`proa-feed VERB --help` lists the options of a verb. See proa-feed(1).");
}

static int usage_error(const char *message)
{
	fprintf(stderr, "proa-feed: %s\nSee proa-feed --help.\n", message);
	return PROA_EXIT_USAGE;
}

static int failed(const Call *call, const GError *error)
{
	ProaReason reason = proa_reason_of(error);

	if (call->json) {
		g_autoptr(JsonObject) object = json_object_new();
		json_object_set_string_member(object, "event", "error");
		json_object_set_string_member(object, "reason", proa_reason_to_string(reason));
		json_object_set_string_member(object, "message", error->message);
		json_object_set_string_member(object, "hint", proa_reason_hint(reason));
		g_autofree char *line = proa_json_to_line(object);
		puts(line);
	}
	fprintf(stderr, "proa-feed: %s (%s)\n", error->message, proa_reason_to_string(reason));
	return (int)proa_reason_exit(reason);
}

static void add_options(GOptionContext *context, const Verb *verb, Call *call)
{
	const GOptionEntry common[] = {
		{ "feed", 0, 0, G_OPTION_ARG_FILENAME, &call->feed, "The feed", "DIR" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &call->json, "One JSON object on standard output", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	const GOptionEntry keys[] = {
		{ "keys", 0, 0, G_OPTION_ARG_FILENAME, &call->keys, "Private keys, *.pem", "DIR" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	const GOptionEntry adding[] = {
		{ "channel", 0, 0, G_OPTION_ARG_STRING, &call->channel, "Channel (default: stable)", "NAME" },
		{ "trees", 0, 0, G_OPTION_ARG_FILENAME, &call->trees,
			"OSTree repository that holds the tree (default: RELEASE_DIR/../ostree)", "REPO" },
		{ "no-trees", 0, 0, G_OPTION_ARG_NONE, &call->no_trees, "Leave the tree out", NULL },
		{ "deltas", 0, 0, G_OPTION_ARG_INT, &call->deltas,
			"Make deltas from so many releases before it (default: 5)", "N" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	static const GOptionEntry signing[] = {
		{ "root-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 365d; read by init",
			"TIME" },
		{ "targets-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 90d", "TIME" },
		{ "snapshot-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 7d", "TIME" },
		{ "timestamp-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 1d", "TIME" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};

	g_option_context_add_main_entries(context, common, NULL);
	if (verb->needs_keys)
		g_option_context_add_main_entries(context, keys, NULL);
	if (verb->adds)
		g_option_context_add_main_entries(context, adding, NULL);
	if (verb->signs)
		g_option_context_add_main_entries(context, signing, NULL);
}

static int run_verb(const Verb *verb, Call *call)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *parameters =
		g_strdup_printf("%s%s- %s", verb->arguments, *verb->arguments ? " " : "", verb->summary);
	g_autoptr(GOptionContext) context = g_option_context_new(parameters);

	add_options(context, verb, call);
	parsing = call;
	if (!g_option_context_parse(context, &call->argc, &call->argv, &error))
		return usage_error(error->message);
	if (!call->feed)
		return usage_error("--feed DIR is missing");
	if (verb->needs_keys && !call->keys)
		return usage_error("--keys DIR is missing");
	if (call->argc != 1 + verb->arguments_count)
		return usage_error(verb->arguments_count ? "one RELEASE_DIR is due" : "too many arguments");
	ProaExit status = verb->run(call, &error);
	return error ? failed(call, error) : (int)status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage_error("a verb is missing");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help();
		return PROA_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("proa-feed " PROA_VERSION);
		return PROA_EXIT_OK;
	}
	for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		g_autofree char *name = g_strdup_printf("proa-feed %s", verbs[i].name);
		g_set_prgname(name);
		Call call = { .argc = argc - 1, .argv = argv + 1, .deltas = PROA_DELTAS_DEFAULT };
		proa_lifetimes_defaults(&call.lifetimes);
		int status = run_verb(&verbs[i], &call);
		g_free(call.feed);
		g_free(call.keys);
		g_free(call.channel);
		g_free(call.trees);
		return status;
	}
	g_autofree char *message = g_strdup_printf("unknown verb \"%s\"", argv[1]);
	return usage_error(message);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proa-feed: makes, fills, signs and lists a feed. See proa-feed(1). */
#include "base/until.h"
#include "images/feed/deltas.h"
#include "images/feed/signer.h"
#include "images/feed/verbs.h"
#include "updater/payload/repack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which options a verb takes. */
enum {
	TAKES_FEED = 1 << 0,
	TAKES_KEYS = 1 << 1,
	NEEDS_KEYS = 1 << 2,  /* at least one key or a directory of them */
	TAKES_ADD = 1 << 4,   /* of `add` */
	TAKES_TIMES = 1 << 5, /* --*-expires */
	TAKES_NEW = 1 << 6,   /* --algorithm */
	TAKES_INIT = 1 << 7,
	TAKES_ROLE = 1 << 8, /* --add, --remove, --threshold */
	TAKES_OUT = 1 << 9,
	TAKES_DRAFT = 1 << 10,
	TAKES_TOKEN = 1 << 11,
	TAKES_WALK = 1 << 12, /* --channel, --root */
	TAKES_MIRROR = 1 << 13,
	MAY_FEED = 1 << 14, /* --feed, which may be left out */
};

typedef struct {
	const char *name;
	const char *arguments;
	const char *summary;
	int min_arguments, max_arguments; /* -1: any number */
	guint takes;
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

static gboolean parse_lifetime(const char *option, const char *value, gpointer data, GError **error)
{
	if (proa_lifetime_parse(value, &parsing->lifetime))
		return TRUE;
	g_set_error(
		error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: \"%s\" is not a time", option, value);
	return FALSE;
}

static gboolean parse_until(const char *option, const char *value, gpointer data, GError **error)
{
	if (proa_until_parse(value, &parsing->accept_stale))
		return TRUE;
	g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
		"%s: \"%s\" is no time to come (2026-12-31, or 2026-12-31T12:00:00Z)", option, value);
	return FALSE;
}

void verb_say(const Call *call, JsonObject *object, const char *format, ...)
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

JsonObject *verb_result(const Call *call)
{
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "event", "done");
	json_object_set_string_member(object, "verb", call->verb);
	return object;
}

GPtrArray *verb_signers(const Call *call, GError **error)
{
	g_autoptr(GPtrArray) signers = proa_signers_new();

	if (call->keys && (g_file_test(call->keys, G_FILE_TEST_EXISTS) || !call->may_make_keys) &&
		!proa_signers_add_dir(signers, call->keys, error))
		return NULL;
	for (char **key = call->key; key && *key; key++)
		if (!proa_signers_add(signers, *key, error))
			return NULL;
	return g_steal_pointer(&signers);
}

static const Verb verbs[] = {
	{ "init", "", "make an empty feed, and keys for the roles that have none", 0, 0,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES | TAKES_NEW | TAKES_INIT, verb_init },
	{ "add", "RELEASE_DIR", "take a release in; `publish` makes it visible", 1, 1, TAKES_FEED | TAKES_ADD,
		verb_add },
	{ "publish", "", "sign and publish what was added", 0, 0,
		TAKES_FEED | NEEDS_KEYS | TAKES_TIMES | TAKES_DRAFT, verb_publish },
	{ "refresh", "", "sign a new timestamp, and what nears its expiry", 0, 0,
		TAKES_FEED | NEEDS_KEYS | TAKES_TIMES, verb_refresh },
	{ "list", "", "tell what the feed offers, when it expires, and what waits", 0, 0, TAKES_FEED,
		verb_list },
	{ "channel", "NAME", "make a channel a role of its own", 1, 1,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES | TAKES_NEW | TAKES_ROLE, verb_channel },
	{ "key", "FILE", "make a holder's key, or tell the public half of one", 1, 1, TAKES_KEYS | TAKES_NEW,
		verb_key },
	{ "rotate", "ROLE", "give a role other keys", 1, 1,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES | TAKES_NEW | TAKES_ROLE, verb_rotate },
	{ "revoke", "ROLE KEYID|FILE...", "take keys away from a role", 2, -1,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES | TAKES_NEW | TAKES_ROLE, verb_revoke },
	{ "renew", "", "sign a root with the same keys that lives longer", 0, 0,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES, verb_renew },
	{ "sign", "FILE", "add your signature to a draft; needs no feed", 1, 1, NEEDS_KEYS | TAKES_OUT,
		verb_sign },
	{ "merge", "FILE...", "gather signatures, and publish what all have signed", 0, -1,
		TAKES_FEED | TAKES_KEYS | TAKES_TIMES, verb_merge },
	{ "audit", "", "check a whole feed (--feed may be a URL), and tell what expires when", 0, 0,
		TAKES_FEED | TAKES_WALK, verb_audit },
	{ "mirror", "FROM", "copy a feed (a directory or URL) to --feed", 1, 1,
		TAKES_FEED | TAKES_WALK | TAKES_MIRROR, verb_mirror },
	{ "token", "VERSION", "make a break-glass token for a release below the floor", 1, 1,
		NEEDS_KEYS | TAKES_OUT | TAKES_TOKEN | MAY_FEED, verb_token },
	{ "drop", "[CHANGE]", "give up what waits for signatures", 0, 1, TAKES_FEED, verb_drop },
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

#define NO_MORE { NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL }

static void add_common(GOptionContext *context, const Verb *verb, Call *call)
{
	const GOptionEntry common[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &call->json, "One JSON object on standard output", NULL },
		NO_MORE,
	};
	const GOptionEntry feed[] = {
		{ "feed", 0, 0, G_OPTION_ARG_FILENAME, &call->feed, "The feed", "DIR" },
		NO_MORE,
	};
	const GOptionEntry adding[] = {
		{ "channel", 0, 0, G_OPTION_ARG_STRING, &call->channel, "Channel (default: stable)", "NAME" },
		{ "trees", 0, 0, G_OPTION_ARG_FILENAME, &call->trees,
			"OSTree repository that holds the tree (default: RELEASE_DIR/../ostree)", "REPO" },
		{ "no-trees", 0, 0, G_OPTION_ARG_NONE, &call->no_trees, "Leave the tree out", NULL },
		{ "no-blocks", 0, 0, G_OPTION_ARG_NONE, &call->no_blocks,
			"Make no blocks payload where there is none", NULL },
		{ "deltas", 0, 0, G_OPTION_ARG_INT, &call->deltas,
			"Make deltas from so many releases before it (default: 5)", "N" },
		NO_MORE,
	};
	const GOptionEntry out[] = {
		{ "out", 0, 0, G_OPTION_ARG_FILENAME, &call->out, "Write there (default: in its place)",
			"FILE" },
		NO_MORE,
	};
	const GOptionEntry draft[] = {
		{ "draft", 0, 0, G_OPTION_ARG_NONE, &call->draft,
			"If keys are missing, keep a draft for other holders to sign", NULL },
		NO_MORE,
	};

	const GOptionEntry token[] = {
		{ "channel", 0, 0, G_OPTION_ARG_STRING, &call->channel, "Channel (default: stable)", "NAME" },
		{ "node", 0, 0, G_OPTION_ARG_STRING, &call->node, "For the node with this machine id", "ID" },
		{ "pool", 0, 0, G_OPTION_ARG_STRING, &call->pool, "For the nodes of this pool", "NAME" },
		/* Bytes: a sentence need not be in the locale's letters. */
		{ "reason", 0, 0, G_OPTION_ARG_FILENAME, &call->reason, "Why; every use is logged with it",
			"TEXT" },
		{ "expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_lifetime, "Default: 1d", "TIME" },
		NO_MORE,
	};

	const GOptionEntry walk[] = {
		{ "channel", 0, 0, G_OPTION_ARG_STRING, &call->channel, "Only that channel (default: all)",
			"NAME" },
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &call->root,
			"Root to trust (default: the feed's own metadata/1.root.json)", "FILE" },
		NO_MORE,
	};
	const GOptionEntry mirror[] = {
		{ "no-trees", 0, 0, G_OPTION_ARG_NONE, &call->no_trees, "Leave the OSTree trees out", NULL },
		{ "prune", 0, 0, G_OPTION_ARG_NONE, &call->prune, "Remove what the feed no longer names",
			NULL },
		{ "accept-stale", 0, 0, G_OPTION_ARG_CALLBACK, parse_until,
			"Accept expired metadata until then", "DATE" },
		NO_MORE,
	};

	g_option_context_add_main_entries(context, common, NULL);
	if (verb->takes & (TAKES_FEED | MAY_FEED))
		g_option_context_add_main_entries(context, feed, NULL);
	if (verb->takes & TAKES_ADD)
		g_option_context_add_main_entries(context, adding, NULL);
	if (verb->takes & TAKES_OUT)
		g_option_context_add_main_entries(context, out, NULL);
	if (verb->takes & TAKES_DRAFT)
		g_option_context_add_main_entries(context, draft, NULL);
	if (verb->takes & TAKES_WALK)
		g_option_context_add_main_entries(context, walk, NULL);
	if (verb->takes & TAKES_MIRROR)
		g_option_context_add_main_entries(context, mirror, NULL);
	if (verb->takes & TAKES_TOKEN)
		g_option_context_add_main_entries(context, token, NULL);
}

static void add_key_options(GOptionContext *context, const Verb *verb, Call *call)
{
	const GOptionEntry keys[] = {
		{ "keys", 0, 0, G_OPTION_ARG_FILENAME, &call->keys, "Private keys: *.pem, and *.uri", "DIR" },
		{ "key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &call->key,
			"A private key: a PEM file or a pkcs11 URI; may come several times", "FILE|URI" },
		NO_MORE,
	};
	const GOptionEntry making[] = {
		{ "algorithm", 0, 0, G_OPTION_ARG_STRING, &call->algorithm,
			"Of new keys: hybrid (default), ed25519, ml-dsa-44, -65, -87, ecdsa-p256, -p384",
			"NAME" },
		NO_MORE,
	};
	const GOptionEntry init[] = {
		{ "channel", 0, 0, G_OPTION_ARG_STRING_ARRAY, &call->channels,
			"A channel (default: stable); may come several times", "NAME" },
		{ "holders", 0, 0, G_OPTION_ARG_STRING_ARRAY, &call->holders,
			"N holders for a role, T of whom must sign (default: one, or all of --public)",
			"ROLE=T/N" },
		{ "public", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &call->publics,
			"The public key of a role's holder, who signs elsewhere; may come several times",
			"ROLE=FILE" },
		NO_MORE,
	};
	const GOptionEntry role[] = {
		{ "add", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &call->add, "A holder's public key", "FILE" },
		{ "remove", 0, 0, G_OPTION_ARG_STRING_ARRAY, &call->remove,
			"A key to take away, or the public keys of a file", "KEYID|FILE" },
		{ "keep", 0, 0, G_OPTION_ARG_NONE, &call->keep, "Add to the keys that the role has", NULL },
		{ "threshold", 0, 0, G_OPTION_ARG_INT, &call->threshold, "How many holders must sign", "N" },
		NO_MORE,
	};

	if (verb->takes & (TAKES_KEYS | NEEDS_KEYS))
		g_option_context_add_main_entries(context, keys, NULL);
	if (verb->takes & TAKES_NEW)
		g_option_context_add_main_entries(context, making, NULL);
	if (verb->takes & TAKES_INIT)
		g_option_context_add_main_entries(context, init, NULL);
	if (verb->takes & TAKES_ROLE)
		g_option_context_add_main_entries(context, role, NULL);
}

static void add_times(GOptionContext *context, const Verb *verb)
{
	static const GOptionEntry times[] = {
		{ "root-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 365d", "TIME" },
		{ "targets-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 90d; channels too",
			"TIME" },
		{ "snapshot-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 7d", "TIME" },
		{ "timestamp-expires", 0, 0, G_OPTION_ARG_CALLBACK, parse_expires, "Default: 1d", "TIME" },
		NO_MORE,
	};

	if (verb->takes & TAKES_TIMES)
		g_option_context_add_main_entries(context, times, NULL);
}

/* NULL, or what is wrong. */
static const char *check_call(const Verb *verb, const Call *call)
{
	int arguments = call->argc - 1;

	if ((verb->takes & TAKES_FEED) && !call->feed)
		return "--feed DIR is missing";
	if ((verb->takes & NEEDS_KEYS) && !call->keys && !call->key)
		return "--keys DIR or --key FILE is missing";
	if (arguments < verb->min_arguments)
		return "an argument is missing";
	if (verb->max_arguments >= 0 && arguments > verb->max_arguments)
		return "too many arguments";
	if (!proa_signer_algorithm_valid(call->algorithm))
		return "--algorithm: there is no such kind of key";
	if (call->threshold < 0)
		return "--threshold must be positive";
	return NULL;
}

static int run_verb(const Verb *verb, Call *call)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *parameters =
		g_strdup_printf("%s%s- %s", verb->arguments, *verb->arguments ? " " : "", verb->summary);
	g_autoptr(GOptionContext) context = g_option_context_new(parameters);

	add_common(context, verb, call);
	add_key_options(context, verb, call);
	add_times(context, verb);
	parsing = call;
	if (!g_option_context_parse(context, &call->argc, &call->argv, &error))
		return usage_error(error->message);
	if (!call->algorithm)
		call->algorithm = g_strdup(PROA_SIGNER_DEFAULT_ALGORITHM);
	call->may_make_keys = (verb->takes & TAKES_NEW) != 0;
	const char *wrong = check_call(verb, call);
	if (wrong)
		return usage_error(wrong);
	ProaExit status = verb->run(call, &error);
	return error ? failed(call, error) : (int)status;
}

static void call_clear(Call *call)
{
	g_free(call->feed);
	g_free(call->keys);
	g_strfreev(call->key);
	g_strfreev(call->channels);
	g_free(call->channel);
	g_free(call->trees);
	g_free(call->algorithm);
	g_strfreev(call->holders);
	g_strfreev(call->publics);
	g_strfreev(call->add);
	g_strfreev(call->remove);
	g_free(call->out);
	g_free(call->root);
	g_free(call->node);
	g_free(call->pool);
	g_free(call->reason);
}

int main(int argc, char **argv)
{
	int repacked;

	if (proa_repack_main(argc, argv, &repacked))
		return repacked;
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
		Call call = { .verb = verbs[i].name,
			.argc = argc - 1,
			.argv = argv + 1,
			.deltas = PROA_DELTAS_DEFAULT };
		proa_lifetimes_defaults(&call.lifetimes);
		call.lifetime = call.lifetimes.of[PROA_ROLE_TIMESTAMP]; /* a day */
		int status = run_verb(&verbs[i], &call);
		call_clear(&call);
		return status;
	}
	g_autofree char *message = g_strdup_printf("unknown verb \"%s\"", argv[1]);
	return usage_error(message);
}

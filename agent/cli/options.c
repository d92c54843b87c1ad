/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/options.h"

#include "agent/paths.h"
#include "agent/text.h"
#include "base/version.h"

#include <string.h>

#define DEFAULT_COUNT 20
#define MAX_COUNT 100000

typedef enum {
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_JSON,
	OPTION_ROOT,
	OPTION_LIBEXEC,
	OPTION_TO,
	OPTION_REBOOT,
	OPTION_NO_WAIT,
	OPTION_TOKEN,
	OPTION_ACCEPT_STALE,
	OPTION_COUNT,
	OPTION_REJECTED,
	OPTION_MAX,
} OptionKind;

typedef struct {
	const char *name;
	const char *letter; /* NULL: none */
	const char *value;  /* the name of its value; NULL: it takes none */
	const char *help;
	gboolean common; /* taken by every verb */
} Option;

static const Option options_table[OPTION_MAX] = {
	[OPTION_HELP] = { "--help", "-h", NULL, "this text", TRUE },
	[OPTION_VERSION] = { "--version", NULL, NULL, "the version of this program", TRUE },
	[OPTION_JSON] = { "--json", NULL, NULL,
		"one JSON object on standard output, progress as JSON Lines on standard error", TRUE },
	[OPTION_ROOT] = { "--root", NULL, "DIR", "configuration and state below DIR (for tests)", TRUE },
	[OPTION_LIBEXEC] = { "--libexec", NULL, "DIR", "where proa-install and proa-bootd are (for tests)",
		TRUE },
	[OPTION_TO] = { "--to", NULL, "VERSION", "this release and no other", FALSE },
	[OPTION_REBOOT] = { "--reboot", NULL, NULL, "reboot at the end, if all went well", FALSE },
	[OPTION_NO_WAIT] = { "--no-wait", NULL, NULL, "start it and come back at once", FALSE },
	[OPTION_TOKEN] = { "--token", NULL, "FILE",
		"a break-glass token, with which VERSION may be below the floor", FALSE },
	[OPTION_ACCEPT_STALE] = { "--accept-stale", NULL, "DATE",
		"accept a feed that has expired until then (UTC); logged", FALSE },
	[OPTION_COUNT] = { "--lines", "-n", "N", "the newest N entries, 0 for all; default 20", FALSE },
	[OPTION_REJECTED] = { "--rejected", NULL, NULL, "the releases that failed here, and why", FALSE },
};

typedef struct {
	const char *name;
	const char *summary;
	const char *about;
	OptionKind own[6]; /* ends with OPTION_HELP */
} Verb;

static const Verb verbs_table[_PROA_VERB_MAX] = {
	[PROA_VERB_STATUS] = { "status", "what runs, what is staged, what was rejected, when it looks again",
		"Shows on one screen what runs and how it was verified, what the other slot holds, what is staged or rejected,\n"
		"and the last and the next check. As root it works without proad too.\n",
		{ OPTION_HELP } },
	[PROA_VERB_CHECK] = { "check", "ask the feed whether there is a newer release; change nothing",
		"Asks the feed what it offers this node. Exit status 4 means that there is nothing newer.\n",
		{ OPTION_ACCEPT_STALE, OPTION_HELP } },
	[PROA_VERB_UPDATE] = { "update",
		"bring the newest release into the other slot; the next boot tries it",
		"Downloads the newest release of the channel, or the one named, writes it into the other slot, verifies what it\n"
		"wrote and arms it. What runs is not touched until the reboot. Ctrl-C cancels: nothing is armed then.\n"
		"If proad does not answer, root's proa runs proa-install itself; so it does with --token and --accept-stale,\n"
		"which are root's own decisions and are written into the history and the journal.\n",
		{ OPTION_TO, OPTION_TOKEN, OPTION_ACCEPT_STALE, OPTION_REBOOT, OPTION_NO_WAIT,
			OPTION_HELP } },
	[PROA_VERB_ROLLBACK] = { "rollback", "make the release in the other slot the next one to boot",
		"Makes the release in the other slot the firmware's next choice. Done twice, it goes forward again.\n"
		"As root it works without proad too.\n",
		{ OPTION_TO, OPTION_REBOOT, OPTION_HELP } },
	[PROA_VERB_REBOOT] = { "reboot", "reboot in good order",
		"Reboots through the service manager. An update under way is cancelled; nothing is armed then.\n",
		{ OPTION_HELP } },
	[PROA_VERB_HISTORY] = { "history", "what happened on this node",
		"Tells what was staged, tried, blessed, refused, left and why, oldest first.\n",
		{ OPTION_COUNT, OPTION_REJECTED, OPTION_HELP } },
};

const char *proa_verb_to_string(ProaVerb verb)
{
	return verb >= 0 && verb < _PROA_VERB_MAX ? verbs_table[verb].name : "";
}

static ProaVerb verb_from_string(const char *word)
{
	for (int i = 0; i < _PROA_VERB_MAX; i++)
		if (strcmp(word, verbs_table[i].name) == 0)
			return (ProaVerb)i;
	return _PROA_VERB_NONE;
}

static gboolean verb_takes(ProaVerb verb, OptionKind kind)
{
	if (options_table[kind].common)
		return TRUE;
	for (int i = 0; verb != _PROA_VERB_NONE && verbs_table[verb].own[i] != OPTION_HELP; i++)
		if (verbs_table[verb].own[i] == kind)
			return TRUE;
	return FALSE;
}

void proa_options_free(ProaOptions *options)
{
	g_free(options->to);
	g_free(options->token);
	g_free(options->accept_stale);
	g_free(options->root);
	g_free(options->libexec);
	g_free(options);
}

/* --- parsing
 * ------------------------------------------------------------------------------------------------------ */

/* The option of @argument, and the value that stands in it ("--to=1.0", "-n5"); OPTION_MAX if it is none. */
static OptionKind find_option(const char *argument, const char **ret_value)
{
	for (int i = 0; i < OPTION_MAX; i++) {
		const Option *option = &options_table[i];
		gsize length = strlen(option->name);

		*ret_value = NULL;
		if (strcmp(argument, option->name) == 0 ||
			(option->letter && strcmp(argument, option->letter) == 0))
			return (OptionKind)i;
		if (!option->value)
			continue;
		*ret_value = argument + length + 1;
		if (strncmp(argument, option->name, length) == 0 && argument[length] == '=')
			return (OptionKind)i;
		*ret_value = argument + 2;
		if (option->letter && strncmp(argument, option->letter, 2) == 0)
			return (OptionKind)i;
	}
	return OPTION_MAX;
}

static gboolean parse_count(const char *value, guint *ret_count, GError **error)
{
	guint64 count;

	if (!g_ascii_string_to_unsigned(value, 10, 0, MAX_COUNT, &count, NULL))
		return proa_fail(error, PROA_REASON_USAGE, "--lines takes a number from 0 to %d", MAX_COUNT);
	*ret_count = (guint)count;
	return TRUE;
}

static gboolean set_option(ProaOptions *options, OptionKind kind, const char *value, GError **error)
{
	switch (kind) {
	case OPTION_HELP:
		options->help = TRUE;
		return TRUE;
	case OPTION_VERSION:
		options->version = TRUE;
		return TRUE;
	case OPTION_JSON:
		options->json = TRUE;
		return TRUE;
	case OPTION_ROOT:
		g_set_str(&options->root, value);
		return TRUE;
	case OPTION_LIBEXEC:
		g_set_str(&options->libexec, value);
		return TRUE;
	case OPTION_TO:
		if (!proa_version_valid(value))
			return proa_fail(error, PROA_REASON_USAGE,
				"--to takes the version of a release, such as 1.0.1");
		g_set_str(&options->to, value);
		return TRUE;
	case OPTION_REBOOT:
		options->reboot = TRUE;
		return TRUE;
	case OPTION_NO_WAIT:
		options->no_wait = TRUE;
		return TRUE;
	case OPTION_TOKEN:
		g_set_str(&options->token, value);
		return TRUE;
	case OPTION_ACCEPT_STALE:
		g_set_str(&options->accept_stale, value);
		return TRUE;
	case OPTION_COUNT:
		return parse_count(value, &options->count, error);
	case OPTION_REJECTED:
		options->rejected = TRUE;
		return TRUE;
	default:
		return proa_fail(error, PROA_REASON_INTERNAL, "an option without a meaning");
	}
}

/* Takes the option at **@argv and its value, and moves *@argv to the last argument that it took. */
static gboolean take_option(ProaOptions *options, guint *seen, const char *const **argv, GError **error)
{
	const char *value = NULL;
	OptionKind kind = find_option(**argv, &value);

	if (kind == OPTION_MAX) {
		g_autofree char *safe = proa_text_safe(**argv);
		return proa_fail(error, PROA_REASON_USAGE, "there is no option %s", safe);
	}
	if (options_table[kind].value && !value) {
		value = (*argv)[1];
		if (!value)
			return proa_fail(error, PROA_REASON_USAGE, "%s needs a value: %s %s",
				options_table[kind].name, options_table[kind].name,
				options_table[kind].value);
		(*argv)++;
	}
	*seen |= 1u << kind;
	return set_option(options, kind, value, error);
}

/* "help" is a verb only to whoever types it: "help update" is "update --help". */
static gboolean take_word(ProaOptions *options, const char *word, GError **error)
{
	ProaVerb verb = verb_from_string(word);
	g_autofree char *safe = proa_text_safe(word);

	if (strcmp(word, "help") == 0 && options->verb == _PROA_VERB_NONE && !options->help) {
		options->help = TRUE;
		return TRUE;
	}
	if (options->verb != _PROA_VERB_NONE)
		return proa_fail(error, PROA_REASON_USAGE, "%s takes no argument \"%s\"",
			proa_verb_to_string(options->verb), safe);
	if (verb == _PROA_VERB_NONE)
		return proa_fail(error, PROA_REASON_USAGE, "there is no verb \"%s\"", safe);
	options->verb = verb;
	return TRUE;
}

static gboolean check_together(const ProaOptions *options, guint seen, GError **error)
{
	if (options->help || options->version)
		return TRUE;
	if (options->verb == _PROA_VERB_NONE)
		return proa_fail(error, PROA_REASON_USAGE, "a verb is missing");
	for (int i = 0; i < OPTION_MAX; i++)
		if ((seen & 1u << i) && !verb_takes(options->verb, (OptionKind)i))
			return proa_fail(error, PROA_REASON_USAGE, "%s takes no %s",
				proa_verb_to_string(options->verb), options_table[i].name);
	if (options->token && !options->to)
		return proa_fail(
			error, PROA_REASON_USAGE, "--token needs --to VERSION: it is for one release");
	if (options->no_wait && (options->token || options->accept_stale))
		return proa_fail(error, PROA_REASON_USAGE,
			"--no-wait leaves it to proad, which takes no --token and no --accept-stale");
	if (options->reboot && options->no_wait)
		return proa_fail(error, PROA_REASON_USAGE,
			"--reboot waits for the end, --no-wait does not: choose one");
	return TRUE;
}

ProaOptions *proa_options_parse(const char *const *argv, GError **error)
{
	g_autoptr(ProaOptions) options = g_new0(ProaOptions, 1);
	guint seen = 0;

	options->verb = _PROA_VERB_NONE;
	options->count = DEFAULT_COUNT;
	for (; *argv; argv++) {
		gboolean taken = **argv == '-' ? take_option(options, &seen, &argv, error)
					       : take_word(options, *argv, error);
		if (!taken)
			return NULL;
	}
	return check_together(options, seen, error) ? g_steal_pointer(&options) : NULL;
}

/* --- help
 * ---------------------------------------------------------------------------------------------------------
 */

static void add_option_help(GString *text, OptionKind kind)
{
	const Option *option = &options_table[kind];
	g_autofree char *left = g_strdup_printf("%s%s%s%s%s", option->letter ? option->letter : "",
		option->letter ? ", " : "", option->name, option->value ? " " : "",
		option->value ? option->value : "");

	g_string_append_printf(text, "  %-18s %s\n", left, option->help);
}

static void add_options_help(GString *text, ProaVerb verb)
{
	g_string_append(text, "\nOptions:\n");
	for (int i = 0; verb != _PROA_VERB_NONE && verbs_table[verb].own[i] != OPTION_HELP; i++)
		add_option_help(text, verbs_table[verb].own[i]);
	for (int i = 0; i < OPTION_MAX; i++)
		if (options_table[i].common)
			add_option_help(text, (OptionKind)i);
}

char *proa_options_help(ProaVerb verb)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (verb == _PROA_VERB_NONE) {
		g_string_append(text,
			"usage: proa VERB [OPTION...]\n\nLooks after the releases of a Proa node.\n\nVerbs:\n");
		for (int i = 0; i < _PROA_VERB_MAX; i++)
			g_string_append_printf(
				text, "  %-18s %s\n", verbs_table[i].name, verbs_table[i].summary);
		g_string_append_printf(
			text, "  %-18s %s\n", "help VERB", "what a verb does and which options it takes");
	} else {
		g_string_append_printf(text, "usage: proa %s [OPTION...]\n\n%s", verbs_table[verb].name,
			verbs_table[verb].about);
	}
	add_options_help(text, verb);
	g_string_append(text,
		"\nExit status: 0 done, 1 failed, 2 wrong command line, 3 refused, 4 nothing to do. See proa(1).\n");
	return g_string_free(g_steal_pointer(&text), FALSE);
}

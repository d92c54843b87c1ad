/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/options.h"

#include "agent/paths.h"
#include "agent/text.h"
#include "base/version.h"

#include <string.h>

#define DEFAULT_COUNT 20
#define MAX_COUNT 100000
#define TIME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-*/, ~."
/* Of `proa config`: more paths than this are a mistake. */
#define MAX_WORDS 1000

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
	OPTION_CHECK,
	OPTION_NOW,
	OPTION_AT,
	OPTION_NEXT_REBOOT,
	OPTION_LAST_FAILURE,
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
	[OPTION_CHECK] = { "--check", NULL, NULL, "only see whether it would work: the whole slot is read",
		FALSE },
	[OPTION_NOW] = { "--now", NULL, NULL, "reboot at the end; the same as --reboot", FALSE },
	[OPTION_AT] = { "--at", NULL, "TIME", "do it then and reboot, as 03:00 or \"Sun 03:00\"", FALSE },
	[OPTION_NEXT_REBOOT] = { "--next-reboot", NULL, NULL,
		"leave the reboot to whoever reboots next; the default", FALSE },
	[OPTION_LAST_FAILURE] = { "--last-failure", NULL, NULL, "the page of the newest failure", FALSE },
};

typedef struct {
	const char *name;
	const char *summary;
	const char *about;
	OptionKind own[7];    /* ends with OPTION_HELP */
	const char *argument; /* the name of what may follow the verb; NULL: nothing may */
} Verb;

static const Verb verbs_table[_PROA_VERB_MAX] = {
	[PROA_VERB_STATUS] = { "status", "what runs, what is staged, what was rejected, when it looks again",
		"Shows on one screen what runs and how it was verified, what the other slot holds, what is staged or rejected,\n"
		"and the last and the next check. As root it works without proad too.\n",
		{ OPTION_HELP }, NULL },
	[PROA_VERB_CHECK] = { "check", "ask the feed whether there is a newer release; change nothing",
		"Asks the feed what it offers this node. Exit status 4 means that there is nothing newer.\n",
		{ OPTION_ACCEPT_STALE, OPTION_HELP }, NULL },
	[PROA_VERB_UPDATE] = { "update",
		"bring the newest release into the other slot; the next boot tries it",
		"Downloads the newest release of the channel, or the one named, writes it into the other slot, verifies what it\n"
		"wrote and arms it. What runs is not touched until the reboot. Ctrl-C cancels: nothing is armed then.\n"
		"If proad does not answer, root's proa runs proa-install itself; so it does with --token and --accept-stale,\n"
		"which are root's own decisions and are written into the history and the journal.\n",
		{ OPTION_TO, OPTION_TOKEN, OPTION_ACCEPT_STALE, OPTION_REBOOT, OPTION_NO_WAIT, OPTION_HELP },
		NULL },
	[PROA_VERB_ROLLBACK] = { "rollback", "make the release in the other slot the next one to boot",
		"Makes the release in the other slot the firmware's next choice. Done twice, it goes forward again.\n"
		"With --check it only sees whether that would work: it would not be refused, and every block of the slot is\n"
		"what it should be. As root it works without proad too.\n",
		{ OPTION_TO, OPTION_REBOOT, OPTION_NOW, OPTION_AT, OPTION_NEXT_REBOOT, OPTION_CHECK,
			OPTION_HELP },
		NULL },
	[PROA_VERB_REBOOT] = { "reboot", "reboot in good order",
		"Reboots through the service manager. An update under way is cancelled; nothing is armed then.\n",
		{ OPTION_HELP }, NULL },
	[PROA_VERB_HISTORY] = { "history", "what happened on this node",
		"Tells what was staged, tried, blessed, refused, left and why, oldest first.\n",
		{ OPTION_COUNT, OPTION_REJECTED, OPTION_HELP }, NULL },
	[PROA_VERB_BLESS] = { "bless", "take the running release as good, healthy or not",
		"Ends the trial of the running release: it is good because you say so. As root it works without proad too.\n",
		{ OPTION_HELP }, NULL },
	[PROA_VERB_REJECT] = { "reject", "never boot or install a release again by itself",
		"RELEASE is a version that this node knows, or a root hash; without it the other slot's release is meant.\n"
		"If it is the one that runs, the other slot is next. `proa unreject` takes it back.\n"
		"As root it works without proad too.\n",
		{ OPTION_HELP }, "[RELEASE]" },
	[PROA_VERB_UNREJECT] = { "unreject", "take a rejection back, whatever its reason",
		"RELEASE is a version or a root hash of `proa history --rejected`; without it the newest is meant.\n"
		"It may then be installed or rolled back to; nothing else is done. As root it works without proad too.\n",
		{ OPTION_HELP }, "[RELEASE]" },
	[PROA_VERB_PIN] = { "pin", "hold this node to one release",
		"From now on only VERSION is installed, the running one if none is named, until `proa unpin`.\n"
		"As root it works without proad too.\n",
		{ OPTION_HELP }, "[VERSION]" },
	[PROA_VERB_UNPIN] = { "unpin", "let this node follow its channel again",
		"Takes `proa pin` back. As root it works without proad too.\n", { OPTION_HELP }, NULL },
	[PROA_VERB_HEALTH] = { "health", "what each health check said last",
		"Shows what proa-bootd's checks said last in this boot. Exit status 1 if one of them is not right.\n",
		{ OPTION_HELP }, NULL },
	[PROA_VERB_LOG] = { "log", "why releases failed here",
		"Lists the pages of the black box, newest first; with --last-failure the newest page itself: what failed and\n"
		"why, what the checks said, the boot entries, the kernel's last words and the last messages. Needs root.\n",
		{ OPTION_LAST_FAILURE, OPTION_HELP }, NULL },
	[PROA_VERB_DOCTOR] = { "doctor", "what stands in the way of the next update, and the way out",
		"Looks at disk, boot entries, watchdog, firmware, clock, trust and feed, and tells the way out of what is\n"
		"wrong. Exit status 1 if something would stop an update or a way back. Needs root for all but the feed.\n",
		{ OPTION_HELP }, NULL },
	[PROA_VERB_CONFIG] = { "config", "generations of /etc: log, diff, restore",
		"config log                       what was committed, newest first\n"
		"config diff [COMMIT [COMMIT]]    what /etc holds beyond the newest commit, or what two commits differ in\n"
		"config restore COMMIT [PATH...]  bring files, or all of /etc, back as they were\n"
		"config commit                    commit /etc as it is now\n"
		"Needs root. Works without proad.\n",
		{ OPTION_HELP }, "log|diff|restore|commit [COMMIT] [PATH...]" },
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
	g_free(options->at);
	g_strfreev(options->words);
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

/* It becomes an argument of systemd-run, which judges it; nothing that could be an option passes. */
static gboolean set_time(ProaOptions *options, const char *value, GError **error)
{
	if (!*value || *value == '-' || strspn(value, TIME_CHARACTERS) != strlen(value))
		return proa_fail(error, PROA_REASON_USAGE,
			"--at takes a time, such as 03:00, \"Sun 03:00\" or \"2026-12-24 03:00\"");
	g_set_str(&options->at, value);
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
	case OPTION_CHECK:
		options->check = TRUE;
		return TRUE;
	case OPTION_NOW:
		options->reboot = TRUE;
		return TRUE;
	case OPTION_AT:
		return set_time(options, value, error);
	case OPTION_NEXT_REBOOT:
		return TRUE;
	case OPTION_LAST_FAILURE:
		options->last_failure = TRUE;
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

/* What follows the verb: one release, or of config an action and what it acts on. */
static gboolean take_argument(ProaOptions *options, const char *word, const char *safe, GError **error)
{
	guint count = g_strv_length(options->words);

	if (options->verb == PROA_VERB_CONFIG && count < MAX_WORDS) {
		options->words = g_renew(char *, options->words, count + 2);
		options->words[count] = g_strdup(word);
		options->words[count + 1] = NULL;
		return TRUE;
	}
	if (!verbs_table[options->verb].argument || options->to)
		return proa_fail(error, PROA_REASON_USAGE, "%s takes no argument \"%s\"",
			proa_verb_to_string(options->verb), safe);
	if (!proa_version_valid(word))
		return proa_fail(
			error, PROA_REASON_USAGE, "\"%s\" is neither a version nor a root hash", safe);
	g_set_str(&options->to, word);
	return TRUE;
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
		return take_argument(options, word, safe, error);
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
	if (options->check && (options->reboot || options->at))
		return proa_fail(
			error, PROA_REASON_USAGE, "--check changes nothing: there is nothing to reboot for");
	if (options->at && options->reboot)
		return proa_fail(error, PROA_REASON_USAGE, "now or --at a time: choose one");
	if ((seen & 1u << OPTION_NEXT_REBOOT) && (options->at || options->reboot))
		return proa_fail(
			error, PROA_REASON_USAGE, "now, --at a time or at the --next-reboot: choose one");
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
	options->words = g_new0(char *, 1);
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
		const char *argument = verbs_table[verb].argument;
		g_string_append_printf(text, "usage: proa %s%s%s [OPTION...]\n\n%s", verbs_table[verb].name,
			argument ? " " : "", argument ? argument : "", verbs_table[verb].about);
	}
	add_options_help(text, verb);
	g_string_append(text,
		"\nExit status: 0 done, 1 failed, 2 wrong command line, 3 refused, 4 nothing to do. See proa(1).\n");
	return g_string_free(g_steal_pointer(&text), FALSE);
}

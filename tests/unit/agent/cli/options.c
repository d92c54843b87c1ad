/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/options.h"

#include <string.h>

static ProaOptions *parse(const char *line, GError **error)
{
	g_auto(GStrv) words = *line ? g_strsplit(line, " ", -1) : g_new0(char *, 1);

	return proa_options_parse((const char *const *)words, error);
}

static void test_right(void)
{
	g_autoptr(ProaOptions) update = parse("update --to 1.0.1 --reboot --json", NULL);
	g_assert_cmpint(update->verb, ==, PROA_VERB_UPDATE);
	g_assert_cmpstr(update->to, ==, "1.0.1");
	g_assert_true(update->reboot && update->json && !update->no_wait && !update->help);

	g_autoptr(ProaOptions) equals =
		parse("--json --to=1.0~rc1 rollback --root=/tmp/x --libexec /y", NULL);
	g_assert_cmpint(equals->verb, ==, PROA_VERB_ROLLBACK);
	g_assert_cmpstr(equals->to, ==, "1.0~rc1");
	g_assert_cmpstr(equals->root, ==, "/tmp/x");
	g_assert_cmpstr(equals->libexec, ==, "/y");

	const char *const counts[] = { "history -n 5", "history -n5", "history --lines=5",
		"history --lines 5" };
	for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
		g_autoptr(ProaOptions) history = parse(counts[i], NULL);
		g_assert_nonnull(history);
		g_assert_cmpuint(history->count, ==, 5);
	}
	const char *const rollbacks[] = { "rollback --now", "rollback --reboot" };
	for (gsize i = 0; i < G_N_ELEMENTS(rollbacks); i++) {
		g_autoptr(ProaOptions) now = parse(rollbacks[i], NULL);
		g_assert_true(now->reboot && !now->at && !now->check);
	}
	g_autoptr(ProaOptions) later = parse("rollback --at 03:00 --to 1.0", NULL);
	g_assert_cmpstr(later->at, ==, "03:00");
	g_assert_false(later->reboot);
	g_autoptr(ProaOptions) check = parse("rollback --check", NULL);
	g_assert_true(check->check);
	g_autoptr(ProaOptions) reject = parse("reject --json 1.0.1", NULL);
	g_assert_cmpint(reject->verb, ==, PROA_VERB_REJECT);
	g_assert_cmpstr(reject->to, ==, "1.0.1");
	g_autoptr(ProaOptions) pin = parse("pin", NULL);
	g_assert_null(pin->to);
	g_autoptr(ProaOptions) config = parse("config diff a b", NULL);
	g_assert_cmpuint(g_strv_length(config->words), ==, 3);
	g_assert_cmpstr(config->words[2], ==, "b");
	g_autoptr(ProaOptions) decided =
		parse("update --to 1.0 --token t.json --accept-stale 2030-01-01", NULL);
	g_assert_cmpstr(decided->token, ==, "t.json");
	g_assert_cmpstr(decided->accept_stale, ==, "2030-01-01");
	g_assert_null(parse("update --token t.json", NULL));
	g_assert_null(parse("update --accept-stale 2030-01-01 --no-wait", NULL));
	g_assert_null(parse("rollback --accept-stale 2030-01-01", NULL));
	g_autoptr(ProaOptions) rejected = parse("history --rejected", NULL);
	g_assert_true(rejected->rejected);
	g_assert_cmpuint(rejected->count, ==, 20);
}

static void test_help(void)
{
	const char *const lines[] = { "help update", "update --help", "update -h", "--help update" };

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(ProaOptions) options = parse(lines[i], NULL);
		g_assert_nonnull(options);
		g_assert_true(options->help);
		g_assert_cmpint(options->verb, ==, PROA_VERB_UPDATE);
	}
	g_autoptr(ProaOptions) whole = parse("help", NULL);
	g_assert_cmpint(whole->verb, ==, _PROA_VERB_NONE);
	g_autofree char *text = proa_options_help(_PROA_VERB_NONE);
	for (int verb = 0; verb < _PROA_VERB_MAX; verb++) {
		g_autofree char *help = proa_options_help((ProaVerb)verb);
		g_assert_nonnull(strstr(text, proa_verb_to_string((ProaVerb)verb)));
		g_assert_nonnull(strstr(help, "--json"));
		/* It says no option that is not parsed. */
		g_autofree char *line = g_strdup_printf("%s --to 1", proa_verb_to_string((ProaVerb)verb));
		g_autoptr(ProaOptions) options = parse(line, NULL);
		g_assert_true((options != NULL) == (strstr(help, "--to VERSION") != NULL));
	}
}

static void test_wrong(void)
{
	static const struct {
		const char *line, *message;
	} wrong[] = {
		{ "", "a verb is missing" },
		{ "--json", "a verb is missing" },
		{ "fly", "there is no verb \"fly\"" },
		{ "status update", "status takes no argument \"update\"" },
		{ "update 1.0.1", "update takes no argument \"1.0.1\"" },
		{ "update --fast", "there is no option --fast" },
		{ "update --", "there is no option --" },
		{ "update -x", "there is no option -x" },
		{ "update --to", "--to needs a value: --to VERSION" },
		{ "update --to=", "--to takes the version of a release, such as 1.0.1" },
		{ "update --to ../../x", "--to takes the version of a release, such as 1.0.1" },
		{ "update --to --reboot", "--to takes the version of a release, such as 1.0.1" },
		{ "update --json=yes", "there is no option --json=yes" },
		{ "update --reboot --no-wait", "--reboot waits for the end, --no-wait does not: choose one" },
		{ "status --reboot", "status takes no --reboot" },
		{ "check --to 1.0", "check takes no --to" },
		{ "history -n", "--lines needs a value: --lines N" },
		{ "history -n -5", "--lines takes a number from 0 to 100000" },
		{ "history -n 1e3", "--lines takes a number from 0 to 100000" },
		{ "history -n 99999999999999999999", "--lines takes a number from 0 to 100000" },
		{ "reject 1.0 1.1", "reject takes no argument \"1.1\"" },
		{ "reject ../x", "\"../x\" is neither a version nor a root hash" },
		{ "bless 1.0", "bless takes no argument \"1.0\"" },
		{ "rollback --check --now", "--check changes nothing: there is nothing to reboot for" },
		{ "rollback --at 3:00 --now", "now or --at a time: choose one" },
		{ "rollback --next-reboot --now", "now, --at a time or at the --next-reboot: choose one" },
		{ "rollback --at --collect",
			"--at takes a time, such as 03:00, \"Sun 03:00\" or \"2026-12-24 03:00\"" },
		{ "rollback --at 3;reboot",
			"--at takes a time, such as 03:00, \"Sun 03:00\" or \"2026-12-24 03:00\"" },
		{ "help fly", "there is no verb \"fly\"" },
		{ "\033[2J", "there is no verb \"[2J\"" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(parse(wrong[i].line, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
		g_assert_cmpstr(error->message, ==, wrong[i].message);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/options/options-anywhere-values-both-ways", test_right);
	g_test_add_func("/options/help-tells-what-is-parsed", test_help);
	g_test_add_func("/options/mistakes-are-named", test_wrong);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proa: the operator's command line. */
#include "agent/cli/verbs.h"

#include <locale.h>
#include <stdio.h>

/* Whether --json stands anywhere: also a wrong command line is answered in JSON to whoever asked for it. */
static gboolean wants_json(const char *const *argv)
{
	return g_strv_contains(argv, "--json");
}

int main(int argc, char **argv)
{
	const char *const *arguments = (const char *const *)argv + (argc > 0 ? 1 : 0);
	g_autoptr(GError) error = NULL;

	setlocale(LC_CTYPE, "");
	g_autoptr(ProaOptions) options = proa_options_parse(arguments, &error);
	if (!options)
		return proa_verb_fail("", wants_json(arguments), error);
	if (options->version) {
		printf("proa %s\n", PROA_VERSION);
		return PROA_EXIT_OK;
	}
	if (options->help) {
		g_autofree char *help = proa_options_help(options->verb);
		fputs(help, stdout);
		return PROA_EXIT_OK;
	}
	return proa_verb_run(options);
}

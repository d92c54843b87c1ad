/* SPDX-License-Identifier: Apache-2.0 */
/* proa's command line, from the words to the exit status. */
#include "base/json.h"
#include "base/reason.h"
#include "tests/unit/agent/harness.h"

#include <string.h>

static void help_and_version_need_no_node(void)
{
	static const char *const lines[][2] = { { "--version", "proa " }, { "--help", "rollback" },
		{ "help rollback", "--check" }, { "rollback --help", "--check" } };

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(Harness) harness = harness_new();
		g_auto(Answer) answer = harness_proa(&harness, lines[i][0]);
		g_assert_cmpint(answer.status, ==, PROA_EXIT_OK);
		g_assert_nonnull(strstr(answer.out, lines[i][1]));
		g_assert_cmpstr(answer.err, ==, "");
		g_autofree char *calls = harness_read(&harness, "fixture/calls");
		g_assert_cmpstr(calls, ==, "");
	}
}

/* A mistake is told as every other failure: in JSON to whoever asked for JSON. */
static void a_mistake_is_told_in_the_form_asked_for(void)
{
	g_auto(Harness) harness = harness_new();
	g_auto(Answer) text = harness_proa(&harness, "update --fast");
	g_auto(Answer) json = harness_proa(&harness, "update --fast --json");

	g_assert_cmpint(text.status, ==, PROA_EXIT_USAGE);
	g_assert_cmpstr(text.out, ==, "");
	g_assert_nonnull(strstr(text.err, "--fast"));
	g_assert_cmpint(json.status, ==, PROA_EXIT_USAGE);
	g_assert_cmpstr(proa_json_string_or(json.json, "reason", NULL), ==, "usage");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/proa/help-and-version-need-no-node", help_and_version_need_no_node);
	g_test_add_func(
		"/proa/a-mistake-is-told-in-the-form-asked-for", a_mistake_is_told_in_the_form_asked_for);
	return g_test_run();
}

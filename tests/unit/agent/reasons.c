/* SPDX-License-Identifier: Apache-2.0 */
/* docs/reasons.md and base/reason.c say the same. */
#include "base/reason.h"

#include <string.h>

static void test_rows(void)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(REASONS_PAGE, &text, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (int i = 0; i < PROA_REASON_MAX; i++) {
		ProaReason reason = (ProaReason)i;
		g_autofree char *start = g_strdup_printf(
			"| `%s` | %d | ", proa_reason_to_string(reason), proa_reason_exit(reason));
		g_autofree char *end = g_strdup_printf(" | %s |", proa_reason_hint(reason));
		guint found = 0;
		for (guint n = 0; lines[n]; n++)
			if (g_str_has_prefix(lines[n], start) && g_str_has_suffix(lines[n], end) &&
				strlen(lines[n]) > strlen(start) + strlen(end))
				found++;
		if (found != 1)
			g_error("docs/reasons.md needs one row: %sWHAT IT MEANS%s", start, end);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reasons/page-has-every-code-with-its-exit-status-and-hint", test_rows);
	return g_test_run();
}

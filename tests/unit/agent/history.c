/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/history.h"

#include "base/json.h"
#include "base/state.h"
#include "tests/unit/scratch.h"

static void test_count(void)
{
	g_auto(Scratch) scratch = scratch_new();

	for (int i = 0; i < 10; i++) {
		g_autofree char *detail = g_strdup_printf("%d", i);
		g_assert_true(proa_history_append(scratch.path, "staged", NULL, NULL, detail, NULL));
	}
	g_autoptr(JsonArray) three = proa_history_load(scratch.path, 3, NULL);
	g_assert_cmpuint(json_array_get_length(three), ==, 3);
	g_assert_cmpstr(
		proa_json_string_or(json_array_get_object_element(three, 0), "detail", NULL), ==, "7");
	g_autoptr(JsonArray) all = proa_history_load(scratch.path, 0, NULL);
	g_assert_cmpuint(json_array_get_length(all), ==, 10);
}

static void test_broken(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonArray) none = proa_history_load(scratch.path, 5, NULL);

	g_assert_cmpuint(json_array_get_length(none), ==, 0);
	g_autofree char *path = scratch_write(&scratch, "history.jsonl",
		"{\"event\":\"a\"}\nrubbish\n[1]\n{\"event\":\"b\"}\n{\"event\":\"c", -1);
	g_autoptr(JsonArray) two = proa_history_load(scratch.path, 5, NULL);
	g_assert_cmpuint(json_array_get_length(two), ==, 2);

	g_autofree char *big = g_strnfill(PROA_HISTORY_MAX_SIZE + 1, 'x');
	g_autofree char *again = scratch_write(&scratch, "history.jsonl", big, -1);
	g_assert_null(proa_history_load(scratch.path, 5, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/history/newest-entries-oldest-first", test_count);
	g_test_add_func("/history/broken-lines-are-left-out", test_broken);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/jsonl.h"

#include "base/json.h"

#include <string.h>

static void collect(JsonObject *object, gpointer data)
{
	g_string_append_printf(data, "%s;", proa_json_string_or(object, "a", "?"));
}

/* Feeds @text in pieces of @piece bytes; returns what was heard. */
static char *feed(const char *text, gsize size, gsize piece, guint *ret_dropped)
{
	g_autoptr(GString) heard = g_string_new(NULL);
	g_autoptr(ProaJsonl) jsonl = proa_jsonl_new(collect, heard);

	for (gsize at = 0; at < size; at += piece) {
		/* A copy of exactly this size, so that a read past the end is seen. */
		g_autofree char *copy = g_memdup2(text + at, MIN(piece, size - at));
		proa_jsonl_feed(jsonl, copy, MIN(piece, size - at));
	}
	proa_jsonl_end(jsonl);
	*ret_dropped = proa_jsonl_dropped(jsonl);
	return g_string_free(g_steal_pointer(&heard), FALSE);
}

static void test_pieces(void)
{
	const char *text = "{\"a\":\"1\"}\n\n{\"a\":\"2\"}\n{\"a\":\"3\"}";

	for (gsize piece = 1; piece <= strlen(text); piece++) {
		guint dropped = 99;
		g_autofree char *heard = feed(text, strlen(text), piece, &dropped);
		g_assert_cmpstr(heard, ==, "1;2;3;");
		g_assert_cmpuint(dropped, ==, 0);
	}
}

static void test_hostile(void)
{
	static const struct {
		const char *text;
		gsize size;
	} lines[] = {
		{ "[]\n", 3 },
		{ "17\n", 3 },
		{ "{\n", 2 },
		{ "{\"a\":\n", 6 },
		{ "\xff\xfe\n", 3 },
		{ "\0{\"a\":\"x\"}\n", 11 },
		{ "{\"a\":\"x\"} {\"a\":\"y\"}\n", 20 },
		{ "{'a':'x'}\n", 10 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(GByteArray) all = g_byte_array_new();
		guint dropped = 0;

		g_byte_array_append(all, (const guint8 *)lines[i].text, (guint)lines[i].size);
		g_byte_array_append(all, (const guint8 *)"{\"a\":\"after\"}\n", 14);
		g_autofree char *heard = feed((const char *)all->data, all->len, 5, &dropped);
		/* What is wrong is dropped, and harms no line after it. */
		g_assert_cmpstr(heard, ==, "after;");
		g_assert_cmpuint(dropped, ==, 1);
	}
}

static void test_deep(void)
{
	g_autofree char *open = g_strnfill(5000, '[');
	g_autofree char *text = g_strdup_printf("{\"a\":%s\n{\"a\":\"after\"}\n", open);
	guint dropped = 0;
	g_autofree char *heard = feed(text, strlen(text), 4096, &dropped);

	g_assert_cmpstr(heard, ==, "after;");
	g_assert_cmpuint(dropped, ==, 1);
}

static void test_cap(void)
{
	const gsize lengths[] = { PROA_JSONL_MAX_LINE, PROA_JSONL_MAX_LINE + 1, 4 * PROA_JSONL_MAX_LINE };

	for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
		const gsize frame = strlen("{\"a\":\"\"}");
		g_autofree char *filling = g_strnfill(lengths[i] - frame, 'x');
		g_autofree char *text = g_strdup_printf("{\"a\":\"%s\"}\n{\"a\":\"after\"}\n", filling);
		guint dropped = 0;
		g_autofree char *heard = feed(text, strlen(text), 1000, &dropped);

		g_assert_true(g_str_has_suffix(heard, "after;"));
		g_assert_cmpuint(dropped, ==, i == 0 ? 0 : 1);
		g_assert_cmpuint(strlen(heard), ==, i == 0 ? lengths[0] - frame + 7 : 6);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/jsonl/lines-come-in-any-pieces", test_pieces);
	g_test_add_func("/jsonl/hostile-lines-are-dropped", test_hostile);
	g_test_add_func("/jsonl/deep-nesting-is-dropped", test_deep);
	g_test_add_func("/jsonl/overlong-lines-are-dropped", test_cap);
	return g_test_run();
}

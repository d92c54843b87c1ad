/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <string.h>

static JsonObject *parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	JsonObject *object = proa_json_parse(text, strlen(text), "it", PROA_REASON_BAD_MANIFEST, &error);

	g_assert_no_error(error);
	return object;
}

static void assert_refused(const char *text, gsize size)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_json_parse(text, size, "the manifest", PROA_REASON_BAD_MANIFEST, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_MANIFEST);
	g_assert_nonnull(strstr(error->message, "the manifest"));
}

static void readers_take_what_is_of_their_type(void)
{
	g_autoptr(JsonObject) object =
		parse("{\"s\":\"text\",\"i\":-5,\"b\":true,\"o\":{\"x\":1},\"a\":[1,2],\"n\":null}");
	g_autoptr(GError) error = NULL;
	gint64 number = 0;
	gboolean flag = FALSE;

	g_assert_cmpstr(proa_json_string(object, "s", PROA_REASON_BAD_STATE, &error), ==, "text");
	g_assert_true(proa_json_int(object, "i", -5, -5, &number, PROA_REASON_BAD_STATE, &error));
	g_assert_cmpint(number, ==, -5);
	g_assert_true(proa_json_bool_or(object, "b", FALSE));
	g_assert_true(proa_json_bool(object, "b", FALSE, &flag, PROA_REASON_BAD_STATE, &error));
	g_assert_true(flag);
	g_assert_true(proa_json_bool(object, "n", FALSE, &flag, PROA_REASON_BAD_STATE, &error));
	g_assert_false(flag);
	g_assert_nonnull(proa_json_object(object, "o", PROA_REASON_BAD_STATE, &error));
	g_assert_cmpuint(
		json_array_get_length(proa_json_array(object, "a", PROA_REASON_BAD_STATE, &error)), ==, 2);
	g_assert_no_error(error);
}

static void strict_readers_name_what_is_wrong(void)
{
	g_autoptr(JsonObject) object =
		parse("{\"s\":\"5\",\"i\":5,\"d\":5.0,\"big\":1e30,\"b\":true,\"o\":{},\"a\":[],\"n\":null}");
	static const char *const no_string[] = { "i", "d", "b", "o", "a", "n", "missing", NULL };
	static const char *const no_int[] = { "s", "d", "big", "b", "o", "a", "n", "missing", NULL };
	static const char *const no_object[] = { "s", "i", "b", "a", "n", "missing", NULL };
	static const char *const no_array[] = { "s", "i", "b", "o", "n", "missing", NULL };
	gint64 number = 77;

	for (gsize i = 0; no_string[i]; i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_json_string(object, no_string[i], PROA_REASON_BAD_PAYLOAD, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		g_assert_nonnull(strstr(error->message, no_string[i]));
	}
	for (gsize i = 0; no_int[i]; i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(
			proa_json_int(object, no_int[i], 0, 10, &number, PROA_REASON_BAD_PAYLOAD, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
	for (gsize i = 0; no_object[i]; i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_json_object(object, no_object[i], PROA_REASON_BAD_PAYLOAD, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
	for (gsize i = 0; no_array[i]; i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_json_array(object, no_array[i], PROA_REASON_BAD_PAYLOAD, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
	g_assert_cmpint(number, ==, 77);
}

static void integers_stay_in_their_range(void)
{
	g_autoptr(JsonObject) object = parse("{\"i\":11,\"max\":9223372036854775807}");
	gint64 number = 77;

	g_assert_false(proa_json_int(object, "i", 0, 10, &number, PROA_REASON_BAD_STATE, NULL));
	g_assert_false(proa_json_int(object, "i", 12, 20, &number, PROA_REASON_BAD_STATE, NULL));
	g_assert_cmpint(number, ==, 77);
	g_assert_true(proa_json_int(object, "i", 11, 11, &number, PROA_REASON_BAD_STATE, NULL));
	g_assert_cmpint(number, ==, 11);
	g_assert_true(proa_json_int(object, "max", 0, G_MAXINT64, &number, PROA_REASON_BAD_STATE, NULL));
	g_assert_cmpint(number, ==, G_MAXINT64);
}

/* A number that does not fit must not come back as another number, and not as an infinity that can't be
 * written again. */
static void numbers_too_large_are_refused(void)
{
	static const char *const texts[] = { "{\"i\":9223372036854775808}", "{\"i\":18446744073709551617}",
		"{\"i\":-9223372036854775809}", "{\"i\":99999999999999999999999999}",
		"{\"a\":[1,{\"d\":2.5e444}]}", "{\"d\":-1e999}", "{\"\\\"1\":1E+400}", NULL };
	g_autoptr(JsonObject) object =
		parse("{\"s\":\"99999999999999999999 1e999\",\"least\":-9223372036854775808,\"d\":1.5e300}");

	g_assert_cmpint(proa_json_int_or(object, "least", 0), ==, G_MININT64);
	for (gsize i = 0; texts[i]; i++)
		assert_refused(texts[i], strlen(texts[i]));
}

static void lenient_readers_fall_back_on_the_default(void)
{
	g_autoptr(JsonObject) object = parse("{\"s\":5,\"i\":\"5\",\"b\":1,\"o\":[],\"a\":{},\"n\":null}");

	g_assert_cmpstr(proa_json_string_or(object, "s", "d"), ==, "d");
	g_assert_cmpstr(proa_json_string_or(object, "n", "d"), ==, "d");
	g_assert_null(proa_json_string_or(object, "missing", NULL));
	g_assert_cmpint(proa_json_int_or(object, "i", 9), ==, 9);
	g_assert_true(proa_json_bool_or(object, "b", TRUE));
	g_assert_null(proa_json_object_or_null(object, "o"));
	g_assert_null(proa_json_object_or_null(object, "n"));
	g_assert_null(proa_json_array_or_null(object, "a"));
}

static void what_is_no_json_object_is_refused(void)
{
	static const char *const texts[] = { "", " ", "x", "{", "}", "[]", "[{}]", "5", "\"s\"", "null",
		"{\"a\":1", "{\"a\":}", "{\"a\"}", "{\"a\":1}}", "{'a':1}", "{a:1}", "{\"a\":1}\x01",
		"{\"a\":\"\xff\"}", "\xef\xbb\xbf\xff", "{\"a\":01x}", "{\"a\":\"\\uD800", NULL };

	for (gsize i = 0; texts[i]; i++)
		assert_refused(texts[i], strlen(texts[i]));
	assert_refused("{\"a\":\"b\0c\"}", 11);
	assert_refused("{}\0", 3);
}

static char *nested(guint depth, const char *before)
{
	g_autoptr(GString) text = g_string_new("{\"a\":");

	g_string_append(text, before);
	for (guint i = 1; i < depth; i++)
		g_string_append_c(text, '[');
	for (guint i = 1; i < depth; i++)
		g_string_append_c(text, ']');
	g_string_append_c(text, '}');
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void nesting_ends_at_the_limit(void)
{
	g_autofree char *deepest = nested(PROA_JSON_MAX_DEPTH, "");
	g_autofree char *over = nested(PROA_JSON_MAX_DEPTH + 1, "");
	g_autofree char *absurd = nested(1000000, "");
	g_autoptr(JsonObject) object = parse(deepest);

	g_assert_nonnull(object);
	assert_refused(over, strlen(over));
	assert_refused(absurd, strlen(absurd));
}

/* Nothing may hide brackets from the count: not a comment, not another kind of quote. */
static void nesting_cannot_hide(void)
{
	static const char *const covers[] = { "/*\"*/", "//\"\n", "#\"\n", "'\"',", "\"\\\\\",", NULL };

	for (gsize i = 0; covers[i]; i++) {
		g_autofree char *text = nested(200000, covers[i]);
		assert_refused(text, strlen(text));
	}
}

static void brackets_in_strings_are_no_nesting(void)
{
	g_autofree char *brackets = g_strnfill(1000, '[');
	g_autofree char *text = g_strdup_printf("{\"a\":\"\\\"%s\",\"b\":\"\\\\\"}", brackets);
	g_autoptr(JsonObject) object = parse(text);

	g_assert_cmpuint(strlen(proa_json_string_or(object, "a", "")), ==, 1001);
	g_assert_cmpstr(proa_json_string_or(object, "b", ""), ==, "\\");
}

static void writing_and_reading_gives_the_same(void)
{
	g_autoptr(JsonObject) object = json_object_new();
	const char *nasty =
		"quote \" back \\ slash / tab \t newline \n control \x01 accent \xc3\xa9 boat \xf0\x9f\x9b\xb6";

	proa_json_set_string(object, "s", nasty);
	proa_json_set_string(object, "n", NULL);
	json_object_set_int_member(object, "i", G_MAXINT64);
	g_autofree char *line = proa_json_to_line(object);
	g_autofree char *text = proa_json_to_text(object);

	g_assert_null(strchr(line, '\n'));
	g_assert_true(g_str_has_suffix(text, "}\n"));
	for (int i = 0; i < 2; i++) {
		g_autoptr(JsonObject) back = parse(i ? text : line);
		g_assert_cmpstr(proa_json_string_or(back, "s", NULL), ==, nasty);
		g_assert_true(json_object_has_member(back, "n"));
		g_assert_null(proa_json_string_or(back, "n", NULL));
		g_assert_cmpint(proa_json_int_or(back, "i", 0), ==, G_MAXINT64);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/json/readers-take-what-is-of-their-type", readers_take_what_is_of_their_type);
	g_test_add_func("/base/json/strict-readers-name-what-is-wrong", strict_readers_name_what_is_wrong);
	g_test_add_func("/base/json/integers-stay-in-their-range", integers_stay_in_their_range);
	g_test_add_func("/base/json/numbers-too-large-are-refused", numbers_too_large_are_refused);
	g_test_add_func("/base/json/lenient-readers-fall-back-on-the-default",
		lenient_readers_fall_back_on_the_default);
	g_test_add_func("/base/json/what-is-no-json-object-is-refused", what_is_no_json_object_is_refused);
	g_test_add_func("/base/json/nesting-ends-at-the-limit", nesting_ends_at_the_limit);
	g_test_add_func("/base/json/nesting-cannot-hide", nesting_cannot_hide);
	g_test_add_func("/base/json/brackets-in-strings-are-no-nesting", brackets_in_strings_are_no_nesting);
	g_test_add_func("/base/json/writing-and-reading-gives-the-same", writing_and_reading_gives_the_same);
	return g_test_run();
}

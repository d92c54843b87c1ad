/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/canonical.h"

#include <string.h>

static char *canonical_of(const char *text)
{
	g_autoptr(JsonObject) object = NULL;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) error = NULL;

	gboolean ok = proa_canonical_parse(text, strlen(text), "text", NULL, &object, &bytes, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	gsize size;
	const char *data = g_bytes_get_data(bytes, &size);
	return g_strndup(data, size);
}

static void check_refused(const char *text, gsize size)
{
	g_autoptr(JsonObject) object = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_canonical_parse(text, size, "text", NULL, &object, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	g_assert_null(object);
}

static void test_forms(void)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{ "{}", "{}" },
		{ " {\t\"b\" : 1 ,\r\n \"a\" : [ ] } ", "{\"a\":[],\"b\":1}" },
		{ "{\"a\":[1,true,false,null,{\"z\":0,\"y\":-7}]}",
			"{\"a\":[1,true,false,null,{\"y\":-7,\"z\":0}]}" },
		/* Only the quote and the backslash are escaped; control characters stand for themselves. */
		{ "{\"a\":\"\\\"\\\\\\/\\n\\u0041\\t\"}", "{\"a\":\"\\\"\\\\/\nA\t\"}" },
		/* Order is by code point: U+FF61 before U+1F600, which UTF-16 would turn round. */
		{ "{\"\\ud83d\\ude00\":1,\"\\uff61\":2}", "{\"\xef\xbd\xa1\":2,\"\xf0\x9f\x98\x80\":1}" },
		{ "{\"aa\":1,\"a\":2,\"B\":3,\"\":4}", "{\"\":4,\"B\":3,\"a\":2,\"aa\":1}" },
		{ "{\"a\":-0}", "{\"a\":0}" },
		{ "{\"a\":123456789012345678901234567890}", "{\"a\":123456789012345678901234567890}" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *canonical = canonical_of(cases[i].text);
		g_assert_cmpstr(canonical, ==, cases[i].canonical);
	}
}

static void test_refused(void)
{
	static const char *const cases[] = { "", " ", "{", "[]", "1", "\"a\"", "{} x", "{}{}", "{\"a\":1,}",
		"{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1 \"b\":2}", "{\"a\":[1,]}",
		"{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":01}", "{\"a\":-}", "{\"a\":+1}", "{\"a\":1.0}",
		"{\"a\":1e3}", "{\"a\":1E3}", "{\"a\":.5}", "{\"a\":tru}", "{\"a\":True}", "{\"a\":NaN}",
		"{\"a\":Infinity}", "{\"a\":\"}", "{\"a\":\"\\\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
		"{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}",
		"{\"a\":\"\xc0\x80\"}", "\xef\xbb\xbf{}", "/* */{}", "{\"a\":1}//" };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
		check_refused(cases[i], strlen(cases[i]));
	check_refused("{\"a\":\"\0\"}", 10);
	check_refused("{}\0", 3);
}

static void test_duplicates(void)
{
	g_autofree char *fine = canonical_of("{\"a\":{\"b\":1},\"b\":{\"b\":2}}");
	static const char *const cases[] = { "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}",
		"{\"x\":{\"b\":1,\"b\":2}}", "{\"x\":[{\"b\":1,\"b\":2}]}" };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
		check_refused(cases[i], strlen(cases[i]));
}

static char *nested(guint depth)
{
	g_autoptr(GString) text = g_string_new("{\"a\":");

	for (guint i = 1; i < depth; i++)
		g_string_append_c(text, '[');
	for (guint i = 1; i < depth; i++)
		g_string_append_c(text, ']');
	g_string_append_c(text, '}');
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void test_depth(void)
{
	g_autofree char *deepest = nested(PROA_CANONICAL_MAX_DEPTH),
			*deeper = nested(PROA_CANONICAL_MAX_DEPTH + 1);
	g_autofree char *abyss = nested(1000000);
	g_autofree char *canonical = canonical_of(deepest);

	g_assert_cmpstr(canonical, ==, deepest);
	check_refused(deeper, strlen(deeper));
	check_refused(abyss, strlen(abyss));
}

/* An element is two bytes of text and fifty of memory: their number is bounded, not only their text. */
static void test_values(void)
{
	g_autoptr(GString) text = g_string_new("{\"a\":[0");

	for (guint i = 3; i < PROA_CANONICAL_MAX_VALUES; i++)
		g_string_append(text, ",0");
	g_autofree char *most = g_strconcat(text->str, "]}", NULL),
			*more = g_strconcat(text->str, ",0]}", NULL);
	g_autofree char *canonical = canonical_of(most);
	g_assert_cmpstr(canonical, ==, most);
	check_refused(more, strlen(more));
}

static void test_big_integers(void)
{
	const char *text =
		"{\"max\":9223372036854775807,\"over\":9223372036854775808,\"wraps\":18446744073709551617}";
	g_autoptr(JsonObject) object = NULL;
	gint64 value = -1;

	g_assert_true(proa_canonical_parse(text, strlen(text), "text", NULL, &object, NULL, NULL));
	g_assert_true(proa_json_int(object, "max", 0, G_MAXINT64, &value, PROA_REASON_BAD_METADATA, NULL));
	g_assert_cmpint(value, ==, G_MAXINT64);
	g_assert_false(proa_json_int(
		object, "over", G_MININT64, G_MAXINT64, &value, PROA_REASON_BAD_METADATA, NULL));
	g_assert_false(proa_json_int(
		object, "wraps", G_MININT64, G_MAXINT64, &value, PROA_REASON_BAD_METADATA, NULL));
}

static void test_member(void)
{
	const char *text = "{\"signatures\":[{\"signed\":9}],\"signed\":{\"z\":1,\"a\":{\"signed\":2}}}";
	g_autoptr(JsonObject) object = NULL, none = NULL;
	g_autoptr(GBytes) bytes = NULL, expected = g_bytes_new_static("{\"a\":{\"signed\":2},\"z\":1}", 24);
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_canonical_parse(text, strlen(text), "text", "signed", &object, &bytes, NULL));
	g_assert_true(g_bytes_equal(bytes, expected));
	g_assert_false(proa_canonical_parse(text, strlen(text), "text", "absent", &none, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
}

static void test_encode(void)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_string_member(object, "b", "\t\"x\" \xc3\xa9");
	json_object_set_int_member(object, "a", -5);
	g_autoptr(GBytes) bytes = proa_canonical_encode(object, NULL);
	g_autoptr(GBytes) expected = g_bytes_new_static("{\"a\":-5,\"b\":\"\t\\\"x\\\" \xc3\xa9\"}", 24);
	g_assert_true(g_bytes_equal(bytes, expected));
	json_object_set_double_member(object, "c", 1.5);
	g_assert_null(proa_canonical_encode(object, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/canonical/forms", test_forms);
	g_test_add_func("/trust/canonical/refuses-what-is-not-strict-json", test_refused);
	g_test_add_func("/trust/canonical/refuses-duplicate-members", test_duplicates);
	g_test_add_func("/trust/canonical/bounds-nesting", test_depth);
	g_test_add_func("/trust/canonical/bounds-the-number-of-values", test_values);
	g_test_add_func("/trust/canonical/big-integers-never-wrap", test_big_integers);
	g_test_add_func("/trust/canonical/gives-the-bytes-of-one-member", test_member);
	g_test_add_func("/trust/canonical/encodes-what-is-in-memory", test_encode);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/delegation.h"

#include <string.h>

static void test_patterns(void)
{
	static const struct {
		const char *pattern, *path;
		gboolean matches;
	} cases[] = {
		{ "targets/*.tgz", "targets/foo.tgz", TRUE },
		{ "targets/*.tgz", "targets/foo.txt", FALSE },
		{ "foo-version-?.tgz", "foo-version-a.tgz", TRUE },
		{ "foo-version-?.tgz", "foo-version-alpha.tgz", FALSE },
		{ "*.tgz", "foo.tgz", TRUE },
		{ "*.tgz", "targets/foo.tgz", FALSE },
		{ "foo.tgz", "foo.tgz", TRUE },
		{ "*", "a", TRUE },
		{ "*", "", TRUE },
		{ "*", "a/b", FALSE },
		{ "*/*", "a/b", TRUE },
		{ "*/*", "a", FALSE },
		{ "a/*", "a", FALSE },
		{ "a?b", "a/b", FALSE },
		{ "?", "\xc3\xa9", TRUE },
		{ "", "", TRUE },
		{ "", "a", FALSE },
		{ "[ab]", "a", FALSE }, /* no sets: brackets are themselves */
		{ "[ab]", "[ab]", TRUE },
		{ "\\*", "a", FALSE },
		{ "*a*b*c", "xaybzc", TRUE },
		{ "*a*b*c", "xaybzcd", FALSE },
		{ ".*", ".hidden", TRUE },
		{ "*", ".hidden", TRUE },
		{ "../*", "../x", TRUE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(proa_delegation_pattern_matches(cases[i].pattern, cases[i].path, FALSE), ==,
			cases[i].matches);
}

/* Many stars against a long path end at once; a backtracking matcher would not within the test's time. */
static void test_pattern_cost(void)
{
	g_autofree char *path = g_strnfill(200000, 'a');
	g_autoptr(GString) pattern = g_string_new(NULL);

	for (int i = 0; i < 50; i++)
		g_string_append(pattern, "*a");
	g_string_append(pattern, "*b");
	g_assert_false(proa_delegation_pattern_matches(pattern->str, path, FALSE));
}

static void test_prefixes(void)
{
	g_assert_true(proa_delegation_pattern_matches("stable/*/manifest.json", "stable/", TRUE));
	g_assert_true(proa_delegation_pattern_matches("stable/*/manifest.json", "stable/1.0/", TRUE));
	g_assert_true(proa_delegation_pattern_matches("*/*/*", "stable/", TRUE));
	g_assert_true(proa_delegation_pattern_matches("anything", "", TRUE));
	g_assert_false(proa_delegation_pattern_matches("beta/*/manifest.json", "stable/", TRUE));
	g_assert_false(proa_delegation_pattern_matches("stable", "stable/", TRUE));
}

static ProaDelegations *parse(const char *text, GError **error)
{
	g_autoptr(JsonObject) object =
		proa_json_parse(text, strlen(text), "text", PROA_REASON_BAD_METADATA, NULL);

	g_assert_nonnull(object);
	return proa_delegations_parse(object, error);
}

#define ROLE(name, rest) "{\"name\":\"" name "\",\"keyids\":[],\"threshold\":1," rest "}"

static void test_refused(void)
{
	static const char *const cases[] = {
		"{}",
		"{\"keys\":{}}",
		"{\"keys\":{},\"roles\":{}}",
		"{\"keys\":{},\"roles\":[1]}",
		"{\"keys\":{},\"roles\":[{}]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"terminating\":true") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":[],\"path_hash_prefixes\":[]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":[],\"terminating\":\"true\"") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":[],\"terminating\":1") "]}",
		"{\"keys\":{},\"roles\":[{\"name\":\"a\",\"keyids\":[],\"threshold\":0,\"paths\":[]}]}",
		"{\"keys\":{},\"roles\":[{\"name\":\"a\",\"keyids\":[],\"threshold\":-1,\"paths\":[]}]}",
		"{\"keys\":{},\"roles\":[{\"name\":\"a\",\"keyids\":[\"k\",\"k\"],\"threshold\":1,\"paths\":[]}]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":[1]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":\"*\"") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("", "\"paths\":[]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("root", "\"paths\":[]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("targets", "\"paths\":[]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("timestamp", "\"paths\":[]") "]}",
		"{\"keys\":{},\"roles\":[" ROLE("a", "\"paths\":[]") "," ROLE("a", "\"paths\":[]") "]}",
		"{\"keys\":{},\"roles\":[],\"succinct_roles\":{}}",
		"{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,\"bit_length\":0,\"name_prefix\":\"b\"}}",
		"{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,\"bit_length\":33,\"name_prefix\":\"b\"}}",
		"{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,\"bit_length\":3,\"name_prefix\":\"\"}}",
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(parse(cases[i], &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

static char *names_for(const ProaDelegations *delegations, const char *path, gboolean prefix)
{
	g_autoptr(GPtrArray) delegates = prefix ? proa_delegations_for_prefix(delegations, path)
						: proa_delegations_for_path(delegations, path);
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < delegates->len; i++) {
		const ProaDelegate *delegate = g_ptr_array_index(delegates, i);
		g_string_append_printf(
			text, "%s%s%s", i ? " " : "", delegate->name, delegate->terminating ? "!" : "");
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void test_order(void)
{
	g_autoptr(ProaDelegations) delegations = parse(
		"{\"keys\":{},\"roles\":[" ROLE("b", "\"paths\":[\"x/*\",\"*\"]") "," ROLE("a",
			"\"paths\":[\"*\"],\"terminating\":true") "," ROLE("c", "\"paths\":[\"y/*\"]") "]}",
		NULL);
	g_autofree char *top = names_for(delegations, "f", FALSE),
			*in_x = names_for(delegations, "x/f", FALSE),
			*below_y = names_for(delegations, "y/", TRUE);

	g_assert_cmpstr(top, ==, "b a!");
	g_assert_cmpstr(in_x, ==, "b");
	g_assert_cmpstr(below_y, ==, "c");
}

/* A bin is "targets-0", which is nobody else's name. */
static void test_prefix_like_a_role(void)
{
	g_autoptr(ProaDelegations) bins =
		parse("{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,"
		      "\"bit_length\":1,\"name_prefix\":\"targets\"}}",
			NULL);
	g_autofree char *names = names_for(bins, "", TRUE);

	g_assert_cmpstr(names, ==, "targets-0! targets-1!");
}

/* sha256("f") begins with 252f10c8. */
static void test_digests(void)
{
	g_autoptr(ProaDelegations) prefixes =
		parse("{\"keys\":{},\"roles\":[" ROLE("a", "\"path_hash_prefixes\":[\"25\"]") "," ROLE(
			      "b", "\"path_hash_prefixes\":[\"26\",\"252f1\"]") "," ROLE("c",
			      "\"path_hash_prefixes\":[\"252e\"]") "]}",
			NULL);
	g_autofree char *names = names_for(prefixes, "f", FALSE);
	g_assert_cmpstr(names, ==, "a b");

	static const struct {
		guint bits;
		const char *name;
	} cases[] = { { 1, "bin-0!" }, { 3, "bin-1!" }, { 4, "bin-2!" }, { 5, "bin-04!" }, { 8, "bin-25!" },
		{ 16, "bin-252f!" }, { 32, "bin-252f10c8!" } };
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text =
			g_strdup_printf("{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,"
					"\"bit_length\":%u,\"name_prefix\":\"bin\"}}",
				cases[i].bits);
		g_autoptr(ProaDelegations) bins = parse(text, NULL);
		g_autofree char *name = names_for(bins, "f", FALSE);
		g_assert_cmpstr(name, ==, cases[i].name);
	}
	g_autoptr(ProaDelegations) four =
		parse("{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1,"
		      "\"bit_length\":2,\"name_prefix\":\"bin\"}}",
			NULL);
	g_autofree char *all = names_for(four, "", TRUE);
	g_assert_cmpstr(all, ==, "bin-0! bin-1! bin-2! bin-3!");
}

static void test_bounded(void)
{
	for (guint over = 0; over < 2; over++) {
		g_autoptr(GString) text = g_string_new("{\"keys\":{},\"roles\":[");
		g_autoptr(GError) error = NULL;
		for (guint i = 0; i < PROA_DELEGATION_MAX_ROLES + over; i++)
			g_string_append_printf(text,
				"%s{\"name\":\"r%u\",\"keyids\":[],\"threshold\":1,\"paths\":[]}",
				i ? "," : "", i);
		g_string_append(text, "]}");
		g_autoptr(ProaDelegations) delegations = parse(text->str, &error);
		g_assert_cmpint(delegations != NULL, ==, !over);
		if (over)
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/delegation/wildcards-never-cross-a-slash", test_patterns);
	g_test_add_func("/trust/delegation/many-stars-cost-little", test_pattern_cost);
	g_test_add_func("/trust/delegation/prefixes", test_prefixes);
	g_test_add_func("/trust/delegation/refuses-broken-delegations", test_refused);
	g_test_add_func("/trust/delegation/keeps-the-order-of-the-metadata", test_order);
	g_test_add_func("/trust/delegation/digest-prefixes-and-bins", test_digests);
	g_test_add_func("/trust/delegation/a-prefix-like-a-role", test_prefix_like_a_role);
	g_test_add_func("/trust/delegation/roles-are-bounded", test_bounded);
	return g_test_run();
}

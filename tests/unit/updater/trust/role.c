/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/role.h"

#include <string.h>

static JsonObject *parse(const char *text)
{
	JsonObject *object = proa_json_parse(text, strlen(text), "text", PROA_REASON_BAD_METADATA, NULL);

	g_assert_nonnull(object);
	return object;
}

static void test_time(void)
{
	static const char *const bad[] = { "", "2030-01-01", "2030-01-01T00:00:00",
		"2030-01-01T00:00:00+00:00", "2030-01-01 00:00:00Z", "2030-13-01T00:00:00Z",
		"2030-02-30T00:00:00Z", "2030-01-01T24:00:00Z", "2030-01-01T00:00:60Z",
		"20x0-01-01T00:00:00Z", "2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00z",
		"0000-01-01T00:00:00Z", "-030-01-01T00:00:00Z" };
	gint64 when = 0;

	g_assert_true(proa_role_time_parse("1970-01-02T00:00:01Z", &when));
	g_assert_cmpint(when, ==, 86401);
	g_autofree char *text = proa_role_time_format(when);
	g_assert_cmpstr(text, ==, "1970-01-02T00:00:01Z");
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(proa_role_time_parse(bad[i], &when));
}

static void test_head(void)
{
	static const struct {
		const char *text;
		gboolean ok;
	} cases[] = {
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.31\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			TRUE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.9\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			TRUE },
		{ "{\"_type\":\"X\",\"spec_version\":\"1.0.0\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"2.0.0\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.x\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":-1,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		/* One more would not be a number any more. */
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":9223372036854775807,"
		  "\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":true,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":[\"x\"],\"spec_version\":\"1.0.0\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":1.0,\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":0,\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":\"3\",\"expires\":\"2030-01-01T00:00:00Z\"}",
			FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":3,\"expires\":\"never\"}", FALSE },
		{ "{\"_type\":\"x\",\"spec_version\":\"1.0.0\",\"version\":3}", FALSE },
		{ "{\"spec_version\":\"1.0.0\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\"}", FALSE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(JsonObject) object = parse(cases[i].text);
		ProaRoleHead head = { 0 };
		g_assert_cmpint(proa_role_head_parse(object, "x", &head, &error), ==, cases[i].ok);
		if (cases[i].ok)
			g_assert_cmpint(head.version, ==, 3);
		else
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_SHA256_UPPER "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
#define ABC_SHA512                                                                                                       \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce8" \
	"0e2a9ac94fa54ca49f"

static gboolean abc_matches(const char *text)
{
	g_autoptr(JsonObject) object = parse(text);
	g_autoptr(ProaFileInfo) info = proa_file_info_parse_meta(object, NULL);
	g_autoptr(GBytes) bytes = g_bytes_new_static("abc", 3);
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(info);
	gboolean ok = proa_file_info_check(info, bytes, "abc", &error);
	if (!ok)
		g_assert_error(error, PROA_ERROR, PROA_REASON_METADATA_MISMATCH);
	return ok;
}

static void test_file_info(void)
{
	g_assert_true(abc_matches("{\"version\":1}"));
	g_assert_true(abc_matches("{\"version\":1,\"length\":3,\"hashes\":{\"sha256\":\"" ABC_SHA256 "\"}}"));
	g_assert_true(abc_matches(
		"{\"version\":1,\"hashes\":{\"sha256\":\"" ABC_SHA256_UPPER "\",\"md5\":\"x\"}}"));
	g_assert_true(abc_matches(
		"{\"version\":1,\"hashes\":{\"sha256\":\"" ABC_SHA256 "\",\"sha512\":\"" ABC_SHA512 "\"}}"));
	g_assert_false(abc_matches("{\"version\":1,\"length\":4}"));
	/* Of digests that nobody here knows none matches. */
	g_assert_false(abc_matches("{\"version\":1,\"length\":3,\"hashes\":{\"md5\":\"00\"}}"));
	/* Every digest must match, not any. */
	g_assert_false(abc_matches("{\"version\":1,\"hashes\":{\"sha256\":\"" ABC_SHA256
				   "\",\"sha512\":\"" ABC_SHA256 ABC_SHA256 "\"}}"));
}

static void test_file_info_refused(void)
{
	static const char *const cases[] = { "{}", "{\"version\":0}", "{\"version\":1,\"length\":0}",
		"{\"version\":1,\"length\":-3}", "{\"version\":1,\"length\":\"3\"}",
		"{\"version\":1,\"hashes\":{}}", "{\"version\":1,\"hashes\":{\"sha256\":\"00\"}}",
		"{\"version\":1,\"hashes\":{\"sha256\":5}}", "{\"version\":1,\"hashes\":[]}" };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(JsonObject) object = parse(cases[i]);
		g_assert_null(proa_file_info_parse_meta(object, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
	g_autoptr(JsonObject) bare = parse("{\"length\":3}");
	g_assert_null(proa_file_info_parse_target(bare, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/role/time-is-utc-to-the-second", test_time);
	g_test_add_func("/trust/role/head", test_head);
	g_test_add_func("/trust/role/length-and-every-digest-must-match", test_file_info);
	g_test_add_func("/trust/role/refuses-broken-descriptions", test_file_info_refused);
	return g_test_run();
}

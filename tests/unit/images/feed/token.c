/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/token.h"

#include "images/feed/envelope.h"
#include "updater/trust/token.h"

#include <string.h>

static void test_make(void)
{
	const ProaTokenWish wish = {
		.release = "1.0.0", .channel = "stable", .pool = "canary", .reason = "why", .lifetime = 3600
	};
	g_autoptr(JsonObject) one = proa_token_make(&wish, NULL), two = proa_token_make(&wish, NULL);
	g_autoptr(GBytes) bytes = proa_envelope_bytes(one);
	g_autoptr(ProaToken) token = proa_token_parse(bytes, NULL);

	g_assert_cmpstr(token->pool, ==, "canary");
	g_assert_null(token->node);
	g_assert_cmpint(token->expires, >, g_get_real_time() / G_USEC_PER_SEC + 3000);
	g_assert_cmpstr(token->id, !=, json_object_get_string_member(proa_envelope_content(two), "id"));
}

static void test_refused(void)
{
	static const struct {
		ProaTokenWish wish;
		int reason;
		const char *names;
	} cases[] = {
		{ { "1.0.0", "stable", NULL, NULL, "why", 1 }, PROA_REASON_USAGE,
			"--node ID or --pool NAME" },
		{ { "1.0.0", "stable", "0123456789abcdef0123456789abcdef", "both", "why", 1 },
			PROA_REASON_USAGE, "--node ID or --pool NAME" },
		{ { "1.0.0", "stable", "a-host-name", NULL, "why", 1 }, PROA_REASON_USAGE,
			"/etc/machine-id" },
		{ { "1.0.0", "stable", NULL, "canary", NULL, 1 }, PROA_REASON_USAGE, "--reason" },
		{ { "1.0.0", "stable", NULL, "canary", "\xff", 1 }, PROA_REASON_USAGE, "UTF-8" },
		{ { "../..", "stable", NULL, "canary", "why", 1 }, PROA_REASON_BAD_TOKEN, "release" },
		{ { "1.0.0", "stable", NULL, "a pool", "why", 1 }, PROA_REASON_BAD_TOKEN, "pool" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_token_make(&cases[i].wish, &error));
		g_assert_error(error, PROA_ERROR, cases[i].reason);
		g_assert_nonnull(strstr(error->message, cases[i].names));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/token/what-a-node-reads", test_make);
	g_test_add_func("/feed/token/refuses-what-no-node-would-take", test_refused);
	return g_test_run();
}

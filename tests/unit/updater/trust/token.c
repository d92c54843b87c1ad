/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/token.h"

#include "tests/unit/updater/trust/client.h"

#define NODE "0123456789abcdef0123456789abcdef"
#define BREAK_GLASS_KEY 9

static JsonObject *content_new(const char *release, gint64 expires)
{
	JsonObject *content = json_object_new();
	g_autofree char *when = proa_role_time_format(expires);

	json_object_set_string_member(content, "_type", "proa-token");
	json_object_set_string_member(content, "spec_version", "1.0.31");
	json_object_set_int_member(content, "version", 1);
	json_object_set_string_member(content, "expires", when);
	json_object_set_string_member(content, "id", NODE);
	json_object_set_string_member(content, "release", release);
	json_object_set_string_member(content, "channel", "stable");
	json_object_set_string_member(content, "node", NODE);
	json_object_set_string_member(content, "reason", "the disk controller");
	return content;
}

static gint64 tomorrow(void)
{
	return g_get_real_time() / G_USEC_PER_SEC + 86400;
}

/* A client of a feed whose tokens key number 9 signs. */
static ProaTrust *client_with_tokens(Client *client)
{
	Repository *repository = client->repository;
	g_autoptr(GError) error = NULL;

	repository->token_key = BREAK_GLASS_KEY;
	repository_bump(repository, PROA_ROLE_TARGETS);
	ProaTrust *trust = client_open(client);
	g_assert_true(proa_trust_refresh(trust, repository_fetch, repository, &error));
	g_assert_no_error(error);
	return trust;
}

static gboolean accepts(
	Client *client, ProaTrust *trust, JsonObject *content, int key, const ProaTokenUse *use)
{
	g_autoptr(GBytes) bytes = repository_sign(client->repository, content, (int[]){ key, -1 });
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaToken) token = proa_token_check(trust, bytes, use, &error);

	if (!token)
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_TOKEN);
	return token != NULL;
}

static void test_check(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_with_tokens(&client);
	g_autoptr(JsonObject) content = content_new("1.0.0", tomorrow()),
			      old = content_new("1.0.0", tomorrow() - 2 * 86400);
	const ProaTokenUse use = { "1.0.0", "stable", NODE, NULL },
			   other_release = { "1.0.1", "stable", NODE, NULL },
			   other_channel = { "1.0.0", "beta", NODE, NULL },
			   other_node = { "1.0.0", "stable", "ffffffffffffffffffffffffffffffff", NULL },
			   unknown = { "1.0.0", "stable", NULL, NULL };

	g_assert_true(accepts(&client, trust, content, BREAK_GLASS_KEY, &use));
	g_assert_false(accepts(&client, trust, content, PROA_ROLE_TARGETS, &use));
	g_assert_false(accepts(&client, trust, content, PROA_ROLE_ROOT, &use));
	g_assert_false(accepts(&client, trust, content, BREAK_GLASS_KEY, &other_release));
	g_assert_false(accepts(&client, trust, content, BREAK_GLASS_KEY, &other_channel));
	g_assert_false(accepts(&client, trust, content, BREAK_GLASS_KEY, &other_node));
	g_assert_false(accepts(&client, trust, content, BREAK_GLASS_KEY, &unknown));
	g_assert_false(accepts(&client, trust, old, BREAK_GLASS_KEY, &use));
	/* Not even where stale metadata is accepted. */
	proa_trust_accept_stale(trust, tomorrow());
	g_assert_false(accepts(&client, trust, old, BREAK_GLASS_KEY, &use));
}

static void test_pool(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_with_tokens(&client);
	g_autoptr(JsonObject) content = content_new("1.0.0", tomorrow());
	const ProaTokenUse canary = { "1.0.0", "stable", NODE, "canary" },
			   none = { "1.0.0", "stable", NODE, "" };

	json_object_remove_member(content, "node");
	json_object_set_string_member(content, "pool", "canary");
	g_assert_true(accepts(&client, trust, content, BREAK_GLASS_KEY, &canary));
	g_assert_false(accepts(&client, trust, content, BREAK_GLASS_KEY, &none));
}

/* A feed that names no break-glass role has no tokens. */
static void test_no_role(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_autoptr(JsonObject) content = content_new("1.0.0", tomorrow());
	const ProaTokenUse use = { "1.0.0", "stable", NODE, NULL };

	g_assert_true(proa_trust_refresh(trust, repository_fetch, client.repository, NULL));
	g_assert_false(accepts(&client, trust, content, PROA_ROLE_TARGETS, &use));
}

static void test_hostile(void)
{
	static const struct {
		const char *member, *value; /* NULL: removed */
	} cases[] = { { "_type", "targets" }, { "id", "../x" }, { "id", NULL }, { "release", "1_0" },
		{ "release", NULL }, { "channel", "a b" }, { "node", "short" }, { "pool", "both" },
		{ "node", NULL }, { "reason", "" }, { "reason", NULL }, { "expires", "tomorrow" } };
	g_autoptr(Repository) repository = repository_new();

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(JsonObject) content = content_new("1.0.0", tomorrow());
		g_autoptr(GError) error = NULL;
		if (cases[i].value)
			json_object_set_string_member(content, cases[i].member, cases[i].value);
		else
			json_object_remove_member(content, cases[i].member);
		g_autoptr(GBytes) bytes = repository_sign(repository, content, (int[]){ 0, -1 });
		g_assert_null(proa_token_parse(bytes, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_TOKEN);
	}
	g_autofree char *text = g_strnfill(PROA_TOKEN_MAX_SIZE + 1, ' ');
	g_autoptr(GBytes) large = g_bytes_new_static(text, PROA_TOKEN_MAX_SIZE + 1),
			  nothing = g_bytes_new_static("", 0);
	g_autoptr(GError) error = NULL;
	g_assert_null(proa_token_parse(large, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	g_clear_error(&error);
	g_assert_null(proa_token_parse(nothing, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_TOKEN);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/token/for-one-node-one-release-until-a-date", test_check);
	g_test_add_func("/trust/token/for-a-pool", test_pool);
	g_test_add_func("/trust/token/needs-a-role-of-its-own", test_no_role);
	g_test_add_func("/trust/token/refuses-what-is-malformed", test_hostile);
	return g_test_run();
}

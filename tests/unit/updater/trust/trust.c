/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/trust.h"

#include "tests/unit/updater/trust/client.h"

#include <string.h>

static ProaTrust *refreshed(Client *client)
{
	g_autoptr(GError) error = NULL;
	ProaTrust *trust = client_open(client);
	gboolean ok = proa_trust_refresh(trust, repository_fetch, client->repository, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_free(repository_take_requests(client->repository));
	return trust;
}

static void check_missing(ProaTrust *trust, const char *path)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_trust_find_target(trust, path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
}

static char *listed(ProaTrust *trust, const char *prefix)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) targets = proa_trust_list_targets(trust, prefix, &error);
	g_autoptr(GString) text = g_string_new(NULL);

	g_assert_no_error(error);
	for (guint i = 0; i < targets->len; i++) {
		const ProaTrustTarget *target = g_ptr_array_index(targets, i);
		g_string_append_printf(text, "%s%s", i ? " " : "", target->path);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void test_target(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = refreshed(&client);
	const ProaTrustTarget *target = proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL);
	g_autoptr(GBytes) right = g_bytes_new_static("one", 3), wrong = g_bytes_new_static("two", 3),
			  longer = g_bytes_new_static("one ", 4);
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(target);
	g_autofree char *url = proa_trust_target_url_path(target);
	g_autofree char *expected = g_strdup_printf("targets/stable/1.0.0/%s.manifest.json", target->sha256);
	g_assert_cmpstr(url, ==, expected);
	g_assert_true(proa_trust_check_target(target, right, NULL));
	g_assert_false(proa_trust_check_target(target, longer, NULL));
	g_assert_false(proa_trust_check_target(target, wrong, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_METADATA_MISMATCH);
	check_missing(trust, "stable/1.0.0");
	check_missing(trust, "");
}

/* A digest of the future: that file cannot be had, from nobody after it either; the others can. */
static void test_unknown_digest(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	JsonObject *later = repository_delegate(repository, "targets", "later", "new/*", FALSE, TRUE, 5);
	g_autoptr(GError) error = NULL;

	repository_add_target(repository->targets, "new/file", "x");
	repository_add_target(later, "new/file", "x");
	JsonObject *target = json_object_get_object_member(repository->targets, "new/file");
	JsonObject *hashes = json_object_new();
	json_object_set_string_member(hashes, "sha3-512", "00");
	json_object_set_object_member(target, "hashes", hashes);
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_assert_null(proa_trust_find_target(trust, "new/file", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_METADATA_MISMATCH);
	g_assert_nonnull(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	g_autofree char *all = listed(trust, "");
	g_assert_cmpstr(all, ==, "stable/1.0.0/manifest.json");
}

static void test_before_refresh(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_open(&client);

	g_assert_null(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	g_assert_null(proa_trust_list_targets(trust, "", NULL));
	/* A refresh that failed leaves nothing to be asked for either. */
	g_hash_table_remove(client.repository->files, "1.targets.json");
	g_assert_false(proa_trust_refresh(trust, repository_fetch, client.repository, NULL));
	g_assert_null(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
}

static void test_list(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository_add_target(repository->targets, "stable/1.0.1/manifest.json", "x");
	repository_add_target(repository->targets, "beta/2/manifest.json", "x");
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_autofree char *stable = listed(trust, "stable/"), *all = listed(trust, ""),
			*none = listed(trust, "gamma/");
	g_assert_cmpstr(stable, ==, "stable/1.0.0/manifest.json stable/1.0.1/manifest.json");
	g_assert_cmpstr(
		all, ==, "beta/2/manifest.json stable/1.0.0/manifest.json stable/1.0.1/manifest.json");
	g_assert_cmpstr(none, ==, "");
}

/* A channel of its own: its key speaks for its paths and no others. */
static void test_delegation(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	JsonObject *beta = repository_delegate(repository, "targets", "beta", "beta/*/*", FALSE, TRUE, 5);

	repository_add_target(beta, "beta/2/manifest.json", "x");
	repository_add_target(beta, "stable/9/manifest.json", "not its business");
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);

	/* A listing of another channel does not even fetch it. */
	g_autofree char *stable = listed(trust, "stable/"),
			*no_requests = repository_take_requests(repository);
	g_assert_cmpstr(stable, ==, "stable/1.0.0/manifest.json");
	g_assert_cmpstr(no_requests, ==, "");
	g_assert_nonnull(proa_trust_find_target(trust, "beta/2/manifest.json", NULL));
	g_autofree char *requests = repository_take_requests(repository);
	g_assert_cmpstr(requests, ==, "1.beta.json");
	check_missing(trust, "stable/9/manifest.json");
	g_autofree char *all = listed(trust, "");
	g_assert_cmpstr(all, ==, "beta/2/manifest.json stable/1.0.0/manifest.json");
	g_assert_cmpint(client_version(&client, "beta"), ==, 1);
}

static void test_delegation_wrong_key(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(GError) error = NULL;
	JsonObject *beta =
		repository_delegate(client.repository, "targets", "beta", "beta/*/*", FALSE, TRUE, 5);

	repository_add_target(beta, "beta/2/manifest.json", "x");
	g_hash_table_insert(client.repository->other_keys, g_strdup("beta"), GINT_TO_POINTER(6));
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_assert_null(proa_trust_find_target(trust, "beta/2/manifest.json", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_SIGNATURE);
	g_assert_cmpint(client_version(&client, "beta"), ==, 0);
}

/* In memory by way of one role, it must still satisfy the keys of another that delegates to it. */
static void test_cached_role_is_verified_for_each_delegator(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	JsonObject *shared;

	repository_delegate(repository, "targets", "a", "a/*", FALSE, FALSE, 5);
	repository_delegate(repository, "targets", "b", "b/*", FALSE, FALSE, 6);
	shared = repository_delegate(repository, "a", "shared", "a/*", FALSE, FALSE, 7);
	repository_delegate(
		repository, "b", "shared", "b/*", FALSE, FALSE, 8); /* another key than it is signed with */
	repository_add_target(shared, "a/x", "x");
	repository_add_target(shared, "b/x", "x");
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_autoptr(GError) error = NULL;
	g_assert_nonnull(proa_trust_find_target(trust, "a/x", NULL));
	g_assert_null(proa_trust_find_target(trust, "b/x", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_SIGNATURE);
	g_assert_nonnull(proa_trust_find_target(trust, "a/x", NULL));
}

static void test_order_of_search(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	/* targets -> a -> (c, d), b; pre-order: a c d b. With a cycle back to a. */
	repository_delegate(repository, "targets", "a", "*", FALSE, FALSE, 5);
	repository_delegate(repository, "targets", "b", "*", FALSE, FALSE, 5);
	repository_delegate(repository, "a", "c", "*", FALSE, FALSE, 5);
	repository_delegate(repository, "a", "d", "*", FALSE, FALSE, 5);
	repository_delegate(repository, "d", "a", "*", FALSE, FALSE, 5);
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	check_missing(trust, "x");
	g_autofree char *requests = repository_take_requests(repository);
	g_assert_cmpstr(requests, ==, "1.a.json 1.c.json 1.d.json 1.b.json");
}

static void test_terminating(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	JsonObject *b;

	repository_delegate(repository, "targets", "a", "*", FALSE, FALSE, 5);
	b = repository_delegate(repository, "targets", "b", "*", FALSE, FALSE, 5);
	repository_delegate(repository, "a", "c", "*", FALSE, TRUE, 5);
	repository_delegate(repository, "a", "d", "*", FALSE, FALSE, 5);
	repository_add_target(b, "x", "x");
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	check_missing(trust, "x");
	g_autofree char *requests = repository_take_requests(repository);
	g_assert_cmpstr(requests, ==, "1.a.json 1.c.json");
	/* A listing agrees with the search. */
	g_autofree char *all = listed(trust, "");
	g_assert_cmpstr(all, ==, "stable/1.0.0/manifest.json");
}

static void test_visits_are_bounded(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	g_autofree char *from = g_strdup("targets");

	for (int i = 0; i < 100; i++) {
		g_autofree char *to = g_strdup_printf("r%03d", i);
		repository_delegate(repository, from, to, "*", FALSE, FALSE, 5);
		g_free(from);
		from = g_steal_pointer(&to);
	}
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	check_missing(trust, "x");
	g_assert_cmpuint(client.repository->requests->len, <, 70);
}

static void test_odd_role_names(void)
{
	static const char *const names[] = { "?", "#", "/role", "../role", "a b", "\xc3\xa9", "." };
	static const char *const requests[] = { "1.%3F.json", "1.%23.json", "1.%2Frole.json",
		"1...%2Frole.json", "1.a%20b.json", "1.%C3%A9.json", "1...json" };

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_auto(Client) client = client_new();
		repository_delegate(client.repository, "targets", names[i], "*", FALSE, FALSE, 5);
		repository_bump(client.repository, PROA_ROLE_TARGETS);
		g_autoptr(ProaTrust) trust = refreshed(&client);
		check_missing(trust, "x");
		g_autofree char *request = repository_take_requests(client.repository);
		g_assert_cmpstr(request, ==, requests[i]);
	}
}

/* Of two roles that name a path, the first is believed. */
static void test_priority(void)
{
	g_auto(Client) client = client_new();
	JsonObject *a = repository_delegate(client.repository, "targets", "a", "*", FALSE, FALSE, 5);
	JsonObject *b = repository_delegate(client.repository, "targets", "b", "*", FALSE, FALSE, 6);

	repository_add_target(b, "x", "from b");
	repository_add_target(a, "x", "from a");
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_autoptr(GPtrArray) targets = proa_trust_list_targets(trust, "x", NULL);
	g_autoptr(GBytes) from_a = g_bytes_new_static("from a", 6);
	g_assert_cmpuint(targets->len, ==, 1);
	g_assert_true(proa_trust_check_target(g_ptr_array_index(targets, 0), from_a, NULL));
}

static void test_plain_names(void)
{
	g_auto(Client) client = client_new();

	client.repository->inconsistent = TRUE;
	repository_bump(client.repository, PROA_ROLE_ROOT);
	repository_publish(client.repository);
	g_autoptr(ProaTrust) trust = refreshed(&client);
	g_autofree char *url =
		proa_trust_target_url_path(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	g_assert_cmpstr(url, ==, "targets/stable/1.0.0/manifest.json");
}

/* --- polls, and the operator's word --- */

static gboolean poll_has_news(Client *client, ProaTrust *trust)
{
	g_autoptr(GError) error = NULL;
	gboolean news = FALSE,
		 ok = proa_trust_poll(trust, repository_fetch, client->repository, &news, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_autofree char *requests = repository_take_requests(client->repository);
	g_assert_cmpstr(requests, ==, "timestamp.json");
	return news;
}

static void test_poll(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_open(&client);

	gboolean news = FALSE;
	/* With nothing to compare with, it asks nothing. */
	g_assert_true(proa_trust_poll(trust, repository_fetch, client.repository, &news, NULL));
	g_assert_true(news);
	g_assert_cmpuint(client.repository->requests->len, ==, 0);
	g_assert_null(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	client_refreshes(&client);
	g_free(repository_take_requests(client.repository));
	g_assert_false(poll_has_news(&client, trust));
	g_assert_nonnull(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	g_assert_true(poll_has_news(&client, trust));
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 1);
}

/* 304: the body is not sent again, and no older body passes for it. */
static void test_poll_etag(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->etags = TRUE;
	client_refreshes(&client);
	g_free(repository_take_requests(repository));
	for (guint i = 1; i < 3; i++) {
		g_autoptr(ProaTrust) trust = client_open(&client);
		g_assert_false(poll_has_news(&client, trust));
		g_assert_cmpuint(repository->unchanged, ==, i);
		g_assert_nonnull(proa_trust_find_target(trust, "stable/1.0.0/manifest.json", NULL));
	}
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_assert_true(poll_has_news(&client, trust));
	g_assert_cmpuint(repository->unchanged, ==, 2);
	client_refreshes(&client);
	/* A refresh asks conditionally too, and a changed file on disk is not what the tag was of. */
	client_refreshes(&client);
	g_assert_cmpuint(repository->unchanged, ==, 3);
	g_autofree char *path = g_build_filename(client.store, "timestamp.json", NULL);
	g_assert_true(g_file_set_contents(path, "{}", -1, NULL));
	client_refreshes(&client);
	g_assert_cmpuint(repository->unchanged, ==, 3);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 2);
}

static gboolean always_unchanged(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	return etag ? TRUE : repository_fetch(path, max_size, etag, ret_bytes, data, error);
}

static void test_unasked_304(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_trust_refresh(trust, always_unchanged, client.repository, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
}

/* A poll is content with nothing that a refresh would refuse. */
static void test_poll_expired(void)
{
	g_auto(Client) client = client_new();

	client.repository->expires[PROA_ROLE_SNAPSHOT] = now() + HOUR;
	repository_publish(client.repository);
	client_refreshes(&client);
	g_free(repository_take_requests(client.repository));
	/* Time goes by: it is also that of the running release. */
	client.build_time = now() + HOUR + 1;
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_assert_true(poll_has_news(&client, trust));
	client_refuses(&client, PROA_REASON_STALE_FEED);
}

static void test_accept_stale(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_autoptr(GError) error = NULL;

	for (ProaRole role = PROA_ROLE_TIMESTAMP; role < _PROA_ROLE_MAX; role++)
		repository->expires[role] = now() - DAY;
	repository_publish(repository);
	proa_trust_accept_stale(trust, now() - 1);
	g_assert_false(proa_trust_refresh(trust, repository_fetch, repository, NULL));
	g_assert_false(proa_trust_was_stale(trust));
	proa_trust_accept_stale(trust, now() + DAY);
	g_assert_true(proa_trust_refresh(trust, repository_fetch, repository, NULL));
	g_assert_true(proa_trust_was_stale(trust));
	/* It opens no other door. */
	repository->signing[PROA_ROLE_TIMESTAMP][0] = 9;
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	g_assert_false(proa_trust_refresh(trust, repository_fetch, repository, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_SIGNATURE);
	/* And it ends. */
	repository->signing[PROA_ROLE_TIMESTAMP][0] = PROA_ROLE_TIMESTAMP;
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	g_assert_true(proa_trust_refresh(trust, repository_fetch, repository, NULL));
	proa_trust_accept_stale(trust, 0);
	g_clear_error(&error);
	g_assert_false(proa_trust_refresh(trust, repository_fetch, repository, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_STALE_FEED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/target/length-and-digest", test_target);
	g_test_add_func("/trust/target/a-digest-nobody-knows-spoils-one-file", test_unknown_digest);
	g_test_add_func("/trust/target/nothing-before-a-refresh", test_before_refresh);
	g_test_add_func("/trust/target/plain-names-without-consistent-snapshots", test_plain_names);
	g_test_add_func("/trust/list/by-prefix", test_list);
	g_test_add_func("/trust/delegation/a-channels-key-is-for-its-paths", test_delegation);
	g_test_add_func("/trust/delegation/refuses-another-key", test_delegation_wrong_key);
	g_test_add_func("/trust/delegation/verified-for-each-delegator",
		test_cached_role_is_verified_for_each_delegator);
	g_test_add_func("/trust/delegation/searched-in-pre-order-without-cycles", test_order_of_search);
	g_test_add_func("/trust/delegation/terminating-ends-the-search", test_terminating);
	g_test_add_func("/trust/delegation/visits-are-bounded", test_visits_are_bounded);
	g_test_add_func("/trust/delegation/odd-role-names-are-quoted", test_odd_role_names);
	g_test_add_func("/trust/delegation/first-of-two-is-believed", test_priority);
	g_test_add_func("/trust/poll/asks-for-the-timestamp-alone", test_poll);
	g_test_add_func("/trust/poll/costs-no-body-when-nothing-changed", test_poll_etag);
	g_test_add_func("/trust/poll/refuses-an-unasked-304", test_unasked_304);
	g_test_add_func("/trust/poll/is-not-content-with-the-expired", test_poll_expired);
	g_test_add_func("/trust/accept-stale-is-for-expiry-alone", test_accept_stale);
	return g_test_run();
}

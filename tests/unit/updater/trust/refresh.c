/* SPDX-License-Identifier: Apache-2.0 */
/* The client workflow, a test a rule, against a repository in memory. */
#include "updater/trust/refresh.h"

#include "tests/unit/updater/trust/client.h"

#include <string.h>

static void test_first(void)
{
	g_auto(Client) client = client_new();

	client_refreshes(&client);
	g_autofree char *requests = repository_take_requests(client.repository);
	g_assert_cmpstr(requests, ==, "2.root.json timestamp.json 1.snapshot.json 1.targets.json");
	for (ProaRole role = 0; role < _PROA_ROLE_MAX; role++)
		g_assert_cmpint(client_version(&client, proa_role_to_string(role)), ==, 1);

	/* As served, to the byte. */
	g_autofree char *path = g_build_filename(client.store, "targets.json", NULL), *text = NULL;
	gsize size, served_size;
	const char *served = g_bytes_get_data(
		g_hash_table_lookup(client.repository->files, "1.targets.json"), &served_size);
	g_assert_true(g_file_get_contents(path, &text, &size, NULL));
	g_assert_cmpmem(text, size, served, served_size);
}

static void test_idle(void)
{
	g_auto(Client) client = client_new();

	client_refreshes(&client);
	g_free(repository_take_requests(client.repository));
	client_refreshes(&client);
	g_autofree char *idle = repository_take_requests(client.repository);
	g_assert_cmpstr(idle, ==, "2.root.json timestamp.json");
	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	client_refreshes(&client);
	g_autofree char *only_timestamp = repository_take_requests(client.repository);
	g_assert_cmpstr(only_timestamp, ==, "2.root.json timestamp.json");
	repository_bump(client.repository, PROA_ROLE_SNAPSHOT);
	client_refreshes(&client);
	g_autofree char *snapshot_too = repository_take_requests(client.repository);
	g_assert_cmpstr(snapshot_too, ==, "2.root.json timestamp.json 2.snapshot.json");
}

static void test_inconsistent(void)
{
	g_auto(Client) client = client_new();

	client.repository->inconsistent = TRUE;
	repository_bump(client.repository, PROA_ROLE_ROOT);
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	client_refreshes(&client);
	g_autofree char *requests = repository_take_requests(client.repository);
	g_assert_cmpstr(requests, ==, "2.root.json 3.root.json timestamp.json snapshot.json targets.json");
}

/* --- root --- */

static void test_root_rotation(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	/* From key 0 to key 4, signed by both, then by the new one alone. */
	repository->listed[PROA_ROLE_ROOT][0] = 4;
	memcpy(repository->signing[PROA_ROLE_ROOT], (int[]){ 0, 4, -1 }, 3 * sizeof(int));
	repository_bump(repository, PROA_ROLE_ROOT);
	memcpy(repository->signing[PROA_ROLE_ROOT], (int[]){ 4, -1 }, 2 * sizeof(int));
	repository_bump(repository, PROA_ROLE_ROOT);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "root"), ==, 3);

	/* A later start begins where this one ended, without asking for what it has. */
	g_free(repository_take_requests(repository));
	client_refreshes(&client);
	g_autofree char *requests = repository_take_requests(repository);
	g_assert_cmpstr(requests, ==, "4.root.json timestamp.json");
}

static void test_root_needs_old_keys(void)
{
	g_auto(Client) client = client_new();

	client.repository->listed[PROA_ROLE_ROOT][0] = 4;
	client.repository->signing[PROA_ROLE_ROOT][0] = 4;
	repository_bump(client.repository, PROA_ROLE_ROOT);
	client_refuses(&client, PROA_REASON_BAD_SIGNATURE);
	g_assert_cmpint(client_version(&client, "root"), ==, 1);
}

static void test_root_needs_new_keys(void)
{
	g_auto(Client) client = client_new();

	client.repository->listed[PROA_ROLE_ROOT][0] = 4;
	repository_bump(client.repository, PROA_ROLE_ROOT);
	client_refuses(&client, PROA_REASON_BAD_SIGNATURE);
	g_assert_cmpint(client_version(&client, "root"), ==, 1);
}

/* The file of a version holds another: replayed, skipped ahead. */
static void test_root_version_inside(void)
{
	g_auto(Client) client = client_new();
	GHashTable *files = client.repository->files;

	g_hash_table_insert(
		files, g_strdup("2.root.json"), g_bytes_ref(g_hash_table_lookup(files, "1.root.json")));
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	g_assert_cmpint(client_version(&client, "root"), ==, 1);

	client.repository->version[PROA_ROLE_ROOT] = 2;
	repository_bump(client.repository, PROA_ROLE_ROOT);
	g_hash_table_insert(
		files, g_strdup("2.root.json"), g_bytes_ref(g_hash_table_lookup(files, "3.root.json")));
	client_refuses(&client, PROA_REASON_BAD_METADATA);
	g_assert_cmpint(client_version(&client, "root"), ==, 1);
}

static void test_root_older_inside(void)
{
	g_auto(Client) client = client_new();
	GHashTable *files = client.repository->files;

	repository_bump(client.repository, PROA_ROLE_ROOT);
	client_refreshes(&client);
	g_hash_table_insert(
		files, g_strdup("3.root.json"), g_bytes_ref(g_hash_table_lookup(files, "1.root.json")));
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
}

/* 5.3.8 before 5.3.10: an expired root is kept, and only then complained of. An expired one between is
 * passed. */
static void test_root_expired(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->expires[PROA_ROLE_ROOT] = now() - DAY;
	repository_bump(repository, PROA_ROLE_ROOT);
	client_refuses(&client, PROA_REASON_STALE_FEED);
	g_assert_cmpint(client_version(&client, "root"), ==, 2);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 0);
	repository->expires[PROA_ROLE_ROOT] = now() + DAY;
	repository_bump(repository, PROA_ROLE_ROOT);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "root"), ==, 3);
}

/* Who can write to the store can't put a root of his own there. */
static void test_store_is_no_authority(void)
{
	g_auto(Client) client = client_new();
	g_autoptr(Repository) evil = repository_new();

	evil->listed[PROA_ROLE_ROOT][0] = evil->signing[PROA_ROLE_ROOT][0] = 9;
	repository_bump(evil, PROA_ROLE_ROOT);
	client_refreshes(&client);
	gsize size;
	const char *data = g_bytes_get_data(g_hash_table_lookup(evil->files, "2.root.json"), &size);
	g_free(scratch_write(&client.scratch, "store/root.json", data, (gssize)size));
	g_free(scratch_write(&client.scratch, "store/root_history/2.root.json", data, (gssize)size));
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "root"), ==, 1);
}

/* A shipped root that is newer than the store's, after an update of the image. */
static void test_newer_shipped_root(void)
{
	g_auto(Client) client = client_new();

	client_refreshes(&client);
	repository_bump(client.repository, PROA_ROLE_ROOT);
	repository_bump(client.repository, PROA_ROLE_ROOT);
	gsize size;
	const char *data =
		g_bytes_get_data(g_hash_table_lookup(client.repository->files, "3.root.json"), &size);
	g_free(scratch_write(&client.scratch, "shipped/root.json", data, (gssize)size));
	g_free(repository_take_requests(client.repository));
	client_refreshes(&client);
	g_autofree char *requests = repository_take_requests(client.repository);
	g_assert_cmpstr(requests, ==, "4.root.json timestamp.json");
	g_assert_cmpint(client_version(&client, "root"), ==, 3);
}

static void check_open(Client *client, const char *text, ProaReason reason)
{
	g_autoptr(GError) error = NULL;

	if (text)
		g_free(scratch_write(&client->scratch, "shipped/root.json", text, -1));
	else
		g_unlink(client->root);
	g_assert_null(proa_trust_open(client->store, client->root, 0, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void test_shipped_root(void)
{
	g_auto(Client) client = client_new();
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(client.root, &text, NULL, NULL));
	g_autofree char *changed = g_strdup(text);
	strstr(changed, "\"threshold\":1")[12] = '2';
	check_open(&client, changed, PROA_REASON_BAD_SIGNATURE);
	check_open(&client, "{}", PROA_REASON_BAD_METADATA);
	check_open(&client, "", PROA_REASON_BAD_METADATA);
	check_open(&client, NULL, PROA_REASON_NO_TRUST);
}

/* A bounded number of roots a refresh; the next goes on. */
static void test_root_bound(void)
{
	g_auto(Client) client = client_new();

	for (int i = 0; i < PROA_REFRESH_MAX_ROOTS + 2; i++)
		repository_bump(client.repository, PROA_ROLE_ROOT);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "root"), ==, 1 + PROA_REFRESH_MAX_ROOTS);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "root"), ==, 3 + PROA_REFRESH_MAX_ROOTS);
}

/* --- signatures of the other roles --- */

static void check_wrong_signer(ProaRole role)
{
	g_auto(Client) client = client_new();
	const char *name = proa_role_to_string(role);

	client_refreshes(&client);
	client.repository->signing[role][0] = 9;
	repository_bump(client.repository, role);
	client_refuses(&client, PROA_REASON_BAD_SIGNATURE);
	g_assert_cmpint(client_version(&client, name), ==, 1);
	client.repository->signing[role][0] = (int)role;
	repository_bump(client.repository, role);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, name), ==, 3);
}

static void test_wrong_signer(void)
{
	check_wrong_signer(PROA_ROLE_TIMESTAMP);
	check_wrong_signer(PROA_ROLE_SNAPSHOT);
	check_wrong_signer(PROA_ROLE_TARGETS);
}

/* A threshold raised after the fact holds for what is stored, too. */
static void test_stored_is_verified_again(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	client_refreshes(&client);
	for (ProaRole role = PROA_ROLE_TIMESTAMP; role < _PROA_ROLE_MAX; role++) {
		memcpy(repository->listed[role], (int[]){ (int)role, 8, -1 }, 3 * sizeof(int));
		repository->threshold[role] = 2;
	}
	repository_bump(repository, PROA_ROLE_ROOT);
	client_refuses(&client, PROA_REASON_BAD_SIGNATURE);
	for (ProaRole role = PROA_ROLE_TIMESTAMP; role < _PROA_ROLE_MAX; role++)
		memcpy(repository->signing[role], (int[]){ 8, (int)role, -1 }, 3 * sizeof(int));
	repository_publish(repository);
	g_free(repository_take_requests(repository));
	client_refreshes(&client);
	g_autofree char *requests = repository_take_requests(repository);
	g_assert_cmpstr(requests, ==, "3.root.json timestamp.json 1.snapshot.json 1.targets.json");
}

/* --- timestamp --- */

static void test_timestamp_rollback(void)
{
	g_auto(Client) client = client_new();

	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	client_refreshes(&client);
	client.repository->version[PROA_ROLE_TIMESTAMP] = 1;
	repository_publish(client.repository);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 2);
}

/* Rollback protection does not end when what was trusted has expired. */
static void test_timestamp_rollback_after_expiry(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->version[PROA_ROLE_TIMESTAMP] = 5;
	repository->expires[PROA_ROLE_TIMESTAMP] = now() + HOUR;
	repository_publish(repository);
	client_refreshes(&client);
	/* Time goes by: it is also that of the running release. */
	client.build_time = now() + HOUR + 1;
	repository->version[PROA_ROLE_TIMESTAMP] = 4;
	repository->expires[PROA_ROLE_TIMESTAMP] = now() + DAY;
	repository_publish(repository);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
}

static void test_timestamp_equal(void)
{
	g_auto(Client) client = client_new();

	client_refreshes(&client);
	client.repository->version[PROA_ROLE_SNAPSHOT] = 100;
	repository_publish(client.repository);
	g_free(repository_take_requests(client.repository));
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "snapshot"), ==, 1);
}

static void test_timestamp_names_older_snapshot(void)
{
	g_auto(Client) client = client_new();

	repository_bump(client.repository, PROA_ROLE_SNAPSHOT);
	client_refreshes(&client);
	client.repository->version[PROA_ROLE_SNAPSHOT] = 1;
	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 2);
}

static void test_timestamp_expired(void)
{
	g_auto(Client) client = client_new();

	client_refreshes(&client);
	client.repository->expires[PROA_ROLE_TIMESTAMP] = now() - 1;
	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_STALE_FEED);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 1);
}

static void test_timestamp_wrong_type(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	/* A snapshot signed with the timestamp's key, served as the timestamp. */
	memcpy(repository->signing[PROA_ROLE_SNAPSHOT], (int[]){ PROA_ROLE_TIMESTAMP, -1 }, 2 * sizeof(int));
	repository_publish(repository);
	g_hash_table_insert(repository->files, g_strdup("timestamp.json"),
		g_bytes_ref(g_hash_table_lookup(repository->files, "1.snapshot.json")));
	client_refuses(&client, PROA_REASON_BAD_METADATA);
}

/* 5.3.11: new keys undo an attacker's version numbers. */
static void test_fast_forward(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->version[PROA_ROLE_TIMESTAMP] = repository->version[PROA_ROLE_SNAPSHOT] = 1000000;
	repository->version[PROA_ROLE_TARGETS] = 1000000;
	repository_publish(repository);
	client_refreshes(&client);
	repository->version[PROA_ROLE_TIMESTAMP] = repository->version[PROA_ROLE_SNAPSHOT] = 2;
	repository->version[PROA_ROLE_TARGETS] = 2;
	repository_publish(repository);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	for (ProaRole role = PROA_ROLE_TIMESTAMP; role <= PROA_ROLE_SNAPSHOT; role++)
		repository->listed[role][0] = repository->signing[role][0] = 4 + (int)role;
	repository_bump(repository, PROA_ROLE_ROOT);
	repository_publish(repository);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 2);
	g_assert_cmpint(client_version(&client, "snapshot"), ==, 2);
	g_assert_cmpint(client_version(&client, "targets"), ==, 2);
}

/* 5.3.11 says "and / or": new keys of the snapshot alone undo both. */
static void test_fast_forward_snapshot_key(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->version[PROA_ROLE_SNAPSHOT] = 1000000;
	repository_publish(repository);
	client_refreshes(&client);
	repository->version[PROA_ROLE_SNAPSHOT] = 2;
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	repository->listed[PROA_ROLE_SNAPSHOT][0] = repository->signing[PROA_ROLE_SNAPSHOT][0] = 6;
	repository_bump(repository, PROA_ROLE_ROOT);
	repository_publish(repository);
	client_refreshes(&client);
	g_assert_cmpint(client_version(&client, "snapshot"), ==, 2);
}

/* A snapshot that is lost from the store is no rotation: the timestamp still remembers what was newest. */
static void test_lost_snapshot(void)
{
	g_auto(Client) client = client_new();

	repository_bump(client.repository, PROA_ROLE_TARGETS);
	client_refreshes(&client);
	g_autofree char *path = g_build_filename(client.store, "snapshot.json", NULL);
	g_assert_cmpint(g_unlink(path), ==, 0);
	client.repository->version[PROA_ROLE_TIMESTAMP] = 1;
	repository_publish(client.repository);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
}

/* --- snapshot and targets --- */

static void serve(Client *client, const char *as, const char *what)
{
	g_hash_table_insert(client->repository->files, g_strdup(as),
		g_bytes_ref(g_hash_table_lookup(client->repository->files, what)));
}

static void test_mix_and_match(void)
{
	g_auto(Client) client = client_new();

	repository_bump(client.repository, PROA_ROLE_TARGETS);
	serve(&client, "2.snapshot.json", "1.snapshot.json");
	client_refuses(&client, PROA_REASON_METADATA_MISMATCH);
	repository_publish(client.repository);
	serve(&client, "2.targets.json", "1.targets.json");
	client_refuses(&client, PROA_REASON_METADATA_MISMATCH);
	g_assert_cmpint(client_version(&client, "targets"), ==, 0);
}

/* The same when the parents tell versions only. */
static void test_mix_and_match_without_hashes(void)
{
	g_auto(Client) client = client_new();

	client.repository->no_hashes = TRUE;
	repository_publish(client.repository);
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	serve(&client, "2.snapshot.json", "1.snapshot.json");
	client_refuses(&client, PROA_REASON_METADATA_MISMATCH);
	repository_publish(client.repository);
	serve(&client, "2.targets.json", "1.targets.json");
	client_refuses(&client, PROA_REASON_METADATA_MISMATCH);
}

static void test_targets_rollback(void)
{
	g_auto(Client) client = client_new();

	repository_bump(client.repository, PROA_ROLE_TARGETS);
	client_refreshes(&client);
	client.repository->version[PROA_ROLE_TARGETS] = 1;
	repository_bump(client.repository, PROA_ROLE_SNAPSHOT);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
	g_assert_cmpint(client_version(&client, "snapshot"), ==, 2);
}

static void test_role_vanishes(void)
{
	g_auto(Client) client = client_new();

	repository_delegate(client.repository, "targets", "beta", "beta/*/*", FALSE, FALSE, 5);
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	client_refreshes(&client);
	g_hash_table_remove_all(client.repository->others);
	repository_bump(client.repository, PROA_ROLE_TARGETS);
	client_refuses(&client, PROA_REASON_METADATA_ROLLBACK);
}

static void check_expired(ProaRole role)
{
	g_auto(Client) client = client_new();
	const char *name = proa_role_to_string(role);

	client_refreshes(&client);
	client.repository->expires[role] = now() - DAY;
	repository_bump(client.repository, role);
	client_refuses(&client, PROA_REASON_STALE_FEED);
	g_assert_cmpint(client_version(&client, name), ==, 1);
}

static void test_expired(void)
{
	check_expired(PROA_ROLE_SNAPSHOT);
	check_expired(PROA_ROLE_TARGETS);
}

static void test_endless_data(void)
{
	g_auto(Client) client = client_new();
	g_autofree char *spaces = g_strnfill(PROA_TIMESTAMP_MAX_SIZE + 1, ' ');

	g_hash_table_insert(
		client.repository->files, g_strdup("timestamp.json"), g_bytes_new(spaces, strlen(spaces)));
	client_refuses(&client, PROA_REASON_TOO_LARGE);
	/* Of a file whose length is signed, no more than that is asked for. */
	repository_publish(client.repository);
	g_hash_table_insert(
		client.repository->files, g_strdup("1.snapshot.json"), g_bytes_new(spaces, strlen(spaces)));
	client_refuses(&client, PROA_REASON_TOO_LARGE);
}

/* Where nobody tells a length, the caps of the parsers hold. */
static void test_caps(void)
{
	static const struct {
		const char *path;
		gsize cap;
	} cases[] = { { "2.root.json", PROA_ROOT_MAX_SIZE }, { "timestamp.json", PROA_TIMESTAMP_MAX_SIZE },
		{ "1.snapshot.json", PROA_SNAPSHOT_MAX_SIZE }, { "1.targets.json", PROA_TARGETS_MAX_SIZE } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Client) client = client_new();
		g_autofree char *spaces = g_strnfill(cases[i].cap + 1, ' ');
		client.repository->no_hashes = TRUE;
		repository_bump(client.repository, PROA_ROLE_ROOT);
		repository_publish(client.repository);
		g_hash_table_insert(client.repository->files, g_strdup(cases[i].path),
			g_bytes_new(spaces, cases[i].cap + 1));
		client_refuses(&client, PROA_REASON_TOO_LARGE);
		g_hash_table_insert(
			client.repository->files, g_strdup(cases[i].path), g_bytes_new(spaces, cases[i].cap));
		client_refuses(&client, PROA_REASON_BAD_METADATA);
	}
}

static void test_half_a_feed(void)
{
	g_auto(Client) client = client_new();

	g_hash_table_remove(client.repository->files, "1.targets.json");
	client_refuses(&client, PROA_REASON_NOT_FOUND);
	g_hash_table_remove(client.repository->files, "timestamp.json");
	client_refuses(&client, PROA_REASON_NOT_FOUND);
}

/* What a stranger sends is no metadata, and no message to the operator's terminal either. */
static void test_printable(void)
{
	static const char hostile[] =
		"{\"signed\":{\"_type\":\"\\u001b[2J\\nproa: all is well\"},\"signatures\":[]}";
	static const char *const paths[] = { "2.root.json", "timestamp.json" };

	for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
		g_auto(Client) client = client_new();
		g_autoptr(ProaTrust) trust = client_open(&client);
		g_autoptr(GError) error = NULL;
		g_hash_table_insert(client.repository->files, g_strdup(paths[i]),
			g_bytes_new_static(hostile, strlen(hostile)));
		g_assert_false(proa_trust_refresh(trust, repository_fetch, client.repository, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
		g_assert_null(strpbrk(error->message, "\x1b\n"));
		g_assert_nonnull(strstr(error->message, "?[2J?proa: all is well"));
	}
}

/* --- the clock --- */

/* 5.1: an update is judged by the time at which it began, however long it takes. */
static void test_start_time_is_fixed(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;
	JsonObject *beta = repository_delegate(repository, "targets", "beta", "beta/*", FALSE, TRUE, 5);
	JsonObject *content = g_hash_table_lookup(repository->others, "beta");
	g_autofree char *expires = proa_role_time_format(now() - DAY / 2);
	g_autoptr(GError) error = NULL;

	repository_add_target(beta, "beta/file", "x");
	json_object_set_string_member(content, "expires", expires);
	repository_bump(repository, PROA_ROLE_TARGETS);
	g_autoptr(ProaTrust) trust = client_open(&client);
	g_assert_true(proa_trust_refresh(trust, repository_fetch, repository, NULL));
	g_assert_null(proa_trust_find_target(trust, "beta/file", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_STALE_FEED);
	/* Had it begun a day ago, this would be the time by which the role is judged that is fetched only
	 * now.
	 */
	trust->now -= DAY;
	g_assert_nonnull(proa_trust_find_target(trust, "beta/file", NULL));
	/* The next begins anew. */
	g_assert_true(proa_trust_refresh(trust, repository_fetch, repository, NULL));
	g_assert_null(proa_trust_find_target(trust, "beta/file", NULL));
}

static void test_clock_behind_build(void)
{
	g_auto(Client) client = client_new();

	client.build_time = now() + 30 * DAY;
	client_refuses(&client, PROA_REASON_CLOCK_UNUSABLE);
	/* A little is no matter, but expiry is judged by the build time. */
	client.build_time = now() + DAY / 2;
	client_refreshes(&client);
	client.repository->expires[PROA_ROLE_TIMESTAMP] = now() + DAY / 4;
	repository_bump(client.repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_STALE_FEED);
}

static void test_clock_behind_feed(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	client_refreshes(&client);
	repository->time = now() + 3 * DAY;
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_CLOCK_UNUSABLE);
	g_assert_cmpint(client_version(&client, "timestamp"), ==, 1);
}

/* What a stored timestamp proves of the time outlives a clock that is set back. */
static void test_time_is_remembered(void)
{
	g_auto(Client) client = client_new();
	Repository *repository = client.repository;

	repository->time = now() + DAY / 2;
	repository_publish(repository);
	client_refreshes(&client);
	repository->time = 0;
	repository->expires[PROA_ROLE_TIMESTAMP] = now() + DAY / 4;
	repository_bump(repository, PROA_ROLE_TIMESTAMP);
	client_refuses(&client, PROA_REASON_STALE_FEED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trust/refresh/first-asks-in-order-and-keeps-as-served", test_first);
	g_test_add_func("/trust/refresh/fetches-nothing-that-it-has", test_idle);
	g_test_add_func("/trust/refresh/without-consistent-snapshots", test_inconsistent);
	g_test_add_func("/trust/refresh/root/rotates", test_root_rotation);
	g_test_add_func("/trust/refresh/root/needs-the-old-keys", test_root_needs_old_keys);
	g_test_add_func("/trust/refresh/root/needs-the-new-keys", test_root_needs_new_keys);
	g_test_add_func("/trust/refresh/root/version-inside-counts", test_root_version_inside);
	g_test_add_func("/trust/refresh/root/refuses-an-older-one", test_root_older_inside);
	g_test_add_func("/trust/refresh/root/kept-before-expiry-is-judged", test_root_expired);
	g_test_add_func("/trust/refresh/root/the-store-is-no-authority", test_store_is_no_authority);
	g_test_add_func("/trust/refresh/root/newer-shipped-one-counts", test_newer_shipped_root);
	g_test_add_func("/trust/refresh/root/shipped-one-is-verified", test_shipped_root);
	g_test_add_func("/trust/refresh/root/steps-are-bounded", test_root_bound);
	g_test_add_func("/trust/refresh/refuses-a-strangers-signature", test_wrong_signer);
	g_test_add_func("/trust/refresh/verifies-what-is-stored-again", test_stored_is_verified_again);
	g_test_add_func("/trust/refresh/timestamp/refuses-an-older-one", test_timestamp_rollback);
	g_test_add_func("/trust/refresh/timestamp/refuses-an-older-one-after-expiry",
		test_timestamp_rollback_after_expiry);
	g_test_add_func("/trust/refresh/timestamp/equal-version-keeps-the-old", test_timestamp_equal);
	g_test_add_func(
		"/trust/refresh/timestamp/refuses-an-older-snapshot", test_timestamp_names_older_snapshot);
	g_test_add_func("/trust/refresh/timestamp/refuses-an-expired-one", test_timestamp_expired);
	g_test_add_func("/trust/refresh/timestamp/refuses-another-type", test_timestamp_wrong_type);
	g_test_add_func("/trust/refresh/recovers-from-fast-forward", test_fast_forward);
	g_test_add_func(
		"/trust/refresh/recovers-with-a-new-snapshot-key-alone", test_fast_forward_snapshot_key);
	g_test_add_func("/trust/refresh/a-lost-snapshot-forgets-no-timestamp", test_lost_snapshot);
	g_test_add_func("/trust/refresh/refuses-mix-and-match", test_mix_and_match);
	g_test_add_func(
		"/trust/refresh/refuses-mix-and-match-without-hashes", test_mix_and_match_without_hashes);
	g_test_add_func("/trust/refresh/refuses-older-targets", test_targets_rollback);
	g_test_add_func("/trust/refresh/refuses-a-vanished-role", test_role_vanishes);
	g_test_add_func("/trust/refresh/refuses-expired-snapshot-and-targets", test_expired);
	g_test_add_func("/trust/refresh/bounds-what-it-reads", test_endless_data);
	g_test_add_func("/trust/refresh/caps-hold-where-no-length-is-told", test_caps);
	g_test_add_func("/trust/refresh/refuses-half-a-feed", test_half_a_feed);
	g_test_add_func("/trust/refresh/errors-are-one-plain-line", test_printable);
	g_test_add_func("/trust/refresh/clock/start-time-is-fixed", test_start_time_is_fixed);
	g_test_add_func("/trust/refresh/clock/behind-the-build", test_clock_behind_build);
	g_test_add_func("/trust/refresh/clock/behind-the-feed", test_clock_behind_feed);
	g_test_add_func("/trust/refresh/clock/time-is-remembered", test_time_is_remembered);
	return g_test_run();
}

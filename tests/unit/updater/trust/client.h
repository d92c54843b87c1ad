/* SPDX-License-Identifier: Apache-2.0 */
/* client: a client of a repository in memory, with a store of its own in a scratch folder. For unit tests
 * only. */
#pragma once

#include "tests/unit/scratch.h"
#include "tests/unit/updater/trust/repository.h"

#define HOUR ((gint64)60 * 60)
#define DAY (24 * HOUR)

static inline gint64 now(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

typedef struct {
	Scratch scratch;
	Repository *repository;
	char *root; /* the shipped root: version 1 of the repository when the client was made */
	char *store;
	gint64 build_time;
} Client;

static inline Client client_new(void)
{
	Client client = { scratch_new(), repository_new(), NULL, NULL, 0 };
	gsize size;
	const char *data =
		g_bytes_get_data(g_hash_table_lookup(client.repository->files, "1.root.json"), &size);

	client.root = scratch_write(&client.scratch, "shipped/root.json", data, (gssize)size);
	client.store = scratch_file(&client.scratch, "store");
	return client;
}

static inline void client_clear(Client *client)
{
	scratch_clear(&client->scratch);
	repository_free(client->repository);
	g_free(client->root);
	g_free(client->store);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Client, client_clear)

static inline ProaTrust *client_open(Client *client)
{
	g_autoptr(GError) error = NULL;
	ProaTrust *trust = proa_trust_open(client->store, client->root, client->build_time, &error);

	g_assert_no_error(error);
	return trust;
}

/* A refresh by a client that has just been started. */
static inline void client_refreshes(Client *client)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaTrust) trust = client_open(client);
	gboolean ok = proa_trust_refresh(trust, repository_fetch, client->repository, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static inline void client_refuses(Client *client, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaTrust) trust = client_open(client);

	g_assert_false(proa_trust_refresh(trust, repository_fetch, client->repository, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	/* One sentence that names something. */
	g_assert_cmpuint(strlen(error->message), >, 10);
}

/* The version of what the store holds for a role; 0: nothing. */
static inline gint64 client_version(const Client *client, const char *role)
{
	g_autofree char *path = g_strdup_printf("%s/%s.json", client->store, role);
	g_autofree char *text = NULL;
	gsize size;

	if (!g_file_get_contents(path, &text, &size, NULL))
		return 0;
	g_autoptr(JsonObject) object = proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, NULL);
	return json_object_get_int_member(json_object_get_object_member(object, "signed"), "version");
}

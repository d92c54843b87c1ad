/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/store.h"

#include "base/file.h"
#include "base/reason.h"

#include <string.h>

/* A digest, an entity tag, and their newlines. Bytes. */
#define MAX_ETAG_FILE 512

struct ProaStore {
	char *dir;
};

ProaStore *proa_store_open(const char *dir, GError **error)
{
	g_autofree char *history = g_build_filename(dir, "root_history", NULL);

	if (!proa_file_make_dirs(history, error))
		return NULL;
	ProaStore *store = g_new0(ProaStore, 1);
	store->dir = g_strdup(dir);
	return store;
}

void proa_store_free(ProaStore *store)
{
	if (!store)
		return;
	g_free(store->dir);
	g_free(store);
}

char *proa_store_quote(const char *role)
{
	return g_uri_escape_string(role, NULL, FALSE);
}

static char *path_of(const ProaStore *store, const char *role)
{
	g_autofree char *quoted = proa_store_quote(role);

	return g_strdup_printf("%s/%s.json", store->dir, quoted);
}

static char *root_path_of(const ProaStore *store, gint64 version)
{
	return g_strdup_printf("%s/root_history/%" G_GINT64_FORMAT ".root.json", store->dir, version);
}

static GBytes *read_bytes(const char *path, gsize max, GError **error)
{
	gsize size;
	char *text = proa_file_read(path, max, &size, error);

	return text ? g_bytes_new_take(text, size) : NULL;
}

GBytes *proa_store_read(const ProaStore *store, const char *role, gsize max, GError **error)
{
	g_autofree char *path = path_of(store, role);

	return read_bytes(path, max, error);
}

GBytes *proa_store_read_root(const ProaStore *store, gint64 version, gsize max, GError **error)
{
	g_autofree char *path = root_path_of(store, version);

	return read_bytes(path, max, error);
}

/* An idle poll must not wear the disk: the same bytes are not written again. */
static gboolean write_bytes(const char *path, GBytes *bytes, GError **error)
{
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	g_autoptr(GBytes) there = read_bytes(path, size, NULL);

	if (there && g_bytes_equal(there, bytes))
		return TRUE;
	return proa_file_replace(path, data, size, 0644, error);
}

gboolean proa_store_write(const ProaStore *store, const char *role, GBytes *bytes, GError **error)
{
	g_autofree char *path = path_of(store, role);

	return write_bytes(path, bytes, error);
}

gboolean proa_store_write_root(const ProaStore *store, gint64 version, GBytes *bytes, GError **error)
{
	g_autofree char *path = root_path_of(store, version);

	return write_bytes(path, bytes, error) && proa_store_write(store, "root", bytes, error);
}

static char *etag_path(const ProaStore *store)
{
	return g_build_filename(store->dir, "timestamp.etag", NULL);
}

char *proa_store_read_etag(const ProaStore *store, GBytes *timestamp)
{
	g_autofree char *path = etag_path(store);
	g_autofree char *text = proa_file_read(path, MAX_ETAG_FILE, NULL, NULL);
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, timestamp);

	if (!text)
		return NULL;
	g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
	if (g_strv_length(lines) != 3 || strcmp(lines[0], digest) != 0 || !*lines[1])
		return NULL;
	return g_strdup(lines[1]);
}

void proa_store_write_etag(const ProaStore *store, GBytes *timestamp, const char *etag)
{
	g_autofree char *known = proa_store_read_etag(store, timestamp);
	g_autofree char *path = etag_path(store);
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, timestamp);
	g_autofree char *text = g_strdup_printf("%s\n%s\n", digest, etag ? etag : "");
	g_autoptr(GError) ignored = NULL;

	if (g_strcmp0(known, etag) == 0 || strlen(text) > MAX_ETAG_FILE)
		return;
	if (!proa_file_replace(path, text, strlen(text), 0644, &ignored))
		g_debug("%s", ignored->message);
}

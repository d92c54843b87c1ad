/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuf-client: updater/trust behind the command line that the public TUF conformance suite speaks. For tests
 * only: unlike proa-fetch it is no sandbox, and it downloads into memory.
 *
 *   tuf-client --metadata-dir D init ROOT
 *   tuf-client --metadata-url U --metadata-dir D refresh
 *   tuf-client --metadata-url U --metadata-dir D --target-name T --target-dir X --target-base-url B download
 *
 * Exit status 0 on success and 1 on any failure; the reason code is on standard error.
 */
#include "base/file.h"
#include "updater/trust/trust.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define MAX_ROOT_SIZE ((gsize)512 * 1024)

typedef struct {
	char *metadata_dir, *metadata_url, *target_name, *target_dir, *target_base_url;
} Options;

static void options_clear(Options *options)
{
	g_free(options->metadata_dir);
	g_free(options->metadata_url);
	g_free(options->target_name);
	g_free(options->target_dir);
	g_free(options->target_base_url);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

typedef struct {
	GByteArray *bytes;
	gsize max;
	gboolean too_large;
} Body;

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
	Body *body = user_data;

	if (count > body->max - body->bytes->len) {
		body->too_large = TRUE;
		return 0;
	}
	g_byte_array_append(body->bytes, (const guint8 *)data, (guint)count);
	return count;
}

static gboolean judge(CURL *curl, CURLcode code, const Body *body, const char *url, GError **error)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 404 || status == 403)
		return proa_fail(error, PROA_REASON_NOT_FOUND, "%s: status %ld", url, status);
	if (body->too_large)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "%s: over %zu bytes", url, body->max);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return proa_fail(error, PROA_REASON_TRANSFER_SLOW, "%s: %s", url, curl_easy_strerror(code));
	if (code != CURLE_OK)
		return proa_fail(
			error, PROA_REASON_FEED_UNREACHABLE, "%s: %s", url, curl_easy_strerror(code));
	if (status != 200)
		return proa_fail(error, PROA_REASON_FEED_ERROR, "%s: status %ld", url, status);
	return TRUE;
}

static GBytes *get(const char *base, const char *path, gsize max, GError **error)
{
	g_autofree char *url = g_strdup_printf("%s%s%s", base, g_str_has_suffix(base, "/") ? "" : "/", path);
	Body body = { g_byte_array_new(), max, FALSE };
	CURL *curl = curl_easy_init();

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 10L);
	CURLcode code = curl_easy_perform(curl);
	gboolean ok = judge(curl, code, &body, url, error);
	curl_easy_cleanup(curl);
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(body.bytes);
	return ok ? g_steal_pointer(&bytes) : NULL;
}

static gboolean fetch(const char *path, gsize max_size, GBytes **ret_bytes, gpointer data, GError **error)
{
	const Options *options = data;

	return (*ret_bytes = get(options->metadata_url, path, max_size, error)) != NULL;
}

static gboolean run_init(const Options *options, const char *root, GError **error)
{
	g_autofree char *to = g_build_filename(options->metadata_dir, "root.json", NULL);
	gsize size;
	g_autofree char *text = proa_file_read(root, MAX_ROOT_SIZE, &size, error);

	return text && proa_file_make_dirs(options->metadata_dir, error) &&
	       proa_file_replace(to, text, size, 0644, error);
}

static ProaTrust *run_refresh(Options *options, GError **error)
{
	g_autoptr(ProaTrust) trust = proa_trust_open(options->metadata_dir, NULL, 0, error);

	if (!trust || !proa_trust_refresh(trust, fetch, options, error))
		return NULL;
	return g_steal_pointer(&trust);
}

static gboolean is_there(const ProaTrustTarget *target, const char *path)
{
	gsize size;
	char *text = proa_file_read(path, (gsize)target->length, &size, NULL);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;

	return bytes && proa_trust_check_target(target, bytes, NULL);
}

static gboolean run_download(Options *options, GError **error)
{
	g_autoptr(ProaTrust) trust = run_refresh(options, error);
	const ProaTrustTarget *target =
		trust ? proa_trust_find_target(trust, options->target_name, error) : NULL;

	if (!target)
		return FALSE;
	g_autofree char *name = g_uri_escape_string(target->path, NULL, FALSE);
	g_autofree char *to = g_build_filename(options->target_dir, name, NULL);
	if (is_there(target, to))
		return TRUE;
	g_autofree char *plain = proa_trust_target_url_path(target);
	g_autofree char *quoted = g_uri_escape_string(plain + strlen("targets/"), "/", FALSE);
	g_autoptr(GBytes) bytes = get(options->target_base_url, quoted, (gsize)target->length, error);
	return bytes && proa_trust_check_target(target, bytes, error) &&
	       proa_file_make_dirs(options->target_dir, error) &&
	       proa_file_replace(to, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
	g_auto(Options) options = { 0 };
	const GOptionEntry entries[] = {
		{ "metadata-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.metadata_dir, "Trusted store",
			"DIR" },
		{ "metadata-url", 0, 0, G_OPTION_ARG_STRING, &options.metadata_url,
			"The repository's metadata", "URL" },
		{ "target-name", 0, 0, G_OPTION_ARG_STRING, &options.target_name, "Target path", "PATH" },
		{ "target-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.target_dir, "Where targets go", "DIR" },
		{ "target-base-url", 0, 0, G_OPTION_ARG_STRING, &options.target_base_url,
			"The repository's targets", "URL" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("init ROOT | refresh | download");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	const char *verb = argc > 1 ? argv[1] : "";
	if (options.metadata_dir && argc == 3 && strcmp(verb, "init") == 0)
		return run_init(&options, argv[2], error);
	if (options.metadata_dir && options.metadata_url && argc == 2 && strcmp(verb, "refresh") == 0) {
		g_autoptr(ProaTrust) trust = run_refresh(&options, error);
		return trust != NULL;
	}
	if (options.metadata_dir && options.metadata_url && options.target_name && options.target_dir &&
		options.target_base_url && argc == 2 && strcmp(verb, "download") == 0)
		return run_download(&options, error);
	return proa_fail(error, PROA_REASON_USAGE, "see --help");
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	if (run(argc, argv, &error))
		return 0;
	fprintf(stderr, "tuf-client: %s (%s)\n", error->message,
		proa_reason_to_string(proa_reason_of(error)));
	return 1;
}

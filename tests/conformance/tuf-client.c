/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuf-client: updater/trust behind the command line that the public TUF conformance suite speaks. For tests
 * only: unlike proa-fetch it is no sandbox, and it downloads into memory.
 *
 *   tuf-client --metadata-dir D init ROOT
 *   tuf-client --metadata-url U --metadata-dir D refresh
 *   tuf-client --metadata-url U --metadata-dir D --target-name T ... --target-dir X
 *              --target-base-url B download
 *
 * Several targets are looked up by one client: "--target-name A --target-name B" and "--target-name A B" are
 * the same.
 *
 * Exit status 0 on success and 1 on any failure; the reason code is on standard error.
 */
#include "base/file.h"
#include "images/feed/source.h"
#include "updater/trust/trust.h"

#include <stdio.h>
#include <string.h>

#define MAX_FILE_NAME 200

#define MAX_ROOT_SIZE ((gsize)512 * 1024)

typedef struct {
	char *metadata_dir, *metadata_url, *target_dir, *target_base_url;
	char **target_names; /* several are looked up by one client, one after the other */
	ProaSource *metadata;
} Options;

static void options_clear(Options *options)
{
	g_free(options->metadata_dir);
	g_free(options->metadata_url);
	g_strfreev(options->target_names);
	proa_source_free(options->metadata);
	g_free(options->target_dir);
	g_free(options->target_base_url);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean run_init(const Options *options, const char *root, GError **error)
{
	g_autofree char *to = g_build_filename(options->metadata_dir, "root.json", NULL);
	gsize size;
	g_autofree char *text = proa_file_read(root, MAX_ROOT_SIZE, &size, error);

	return text && proa_file_make_dirs(options->metadata_dir, error) &&
	       proa_file_replace(to, text, size, 0644, error);
}

/* Asks for everything whether or not it changed: the suite's servers change files within one second. */
static gboolean fetch(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	return proa_source_fetch(path, max_size, NULL, ret_bytes, data, error);
}

static ProaTrust *run_refresh(Options *options, GError **error)
{
	g_autoptr(ProaTrust) trust = proa_trust_open(options->metadata_dir, NULL, 0, error);

	options->metadata = proa_source_open(options->metadata_url);
	if (!trust || !proa_trust_refresh(trust, fetch, options->metadata, error))
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

static gboolean download(const Options *options, ProaTrust *trust, const char *name, GError **error)
{
	const ProaTrustTarget *target = proa_trust_find_target(trust, name, error);

	if (!target)
		return FALSE;
	g_autofree char *escaped = g_uri_escape_string(target->path, NULL, FALSE);
	/* A file name has at most 255 bytes. */
	g_autofree char *file = strlen(escaped) <= MAX_FILE_NAME
					? g_strdup(escaped)
					: g_compute_checksum_for_string(G_CHECKSUM_SHA256, target->path, -1);
	g_autofree char *to = g_build_filename(options->target_dir, file, NULL);
	if (is_there(target, to))
		return TRUE;
	g_autofree char *plain = proa_trust_target_url_path(target);
	g_autofree char *quoted = proa_source_quote(plain + strlen("targets/"));
	g_autoptr(ProaSource) source = proa_source_open(options->target_base_url);
	g_autoptr(GBytes) bytes = proa_source_read(source, quoted, (gsize)target->length, error);
	return bytes && proa_trust_check_target(target, bytes, error) &&
	       proa_file_make_dirs(options->target_dir, error) &&
	       proa_file_replace(to, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0644, error);
}

static gboolean run_download(Options *options, GError **error)
{
	g_autoptr(ProaTrust) trust = run_refresh(options, error);

	if (!trust)
		return FALSE;
	for (char **name = options->target_names; *name; name++)
		if (!download(options, trust, *name, error))
			return FALSE;
	return TRUE;
}

/* What stands between the options and the verb "download" are further targets. */
static void take_names(Options *options, int count, char **names)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (char **name = options->target_names; *name; name++)
		g_strv_builder_add(builder, *name);
	for (int i = 0; i < count; i++)
		g_strv_builder_add(builder, names[i]);
	g_strfreev(options->target_names);
	options->target_names = g_strv_builder_end(builder);
}

static gboolean run(int argc, char **argv, GError **error)
{
	g_auto(Options) options = { 0 };
	const GOptionEntry entries[] = {
		{ "metadata-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.metadata_dir, "Trusted store",
			"DIR" },
		{ "metadata-url", 0, 0, G_OPTION_ARG_STRING, &options.metadata_url,
			"The repository's metadata", "URL" },
		/* Bytes, in whatever locale this runs. */
		{ "target-name", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.target_names,
			"Target path; may come several times", "PATH" },
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
	if (options.metadata_dir && options.metadata_url && options.target_names && options.target_dir &&
		options.target_base_url && argc >= 2 && strcmp(argv[argc - 1], "download") == 0) {
		take_names(&options, argc - 2, argv + 1);
		return run_download(&options, error);
	}
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

/* SPDX-License-Identifier: Apache-2.0 */
/* proa-fetch: URL and range in, bytes out. See proa-fetch(8) and docs/architecture.md ("Programs"). */
#include "base/file.h"
#include "base/pages.h"
#include "updater/fetch/ranges.h"
#include "updater/fetch/sandbox.h"
#include "updater/fetch/transfer.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONNECT_TIMEOUT 30
#define DEFAULT_LOW_SPEED_BYTES 1024
#define DEFAULT_LOW_SPEED_SECONDS 60
#define DEFAULT_RETRY_DELAY 1000
#define MAX_RETRIES 1000

typedef struct {
	gint64 offset, length, max_bytes, max_speed;
	gboolean read_ranges; /* from standard input */
	GArray *ranges;       /* of ProaByteRange */
	int connect_timeout, retries, retry_delay;
	char *low_speed; /* BYTES:SECONDS */
	long low_speed_bytes, low_speed_seconds;
	char *if_none_match;
	char *ca_file;
	char *url;
	gboolean is_file;
} Options;

static void options_clear(Options *options)
{
	g_free(options->low_speed);
	g_free(options->if_none_match);
	g_free(options->ca_file);
	g_free(options->url);
	if (options->ranges)
		g_array_unref(options->ranges);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static int usage_error(const char *message)
{
	fprintf(stderr, "proa-fetch: %s\nSee proa-fetch --help.\n", message);
	return PROA_EXIT_USAGE;
}

static gboolean printable(const char *text)
{
	for (; *text; text++)
		if (!g_ascii_isgraph(*text))
			return FALSE;
	return TRUE;
}

/* NULL, or what is wrong with the options. */
static const char *check_options(Options *options)
{
	if (options->offset < 0 || options->length < 0 || options->max_bytes < 0 || options->max_speed < 0 ||
		options->retries < 0 || options->retries > MAX_RETRIES || options->retry_delay < 1 ||
		options->connect_timeout < 1 || options->offset > G_MAXINT64 - options->length)
		return "a number is out of range";
	if (options->read_ranges && (options->offset > 0 || options->length > 0))
		return "--ranges does not go with --offset and --length";
	if (options->if_none_match && (!printable(options->if_none_match) ||
					      strlen(options->if_none_match) > PROA_TRANSFER_MAX_ETAG))
		return "the ETag is malformed";
	if (options->low_speed && sscanf(options->low_speed, "%ld:%ld", &options->low_speed_bytes,
					  &options->low_speed_seconds) != 2)
		return "--low-speed must be BYTES:SECONDS";
	if (options->low_speed_bytes < 1 || options->low_speed_seconds < 1)
		return "--low-speed must be positive";
	options->is_file = g_str_has_prefix(options->url, "file:///");
	if (!options->is_file && !g_str_has_prefix(options->url, "http://") &&
		!g_str_has_prefix(options->url, "https://"))
		return "the URL must be http, https or file";
	return printable(options->url) ? NULL : "the URL must be percent-encoded";
}

/* Files besides the usual ones that this transfer reads. */
static gboolean enter_sandbox(const Options *options, GError **error)
{
	g_autofree char *path = options->is_file ? g_filename_from_uri(options->url, NULL, NULL) : NULL;
	g_autoptr(GPtrArray) readable = g_ptr_array_new();

	if (path)
		g_ptr_array_add(readable, path);
	if (options->ca_file)
		g_ptr_array_add(readable, options->ca_file);
	g_ptr_array_add(readable, NULL);
	return proa_sandbox_enter((const char *const *)readable->pdata, error);
}

static gboolean parse_options(int argc, char **argv, Options *options, GError **error)
{
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
		{ "offset", 0, 0, G_OPTION_ARG_INT64, &options->offset, "First byte wanted", "N" },
		{ "length", 0, 0, G_OPTION_ARG_INT64, &options->length, "Bytes wanted (default: to the end)",
			"N" },
		{ "ranges", 0, 0, G_OPTION_ARG_NONE, &options->read_ranges,
			"Parts wanted, \"OFFSET LENGTH\" a line, from standard input", NULL },
		{ "max-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_bytes, "Give up on more than that",
			"N" },
		{ "connect-timeout", 0, 0, G_OPTION_ARG_INT, &options->connect_timeout,
			"Seconds (default: 30)", "S" },
		{ "low-speed", 0, 0, G_OPTION_ARG_STRING, &options->low_speed,
			"Give up below BYTES a second for SECONDS (default: 1024:60)", "BYTES:SECONDS" },
		{ "max-speed", 0, 0, G_OPTION_ARG_INT64, &options->max_speed,
			"At most so many bytes a second (default: no limit)", "BYTES" },
		{ "retries", 0, 0, G_OPTION_ARG_INT, &options->retries,
			"Try so often again when the connection breaks (default: 0)", "N" },
		{ "retry-delay", 0, 0, G_OPTION_ARG_INT, &options->retry_delay,
			"Milliseconds before the first retry (default: 1000)", "MS" },
		{ "if-none-match", 0, 0, G_OPTION_ARG_STRING, &options->if_none_match, "ETag known already",
			"ETAG" },
		{ "ca-file", 0, 0, G_OPTION_ARG_FILENAME, &options->ca_file,
			"Certificate authorities to trust", "FILE" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("URL - fetch bytes from a feed to standard output");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	if (version) {
		puts("proa-fetch " PROA_VERSION);
		exit(PROA_EXIT_OK);
	}
	if (argc != 2)
		return proa_fail(error, PROA_REASON_USAGE, "one URL is needed");
	options->url = g_strdup(argv[1]);
	const char *wrong = check_options(options);
	return wrong ? proa_fail(error, PROA_REASON_USAGE, "%s", wrong) : TRUE;
}

/* Which parts: those of standard input, or the one of the command line. */
static gboolean find_ranges(Options *options, GError **error)
{
	if (options->read_ranges) {
		options->ranges = proa_ranges_read(STDIN_FILENO, error);
		return options->ranges != NULL;
	}
	const ProaByteRange one = { (guint64)options->offset, (guint64)options->length };
	options->ranges = g_array_new(FALSE, FALSE, sizeof one);
	g_array_append_val(options->ranges, one);
	return TRUE;
}

static int run(const Options *options)
{
	const ProaTransfer transfer = { .url = options->url,
		.is_file = options->is_file,
		.ranges = (const ProaByteRange *)options->ranges->data,
		.n_ranges = options->ranges->len,
		.max_bytes = options->max_bytes,
		.max_speed = options->max_speed,
		.connect_timeout = options->connect_timeout,
		.low_speed_bytes = options->low_speed_bytes,
		.low_speed_seconds = options->low_speed_seconds,
		.retries = (guint)options->retries,
		.retry_delay = (gulong)options->retry_delay,
		.if_none_match = options->if_none_match,
		.ca_file = options->ca_file };

	return proa_transfer_run(&transfer);
}

#ifdef __SANITIZE_ADDRESS__
/* The leak checker of a sanitizer traces its own process, which the sandbox forbids. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_auto(Options) options = { .connect_timeout = DEFAULT_CONNECT_TIMEOUT,
		.low_speed_bytes = DEFAULT_LOW_SPEED_BYTES,
		.low_speed_seconds = DEFAULT_LOW_SPEED_SECONDS,
		.retry_delay = DEFAULT_RETRY_DELAY };

	g_set_prgname("proa-fetch");
	signal(SIGPIPE, SIG_IGN);
	/* The loader has been through forty libraries, of which a transfer needs five. */
	proa_pages_drop_code();
	if (!parse_options(argc, argv, &options, &error) || !find_ranges(&options, &error))
		return usage_error(error->message);
	/* Before the sandbox, since OpenSSL reads its configuration then. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return usage_error("libcurl cannot start");
	proa_pages_drop_code();
	if (!enter_sandbox(&options, &error)) {
		fprintf(stderr,
			"{\"status\":0,\"bytes\":0,\"etag\":null,\"reason\":\"internal\",\"message\":\"no sandbox\"}\n");
		return PROA_EXIT_FAILED;
	}
	proa_pages_drop_code();
	return run(&options);
}

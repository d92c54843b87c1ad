/* SPDX-License-Identifier: Apache-2.0 */
/* proa-fetch: URL and range in, bytes out. See proa-fetch(8) and docs/architecture.md ("Programs"). */
#include "base/file.h"
#include "updater/fetch/sandbox.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONNECT_TIMEOUT 30
#define DEFAULT_LOW_SPEED_BYTES 1024
#define DEFAULT_LOW_SPEED_SECONDS 60
#define MAX_REDIRECTS 5
#define MAX_ETAG 256

typedef struct {
	gint64 offset, length, max_bytes;
	int connect_timeout;
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
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* A transfer and how it stands. */
typedef struct {
	const Options *options;
	CURL *curl;
	guint64 bytes; /* written to standard output */
	char *etag;
	gboolean over_limit, output_gone, range_ignored;
	char said[CURL_ERROR_SIZE];
} Transfer;

static gsize take_body(char *data, gsize one, gsize size, void *user_data)
{
	Transfer *transfer = user_data;
	const Options *options = transfer->options;
	long status = 0;

	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!options->is_file && (options->offset > 0 || options->length > 0) && status == 200) {
		/* The whole file where a part was asked for: its first bytes are not the ones wanted. */
		transfer->range_ignored = TRUE;
		return CURL_WRITEFUNC_ERROR;
	}
	if (options->max_bytes > 0 && size > (guint64)options->max_bytes - transfer->bytes) {
		transfer->over_limit = TRUE;
		return CURL_WRITEFUNC_ERROR;
	}
	if (!proa_write_all(STDOUT_FILENO, data, size, NULL)) {
		transfer->output_gone = TRUE;
		return CURL_WRITEFUNC_ERROR;
	}
	transfer->bytes += size;
	return size;
}

static gsize take_header(char *data, gsize one, gsize size, void *user_data)
{
	Transfer *transfer = user_data;
	g_autofree char *line = g_strndup(data, size);

	/* A redirect's header is not the answer's. */
	if (g_ascii_strncasecmp(line, "HTTP/", 5) == 0)
		g_clear_pointer(&transfer->etag, g_free);
	else if (g_ascii_strncasecmp(line, "etag:", 5) == 0 && size < MAX_ETAG &&
		 g_utf8_validate(line, -1, NULL)) {
		g_free(transfer->etag);
		transfer->etag = g_strdup(g_strstrip(line + 5));
	}
	return size;
}

static ProaReason reason_of_status(long status)
{
	return status == 404 || status == 403 || status == 410 ? PROA_REASON_NOT_FOUND
							       : PROA_REASON_FEED_ERROR;
}

/* PROA_REASON_MAX when all went well. */
static ProaReason judge(const Transfer *transfer, CURLcode code, long status)
{
	if (transfer->over_limit)
		return PROA_REASON_TOO_LARGE;
	if (transfer->range_ignored)
		return PROA_REASON_FEED_ERROR;
	if (transfer->output_gone)
		return PROA_REASON_CANCELLED;

	switch (code) {
	case CURLE_OK:
		if (transfer->options->is_file || (status >= 200 && status < 300) || status == 304)
			return PROA_REASON_MAX;
		return reason_of_status(status);
	case CURLE_HTTP_RETURNED_ERROR:
		return reason_of_status(status);
	case CURLE_FILESIZE_EXCEEDED:
		return PROA_REASON_TOO_LARGE;
	case CURLE_FILE_COULDNT_READ_FILE:
		return PROA_REASON_NOT_FOUND;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_HTTP2_STREAM:
	case CURLE_HTTP2:
		return PROA_REASON_TRANSFER_INTERRUPTED;
	case CURLE_OPERATION_TIMEDOUT: {
		double connected = 0;
		curl_easy_getinfo(transfer->curl, CURLINFO_CONNECT_TIME, &connected);
		return connected > 0 ? PROA_REASON_TRANSFER_SLOW : PROA_REASON_FEED_UNREACHABLE;
	}
	case CURLE_RANGE_ERROR:
	case CURLE_BAD_DOWNLOAD_RESUME:
	case CURLE_TOO_MANY_REDIRECTS:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_GOT_NOTHING:
	case CURLE_URL_MALFORMAT:
		return PROA_REASON_FEED_ERROR;
	default:
		return PROA_REASON_FEED_UNREACHABLE; /* name, route, refused, TLS */
	}
}

/* By hand, since json-glib and what it needs would be a fifth of this program's memory. @text is UTF-8. */
static char *json_string(const char *text)
{
	if (!text)
		return g_strdup("null");
	GString *quoted = g_string_new("\"");
	for (const char *c = text; *c; c++)
		if ((guchar)*c < 0x20 || *c == 0x7f)
			g_string_append_printf(quoted, "\\u%04x", (guint)(guchar)*c);
		else if (*c == '"' || *c == '\\')
			g_string_append_printf(quoted, "\\%c", *c);
		else
			g_string_append_c(quoted, *c);
	g_string_append_c(quoted, '"');
	return g_string_free(quoted, FALSE);
}

/* The one line on standard error; returns the exit status. */
static int report(const Transfer *transfer, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	ProaReason reason = judge(transfer, code, status);
	g_autofree char *message = NULL;
	if (transfer->over_limit)
		message =
			g_strdup_printf("more than %" G_GINT64_FORMAT " bytes", transfer->options->max_bytes);
	else if (transfer->range_ignored)
		message = g_strdup("the server does not serve parts of files");
	else if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
		message = g_strdup_printf("the server answered %ld", status);
	else
		message =
			g_utf8_make_valid(transfer->said[0] ? transfer->said : curl_easy_strerror(code), -1);

	gboolean ok = reason == PROA_REASON_MAX;
	g_autofree char *etag = json_string(transfer->etag);
	g_autofree char *word = json_string(ok ? NULL : proa_reason_to_string(reason));
	g_autofree char *text = json_string(ok ? NULL : message);
	fprintf(stderr,
		"{\"status\":%ld,\"bytes\":%" G_GUINT64_FORMAT ",\"etag\":%s,\"reason\":%s,\"message\":%s}\n",
		status, transfer->bytes, etag, word, text);
	return ok ? PROA_EXIT_OK : PROA_EXIT_FAILED;
}

static void set_transfer_options(CURL *curl, Transfer *transfer, struct curl_slist **headers)
{
	const Options *options = transfer->options;

	curl_easy_setopt(curl, CURLOPT_URL, options->url);
	/* A file is read only when the operator's URL says so, never because a server does. */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, options->is_file ? "file" : "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
		g_str_has_prefix(options->url, "https:") ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->said);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "proa/" PROA_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)options->connect_timeout);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, options->low_speed_bytes);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options->low_speed_seconds);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	if (options->max_bytes > 0)
		curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_bytes);
	if (options->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);

	if (options->offset > 0 || options->length > 0) {
		g_autofree char *range =
			options->length > 0 ? g_strdup_printf("%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT,
						      options->offset, options->offset + options->length - 1)
					    : g_strdup_printf("%" G_GINT64_FORMAT "-", options->offset);
		curl_easy_setopt(curl, CURLOPT_RANGE, range);
	}
	if (options->if_none_match) {
		g_autofree char *header = g_strconcat("If-None-Match: ", options->if_none_match, NULL);
		*headers = curl_slist_append(*headers, header);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	}
}

static int transfer_url(const Options *options)
{
	Transfer transfer = { .options = options, .curl = curl_easy_init() };
	struct curl_slist *headers = NULL;

	if (!transfer.curl)
		return PROA_EXIT_FAILED;
	set_transfer_options(transfer.curl, &transfer, &headers);
	int status = report(&transfer, curl_easy_perform(transfer.curl));
	curl_slist_free_all(headers);
	curl_easy_cleanup(transfer.curl);
	g_free(transfer.etag);
	return status;
}

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
	if (options->offset < 0 || options->length < 0 || options->max_bytes < 0 ||
		options->connect_timeout < 1 || options->offset > G_MAXINT64 - options->length)
		return "a number is out of range";
	if (options->if_none_match &&
		(!printable(options->if_none_match) || strlen(options->if_none_match) > MAX_ETAG))
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
		{ "max-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_bytes, "Give up on more than that",
			"N" },
		{ "connect-timeout", 0, 0, G_OPTION_ARG_INT, &options->connect_timeout,
			"Seconds (default: 30)", "S" },
		{ "low-speed", 0, 0, G_OPTION_ARG_STRING, &options->low_speed,
			"Give up below BYTES a second for SECONDS (default: 1024:60)", "BYTES:SECONDS" },
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
		.low_speed_seconds = DEFAULT_LOW_SPEED_SECONDS };

	g_set_prgname("proa-fetch");
	signal(SIGPIPE, SIG_IGN);
	if (!parse_options(argc, argv, &options, &error))
		return usage_error(error->message);
	/* Before the sandbox, since OpenSSL reads its configuration then. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return usage_error("libcurl cannot start");
	if (!enter_sandbox(&options, &error)) {
		fprintf(stderr,
			"{\"status\":0,\"bytes\":0,\"etag\":null,\"reason\":\"internal\",\"message\":\"no sandbox\"}\n");
		return PROA_EXIT_FAILED;
	}
	return transfer_url(&options);
}

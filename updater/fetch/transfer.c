/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/transfer.h"

#include "base/file.h"
#include "updater/fetch/pace.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REDIRECTS 5
/*
 * What a server has sent and nobody has read is sent again after a kill, so the socket holds little; a kernel
 * gives at most net.core.rmem_max. 200 KiB a round trip are 16 Mbit/s at 100 ms, and 160 at 10. Bytes.
 */
#define SOCKET_BUFFER (512 * 1024)
/* Where a limit holds it comes before the limit: no more than this, or a quarter of a second of it. */
#define SOCKET_BUFFER_LEAST (16 * 1024)
/* The wait doubles with each try that brings nothing, up to this; nor may a server ask for more.
 * Milliseconds. */
#define MAX_DELAY 30000
/* All headers of a request, of redirects and of interim answers too. Bytes. */
#define MAX_HEADERS (256 * 1024)
/* What comes with a redirect is passed over. Bytes. */
#define MAX_REDIRECT_BODY (64 * 1024)

/* A transfer and how it stands. */
typedef struct {
	const ProaTransfer *wish;
	CURL *curl;
	guint64 bytes; /* written to standard output, of all ranges */
	guint64 done;  /* the same, of the range at hand */
	ProaPace pace;
	guint64 unpaced; /* bytes of headers since the last of a body */
	gboolean ranged; /* a part of the file was asked for ... */
	guint64 first;   /* ... from this byte on ... */
	guint64 most;    /* ... and of so many bytes; 0: to the end */
	guint64 headers; /* bytes of headers in this try */
	gint64 given;    /* where the part begins that the answer says it is; -1: it says none */
	char *etag;
	guint retries;       /* made in all */
	ProaReason refused;  /* why this try was given up here; PROA_REASON_MAX: it was not */
	const char *refusal; /* the same in words; NULL: too much came, or another status */
	char said[CURL_ERROR_SIZE];
} Transfer;

/* What a server has done is not what was asked for. FALSE, always. */
static gboolean refuse(Transfer *transfer, ProaReason reason, const char *words)
{
	transfer->refused = reason;
	transfer->refusal = words;
	return FALSE;
}

static int set_buffer(void *user_data, curl_socket_t fd, curlsocktype purpose)
{
	const ProaTransfer *wish = user_data;
	int size = wish->max_speed > 0 ? (int)CLAMP(wish->max_speed / 4, SOCKET_BUFFER_LEAST, SOCKET_BUFFER)
				       : SOCKET_BUFFER;

	/* A kernel that refuses costs bytes, not correctness. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	return CURL_SOCKOPT_OK;
}

static long status_of(const Transfer *transfer)
{
	long status = 0;

	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Whether the answer is to what was asked: another part than that would land at the wrong place. */
static gboolean is_answer(Transfer *transfer)
{
	long status = status_of(transfer);

	if (transfer->wish->is_file)
		return TRUE;
	if (status < 200 || status > 299)
		return refuse(transfer, PROA_REASON_FEED_ERROR, NULL);
	if (!transfer->ranged && status == 206)
		return refuse(transfer, PROA_REASON_FEED_ERROR,
			"the server sent a part of the file where all of it was asked for");
	if (transfer->ranged && status != 206)
		return refuse(transfer, PROA_REASON_FEED_ERROR, "the server does not serve parts of files");
	if (transfer->ranged && (transfer->given < 0 || (guint64)transfer->given != transfer->first))
		return refuse(transfer, PROA_REASON_FEED_ERROR,
			"the server sent another part of the file than was asked for");
	return TRUE;
}

static gsize take_body(char *data, gsize one, gsize size, void *user_data)
{
	Transfer *transfer = user_data;
	const ProaTransfer *wish = transfer->wish;

	if (!is_answer(transfer))
		return CURL_WRITEFUNC_ERROR;
	if (transfer->most > 0 && size > transfer->most - transfer->done) {
		refuse(transfer, PROA_REASON_FEED_ERROR,
			"the server sent more of the file than was asked for");
		return CURL_WRITEFUNC_ERROR;
	}
	if (wish->max_bytes > 0 && size > (guint64)wish->max_bytes - transfer->bytes) {
		refuse(transfer, PROA_REASON_TOO_LARGE, NULL);
		return CURL_WRITEFUNC_ERROR;
	}
	if (!proa_write_all(STDOUT_FILENO, data, size, NULL)) {
		refuse(transfer, PROA_REASON_CANCELLED, "nobody reads standard output");
		return CURL_WRITEFUNC_ERROR;
	}
	transfer->bytes += size;
	transfer->done += size;
	gint64 wait = proa_pace_took(&transfer->pace, size + transfer->unpaced, g_get_monotonic_time());
	transfer->unpaced = 0;
	if (wait > 0)
		g_usleep((gulong)wait);
	return size;
}

/* Where the part begins that the value of a Content-Range names; -1 if it names none. */
static gint64 part_begins(const char *value)
{
	char *end = NULL;

	while (g_ascii_isspace(*value))
		value++;
	if (g_ascii_strncasecmp(value, "bytes ", 6) != 0 || !g_ascii_isdigit(value[6]))
		return -1;
	guint64 first = g_ascii_strtoull(value + 6, &end, 10);
	return *end == '-' && first < G_MAXINT64 ? (gint64)first : -1;
}

static gsize take_header(char *data, gsize one, gsize size, void *user_data)
{
	Transfer *transfer = user_data;
	g_autofree char *line = g_strndup(data, size);

	transfer->unpaced += size;
	transfer->headers += size;
	if (transfer->headers > MAX_HEADERS) {
		refuse(transfer, PROA_REASON_FEED_ERROR, "the server's headers have no end");
		return CURL_WRITEFUNC_ERROR;
	}
	/* A redirect's header is not the answer's. */
	if (g_ascii_strncasecmp(line, "HTTP/", 5) == 0) {
		g_clear_pointer(&transfer->etag, g_free);
		transfer->given = -1;
	} else if (g_ascii_strncasecmp(line, "content-range:", 14) == 0)
		transfer->given = part_begins(line + 14);
	else if (g_ascii_strncasecmp(line, "etag:", 5) == 0 && size < PROA_TRANSFER_MAX_ETAG &&
		 g_utf8_validate(line, -1, NULL)) {
		g_free(transfer->etag);
		transfer->etag = g_strdup(g_strstrip(line + 5));
	}
	return size;
}

/* The body of a redirect reaches nobody, so nobody else sees that it does not end. */
static int look_at_progress(
	void *user_data, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
	Transfer *transfer = user_data;
	long status = status_of(transfer);

	if (status < 300 || status > 399 || now <= MAX_REDIRECT_BODY)
		return 0;
	refuse(transfer, PROA_REASON_FEED_ERROR, "what comes with a redirect has no end");
	return 1;
}

static ProaReason reason_of_status(long status)
{
	/* The part asked for lies behind the end of what the server has. */
	if (status == 416)
		return PROA_REASON_PAYLOAD_TRUNCATED;
	return status == 404 || status == 403 || status == 410 ? PROA_REASON_NOT_FOUND
							       : PROA_REASON_FEED_ERROR;
}

/* PROA_REASON_MAX when all went well. */
static ProaReason judge(const Transfer *transfer, CURLcode code, long status)
{
	if (transfer->refused != PROA_REASON_MAX)
		return transfer->refused;

	switch (code) {
	case CURLE_OK:
		return PROA_REASON_MAX;
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
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_TOO_LARGE:
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

static char *message_of(const Transfer *transfer, CURLcode code, long status)
{
	if (transfer->refused == PROA_REASON_TOO_LARGE)
		return g_strdup_printf("more than %" G_GINT64_FORMAT " bytes", transfer->wish->max_bytes);
	if (transfer->refusal)
		return g_strdup(transfer->refusal);
	if (code == CURLE_HTTP_RETURNED_ERROR || transfer->refused != PROA_REASON_MAX)
		return g_strdup_printf("the server answered %ld", status);
	return g_utf8_make_valid(transfer->said[0] ? transfer->said : curl_easy_strerror(code), -1);
}

/* The one line on standard error; returns the exit status. */
static int report(const Transfer *transfer, CURLcode code)
{
	long status = status_of(transfer);
	ProaReason reason = judge(transfer, code, status);
	/* A server that was there and is gone. */
	if (reason == PROA_REASON_FEED_UNREACHABLE && transfer->retries > 0 && transfer->bytes > 0)
		reason = PROA_REASON_TRANSFER_INTERRUPTED;
	gboolean ok = reason == PROA_REASON_MAX;
	g_autofree char *message = ok ? NULL : message_of(transfer, code, status);
	g_autofree char *etag = json_string(transfer->etag);
	g_autofree char *word = json_string(ok ? NULL : proa_reason_to_string(reason));
	g_autofree char *text = json_string(message);
	fprintf(stderr,
		"{\"status\":%ld,\"bytes\":%" G_GUINT64_FORMAT
		",\"etag\":%s,\"reason\":%s,\"message\":%s,\"retries\":%u}\n",
		status, transfer->bytes, etag, word, text, transfer->retries);
	return ok ? PROA_EXIT_OK : PROA_EXIT_FAILED;
}

/* A limit of ours must not look like a slow network. */
static long low_speed(const ProaTransfer *wish)
{
	return wish->max_speed > 0 ? (long)CLAMP(wish->max_speed / 2, 1, wish->low_speed_bytes)
				   : wish->low_speed_bytes;
}

static void set_transfer_options(CURL *curl, Transfer *transfer, struct curl_slist **headers)
{
	const ProaTransfer *wish = transfer->wish;

	curl_easy_setopt(curl, CURLOPT_URL, wish->url);
	/* A file is read only when the operator's URL says so, never because a server does. */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, wish->is_file ? "file" : "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
		g_str_has_prefix(wish->url, "https:") ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->said);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "proa/" PROA_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)wish->connect_timeout);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, low_speed(wish));
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, wish->low_speed_seconds);
	curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, set_buffer);
	curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, (void *)(gsize)wish);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
	if (wish->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, wish->ca_file);
	if (wish->if_none_match) {
		g_autofree char *header = g_strconcat("If-None-Match: ", wish->if_none_match, NULL);
		*headers = curl_slist_append(*headers, header);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	}
}

/* Asks for what is left of @range; TRUE if there is anything left to ask for. */
static gboolean ask(Transfer *transfer, const ProaByteRange *range)
{
	guint64 first = range->offset + transfer->done;
	g_autofree char *text = NULL;

	if (range->length > 0 && transfer->done >= range->length)
		return FALSE;
	transfer->ranged = first > 0 || range->length > 0;
	transfer->first = first;
	transfer->most = range->length;
	transfer->headers = 0;
	transfer->given = -1;
	transfer->refused = PROA_REASON_MAX;
	transfer->refusal = NULL;
	transfer->said[0] = '\0';
	if (range->length > 0)
		text = g_strdup_printf(
			"%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, first, range->offset + range->length - 1);
	else if (first > 0)
		text = g_strdup_printf("%" G_GUINT64_FORMAT "-", first);
	curl_easy_setopt(transfer->curl, CURLOPT_RANGE, text);
	/* Of a part, is_answer() tells first whether the server gives parts at all. */
	curl_easy_setopt(transfer->curl, CURLOPT_MAXFILESIZE_LARGE,
		transfer->ranged ? (curl_off_t)0 : (curl_off_t)transfer->wish->max_bytes);
	return TRUE;
}

/* Whether the same may go well another time. */
static gboolean worth_another_try(const Transfer *transfer, CURLcode code)
{
	long status = status_of(transfer);

	switch (judge(transfer, code, status)) {
	case PROA_REASON_TRANSFER_INTERRUPTED:
	case PROA_REASON_TRANSFER_SLOW:
	case PROA_REASON_FEED_UNREACHABLE:
		return TRUE;
	case PROA_REASON_FEED_ERROR:
		return code == CURLE_GOT_NOTHING || status == 408 || status == 429 || status >= 500;
	default:
		return FALSE;
	}
}

/* One request, to its end: no error only if all that was asked for came, or needs not. */
static CURLcode perform(Transfer *transfer)
{
	const ProaTransfer *wish = transfer->wish;
	CURLcode code = curl_easy_perform(transfer->curl);

	if (code != CURLE_OK || (status_of(transfer) == 304 && wish->if_none_match && !transfer->ranged))
		return code;
	/* An answer without a body has been looked at by nobody. */
	if (!is_answer(transfer))
		return CURLE_WRITE_ERROR;
	if (transfer->done >= transfer->most)
		return CURLE_OK;
	/* A server may answer with less than the part asked for; a file that has no more ends there. */
	if (wish->is_file)
		refuse(transfer, PROA_REASON_PAYLOAD_TRUNCATED, "the file ends before the part asked for");
	g_strlcpy(transfer->said, "the server sent less than it was asked for", sizeof transfer->said);
	return CURLE_PARTIAL_FILE;
}

/* How long until the next try: @delay, or what the server asks for if that is more. Milliseconds. */
static gulong wait_before(const Transfer *transfer, gulong delay)
{
	curl_off_t asked = 0; /* seconds */

	curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &asked);
	return MAX(delay, (gulong)CLAMP(asked, 0, MAX_DELAY / 1000) * 1000);
}

/*
 * One range, however often the connection breaks, as long as no more than @wish->retries tries together are
 * slower than a connection may be: one that ends after each byte is no better than one that drips them.
 */
static CURLcode fetch_range(Transfer *transfer, const ProaByteRange *range)
{
	const ProaTransfer *wish = transfer->wish;
	guint left = wish->retries;
	gulong delay = wish->retry_delay;
	gint64 since = g_get_monotonic_time();
	guint64 before = 0; /* bytes that had come @since */

	transfer->done = 0;
	while (ask(transfer, range)) {
		CURLcode code = perform(transfer);
		if (code == CURLE_OK || !worth_another_try(transfer, code))
			return code;
		gint64 now = g_get_monotonic_time();
		guint64 gained = transfer->done - before;
		if (gained > 0 &&
			(double)gained * G_USEC_PER_SEC >= (double)low_speed(wish) * (double)(now - since)) {
			left = wish->retries;
			delay = wish->retry_delay;
			before = transfer->done;
			since = now;
		}
		if (left == 0)
			return code;
		left--;
		transfer->retries++;
		g_usleep(wait_before(transfer, delay) * 1000);
		delay = MIN(delay * 2, MAX_DELAY);
	}
	return CURLE_OK;
}

int proa_transfer_run(const ProaTransfer *wish)
{
	Transfer transfer = { .wish = wish, .curl = curl_easy_init(), .refused = PROA_REASON_MAX };
	struct curl_slist *headers = NULL;
	CURLcode code = CURLE_OK;

	if (!transfer.curl)
		return PROA_EXIT_FAILED;
	transfer.pace = proa_pace_begin(wish->max_speed, g_get_monotonic_time());
	set_transfer_options(transfer.curl, &transfer, &headers);
	for (guint i = 0; i < wish->n_ranges && code == CURLE_OK; i++)
		code = fetch_range(&transfer, &wish->ranges[i]);
	int status = report(&transfer, code);
	curl_slist_free_all(headers);
	curl_easy_cleanup(transfer.curl);
	g_free(transfer.etag);
	return status;
}

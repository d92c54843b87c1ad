/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/source.h"

#include "base/file.h"

#include <curl/curl.h>
#include <string.h>

#define CONNECT_TIMEOUT 30L
#define LOW_SPEED_BYTES 1024L
#define LOW_SPEED_SECONDS 30L
#define MAX_REDIRECTS 5L
#define MAX_ETAG 256
#define HTTP_OK 200
#define HTTP_NOT_MODIFIED 304
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

struct ProaSource {
	char *place; /* without a '/' at its end */
	CURL *curl;  /* NULL: a directory */
	ProaSourceStatistics statistics;
};

/* Where the bytes of one transfer go. */
typedef struct {
	guint64 max, size;
	GByteArray *bytes;   /* NULL: not kept */
	GChecksum *checksum; /* NULL: not wanted */
	int fd;              /* -1: not written */
	char *etag;
	GError *error; /* why it was stopped from this side */
} Sink;

static gboolean sink_take(Sink *sink, const void *data, gsize size, const char *what)
{
	if (size > sink->max - sink->size)
		return proa_fail(&sink->error, PROA_REASON_TOO_LARGE, "%s: over %" G_GUINT64_FORMAT " bytes",
			what, sink->max);
	sink->size += size;
	if (sink->bytes)
		g_byte_array_append(sink->bytes, data, (guint)size);
	if (sink->checksum)
		g_checksum_update(sink->checksum, data, (gssize)size);
	return sink->fd < 0 || proa_write_all(sink->fd, data, size, &sink->error);
}

ProaSource *proa_source_open(const char *place)
{
	ProaSource *source = g_new0(ProaSource, 1);

	source->place = g_str_has_prefix(place, "file:///") ? g_filename_from_uri(place, NULL, NULL) : NULL;
	if (!source->place)
		source->place = g_strdup(place);
	while (strlen(source->place) > 1 && g_str_has_suffix(source->place, "/"))
		source->place[strlen(source->place) - 1] = '\0';
	if (g_str_has_prefix(place, "http://") || g_str_has_prefix(place, "https://"))
		source->curl = curl_easy_init();
	return source;
}

void proa_source_free(ProaSource *source)
{
	if (!source)
		return;
	if (source->curl)
		curl_easy_cleanup(source->curl);
	g_free(source->place);
	g_free(source);
}

const char *proa_source_place(const ProaSource *source)
{
	return source->place;
}

ProaSource *proa_source_folder(const ProaSource *source, const char *name)
{
	g_autofree char *place = g_strconcat(source->place, "/", name, NULL);

	return proa_source_open(place);
}

char *proa_source_quote(const char *path)
{
	return g_uri_escape_string(path, "/!$&'()*+,;=:@", FALSE);
}

const ProaSourceStatistics *proa_source_statistics(const ProaSource *source)
{
	return &source->statistics;
}

/* --- HTTP */

static size_t take_body(char *data, size_t one, size_t count, void *user_data)
{
	return sink_take(user_data, data, count, "the answer") ? count : CURL_WRITEFUNC_ERROR;
}

static size_t take_header(char *data, size_t one, size_t count, void *user_data)
{
	Sink *sink = user_data;
	g_autofree char *line = g_strndup(data, count);

	/* A redirect's header is not the answer's. */
	if (g_str_has_prefix(line, "HTTP/"))
		g_clear_pointer(&sink->etag, g_free);
	else if (g_ascii_strncasecmp(line, "etag:", 5) == 0 && count < MAX_ETAG)
		g_set_str(&sink->etag, g_strstrip(line + 5));
	return count;
}

/* The status, if the server's answer is one that can be used; 0 with an error if not. */
static long judge(ProaSource *source, CURLcode code, Sink *sink, const char *url, GError **error)
{
	long status = 0;

	curl_easy_getinfo(source->curl, CURLINFO_RESPONSE_CODE, &status);
	if (sink->error) {
		g_propagate_prefixed_error(error, g_steal_pointer(&sink->error), "%s: ", url);
		return 0;
	}
	gboolean answered = code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR;
	if (answered && (status == HTTP_OK || status == HTTP_NOT_MODIFIED))
		return status;
	if (answered)
		proa_fail(error,
			status == HTTP_NOT_FOUND || status == HTTP_FORBIDDEN ? PROA_REASON_NOT_FOUND
									     : PROA_REASON_FEED_ERROR,
			"%s: the server answered %ld", url, status);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		proa_fail(error, PROA_REASON_TRANSFER_SLOW, "%s: %s", url, curl_easy_strerror(code));
	else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
		proa_fail(error, PROA_REASON_TRANSFER_INTERRUPTED, "%s: %s", url, curl_easy_strerror(code));
	else
		proa_fail(error, PROA_REASON_FEED_UNREACHABLE, "%s: %s", url, curl_easy_strerror(code));
	return 0;
}

static void count(ProaSource *source)
{
	curl_off_t body = 0;
	long header = 0;

	curl_easy_getinfo(source->curl, CURLINFO_SIZE_DOWNLOAD_T, &body);
	curl_easy_getinfo(source->curl, CURLINFO_HEADER_SIZE, &header);
	source->statistics.requests++;
	source->statistics.bytes += (guint64)body + (guint64)header;
}

static long get_url(ProaSource *source, const char *path, const char *etag, Sink *sink, GError **error)
{
	g_autofree char *url = g_strconcat(source->place, "/", path, NULL);
	g_autofree char *header = g_strconcat("If-None-Match: ", etag, NULL);
	struct curl_slist *headers = etag ? curl_slist_append(NULL, header) : NULL;
	CURL *curl = source->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L); /* the text of an error is no body */
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "proa-feed/" PROA_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, sink);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	CURLcode code = curl_easy_perform(curl);
	count(source);
	long status = judge(source, code, sink, url, error);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return status;
}

/* --- a directory */

static long get_file(ProaSource *source, const char *path, Sink *sink, GError **error)
{
	g_autofree char *plain = g_uri_unescape_string(path, NULL);
	g_auto(GStrv) parts = plain ? g_strsplit(plain, "/", -1) : NULL;

	source->statistics.requests++;
	if (!parts || g_strv_contains((const char *const *)parts, "..")) {
		proa_fail(error, PROA_REASON_NOT_FOUND, "%s does not stay inside of the feed", path);
		return 0;
	}
	g_autofree char *file = g_build_filename(source->place, plain, NULL);
	if (sink->bytes) {
		gsize size;
		g_autofree char *text = proa_file_read(file, (gsize)sink->max, &size, error);
		if (!text)
			return 0;
		source->statistics.bytes += size;
		g_byte_array_append(sink->bytes, (const guint8 *)text, (guint)size);
		return HTTP_OK;
	}
	if (!proa_content_pump_file(file, sink->max, sink->fd, sink->checksum, &sink->size, error))
		return 0;
	source->statistics.bytes += sink->size;
	return HTTP_OK;
}

static long get(ProaSource *source, const char *path, const char *etag, Sink *sink, GError **error)
{
	return source->curl ? get_url(source, path, etag, sink, error) : get_file(source, path, sink, error);
}

GBytes *proa_source_read(ProaSource *source, const char *path, gsize max, GError **error)
{
	Sink sink = { .max = max, .fd = -1, .bytes = g_byte_array_new() };
	long status = get(source, path, NULL, &sink, error);
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(sink.bytes);

	g_free(sink.etag);
	return status ? g_steal_pointer(&bytes) : NULL;
}

gboolean proa_source_pump(
	ProaSource *source, const char *path, guint64 max, int fd, ProaContent *ret_content, GError **error)
{
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
	Sink sink = { .max = max, .fd = fd, .checksum = checksum };
	long status = get(source, path, NULL, &sink, error);

	g_free(sink.etag);
	if (!status)
		return FALSE;
	ret_content->size = (gint64)sink.size;
	ret_content->sha256 = g_strdup(g_checksum_get_string(checksum));
	return TRUE;
}

gboolean proa_source_fetch(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	Sink sink = { .max = max_size, .fd = -1, .bytes = g_byte_array_new() };
	long status = get(data, path, etag ? *etag : NULL, &sink, error);
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(sink.bytes);
	g_autofree char *now = sink.etag;

	if (!status)
		return FALSE;
	if (status == HTTP_NOT_MODIFIED)
		return TRUE;
	if (etag) {
		g_free(*etag);
		*etag = g_steal_pointer(&now);
	}
	*ret_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

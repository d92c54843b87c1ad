/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/grpc.h"

#include "boot/health/protobuf.h"

#include <curl/curl.h>
#include <string.h>

#define FRAME_HEADER 5
#define MAX_MESSAGE 300

typedef struct {
	GByteArray *body;
	int status; /* -1: no trailer yet */
	char *message;
} Transfer;

void proa_grpc_answer_clear(ProaGrpcAnswer *answer)
{
	g_clear_pointer(&answer->message, g_free);
	g_clear_pointer(&answer->body, g_free);
	answer->size = 0;
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
	Transfer *transfer = user;

	if (size > PROA_PROTOBUF_MAX_SIZE - transfer->body->len)
		return 0; /* ends the transfer with an error */
	g_byte_array_append(transfer->body, (const guint8 *)data, (guint)size);
	return size * one;
}

/* The value of the header @name if @line is that header; free with g_free(). */
static char *header_value(const char *line, size_t size, const char *name)
{
	size_t length = strlen(name);

	if (size <= length || g_ascii_strncasecmp(line, name, length) != 0 || line[length] != ':')
		return NULL;
	g_autofree char *raw = g_strndup(line + length + 1, MIN(size - length - 1, MAX_MESSAGE));
	return g_strstrip(g_utf8_make_valid(raw, -1));
}

/* libcurl hands trailers over as it does headers. */
static size_t on_header(char *data, size_t one, size_t size, void *user)
{
	Transfer *transfer = user;
	g_autofree char *status = header_value(data, size, "grpc-status");
	char *message = header_value(data, size, "grpc-message");
	guint64 number;

	if (status && g_ascii_string_to_unsigned(status, 10, 0, 1000, &number, NULL))
		transfer->status = (int)number;
	if (message) {
		g_free(transfer->message);
		transfer->message = message;
	}
	return size * one;
}

static CURLcode perform(CURL *curl, const char *path, const char *method, GByteArray *request,
	struct curl_slist *headers, guint seconds, Transfer *transfer)
{
	g_autofree char *url = g_strconcat("http://localhost", method, NULL);

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (char *)request->data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->len);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "proa-bootd/" PROA_VERSION);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)seconds);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	return curl_easy_perform(curl);
}

static GByteArray *frame(const void *request, gsize size)
{
	guint8 header[FRAME_HEADER] = { 0, (guint8)(size >> 24), (guint8)(size >> 16), (guint8)(size >> 8),
		(guint8)size };
	GByteArray *framed = g_byte_array_new();

	g_byte_array_append(framed, header, sizeof header);
	g_byte_array_append(framed, request, (guint)size);
	return framed;
}

gboolean proa_grpc_call(const char *path, const char *method, const void *request, gsize size, guint seconds,
	ProaGrpcAnswer *ret_answer, GError **error)
{
	g_autoptr(GByteArray) framed = frame(request, size);
	Transfer transfer = { .body = g_byte_array_new(), .status = -1 };
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/grpc");
	CURL *curl = curl_easy_init();

	headers = curl_slist_append(headers, "TE: trailers");
	CURLcode code = curl && headers ? perform(curl, path, method, framed, headers, seconds, &transfer)
					: CURLE_OUT_OF_MEMORY;
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);

	gboolean ok = code == CURLE_OK && transfer.status >= 0;
	if (!ok) {
		proa_fail(error, PROA_REASON_CONTAINERD_DOWN, "%s: %s", path,
			code == CURLE_OK ? "the answer is not one of gRPC" : curl_easy_strerror(code));
		g_byte_array_free(transfer.body, TRUE);
		g_free(transfer.message);
		return FALSE;
	}
	*ret_answer = (ProaGrpcAnswer){ .status = transfer.status, .message = transfer.message };
	ret_answer->size = transfer.body->len;
	ret_answer->body = g_byte_array_free(transfer.body, FALSE);
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/http.h"

#include <curl/curl.h>
#include <string.h>

typedef struct {
	GString *body;
	gboolean too_large;
} Transfer;

void proa_http_answer_clear(ProaHttpAnswer *answer)
{
	g_clear_pointer(&answer->body, g_free);
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
	Transfer *transfer = user;

	if (size * one > PROA_HTTP_MAX_SIZE - transfer->body->len) {
		transfer->too_large = TRUE;
		return 0; /* ends the transfer with an error */
	}
	g_string_append_len(transfer->body, data, (gssize)(size * one));
	return size * one;
}

static struct curl_slist *headers_of(const ProaHttpRequest *request)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json, */*");

	if (!request->token || !*request->token)
		return headers;
	g_autofree char *line = g_strconcat("Authorization: Bearer ", request->token, NULL);
	return curl_slist_append(headers, line);
}

/* What is given as text, or else as a file. */
static void set_pem(CURL *curl, CURLoption blob, const char *pem, CURLoption file, const char *path)
{
	struct curl_blob bytes = { .flags = CURL_BLOB_COPY };

	if (pem) {
		bytes.data = (void *)(gsize)pem;
		bytes.len = strlen(pem);
		curl_easy_setopt(curl, blob, &bytes);
	} else if (path && *path) {
		curl_easy_setopt(curl, file, path);
	}
}

static void set_tls(CURL *curl, const ProaHttpRequest *request)
{
	gboolean own_key = request->key && *request->key;

	set_pem(curl, CURLOPT_CAINFO_BLOB, request->ca_pem, CURLOPT_CAINFO, request->ca);
	set_pem(curl, CURLOPT_SSLCERT_BLOB, request->certificate_pem, CURLOPT_SSLCERT, request->certificate);
	set_pem(curl, CURLOPT_SSLKEY_BLOB, request->key_pem, CURLOPT_SSLKEY,
		own_key ? request->key : request->certificate);
}

/* Whether it is this node's files, and not the network or who answers, that a request failed for. */
static gboolean is_local(CURLcode code)
{
	return code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

gboolean proa_http_get(const ProaHttpRequest *request, ProaHttpAnswer *ret_answer, GError **error)
{
	Transfer transfer = { .body = g_string_new(NULL) };
	struct curl_slist *headers = headers_of(request);
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	if (curl && headers) {
		curl_easy_setopt(curl, CURLOPT_URL, request->url);
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_USERAGENT, "proa-bootd/" PROA_VERSION);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)request->seconds);
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
		set_tls(curl, request);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		g_string_free(transfer.body, TRUE);
		return proa_fail(error,
			transfer.too_large ? PROA_REASON_TOO_LARGE
			: is_local(code)   ? PROA_REASON_IO
					   : PROA_REASON_FEED_UNREACHABLE,
			"%s: %s", request->url, curl_easy_strerror(code));
	}
	*ret_answer = (ProaHttpAnswer){ .status = status, .size = transfer.body->len };
	ret_answer->body = g_string_free(transfer.body, FALSE);
	return TRUE;
}

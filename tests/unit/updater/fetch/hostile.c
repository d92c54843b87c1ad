/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that answer with what nobody asked for, or without end; and a helper gone wrong. */
#include "tests/unit/scratch.h"
#include "updater/fetch/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDLESS G_MAXUINT

/* What every request gets; the connection ends behind it. */
typedef struct {
	const char *head; /* status and headers */
	const char *body; /* may be NULL */
	guint times;      /* how often the body comes; ENDLESS: until the client leaves */
	gulong pause;     /* before each of them, microseconds */
} Answer;

static struct {
	int listen_fd;
	char *url;
	GThread *thread;
	GMutex lock;
	const Answer *answers; /* one for each request, the last one for all that follow */
	guint n;
	guint requests;
	guint64 sent;
	char *last; /* the last request */
} server;

static const ProaFetch *patient, *hasty;

static gboolean send_text(int fd, const char *text, gsize size)
{
	for (gsize at = 0; at < size;) {
		gssize n = send(fd, text + at, size - at, MSG_NOSIGNAL);
		if (n <= 0)
			return FALSE;
		at += (gsize)n;
	}
	server.sent += size;
	return TRUE;
}

static const Answer *next_answer(const char *request)
{
	g_mutex_lock(&server.lock);
	const Answer *answer = &server.answers[MIN(server.requests, server.n - 1)];
	server.requests++;
	g_free(server.last);
	server.last = g_strdup(request);
	g_mutex_unlock(&server.lock);
	return answer;
}

static void serve_one(int fd)
{
	char request[4096] = "";
	gsize have = 0;

	while (!strstr(request, "\r\n\r\n") && have < sizeof request - 1) {
		gssize n = recv(fd, request + have, sizeof request - 1 - have, 0);
		if (n <= 0)
			return;
		have += (gsize)n;
	}
	const Answer *answer = next_answer(request);
	if (!send_text(fd, answer->head, strlen(answer->head)))
		return;
	for (guint i = 0; answer->body && (answer->times == ENDLESS || i < answer->times); i++) {
		g_usleep(answer->pause);
		if (!send_text(fd, answer->body, strlen(answer->body)))
			return;
	}
}

static gpointer serve(gpointer data)
{
	int fd;

	while ((fd = accept4(server.listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		serve_one(fd);
		close(fd);
	}
	return NULL;
}

static void start_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
	g_assert_cmpint(listen(fd, 16), ==, 0);
	server.listen_fd = fd;
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
	server.url = g_strdup_printf("http://127.0.0.1:%u/file", ntohs(address.sin_port));
	server.thread = g_thread_new("server", serve, NULL);
}

static void stop_server(void)
{
	shutdown(server.listen_fd, SHUT_RDWR);
	g_thread_join(server.thread);
	close(server.listen_fd);
	g_free(server.url);
	g_free(server.last);
}

static void answer_with(const Answer *answers, guint n)
{
	g_mutex_lock(&server.lock);
	server.answers = answers;
	server.n = n;
	server.requests = 0;
	server.sent = 0;
	g_mutex_unlock(&server.lock);
}

static GBytes *read_all(ProaStream *stream, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	guint8 chunk[10000];
	gssize n;

	while ((n = proa_stream_read(stream, chunk, sizeof chunk, error)) > 0)
		g_byte_array_append(bytes, chunk, (guint)n);
	return n < 0 ? NULL : g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

/* Bytes 100 to 109 and 200 to 204. */
static GBytes *get_parts(const ProaFetch *fetch, GError **error)
{
	static const ProaByteRange parts[] = { { 100, 10 }, { 200, 5 } };
	g_autoptr(ProaStream) stream = proa_fetch_open_ranges(fetch, server.url, parts, 2, error);

	g_assert_nonnull(stream);
	return read_all(stream, error);
}

static void expect(GBytes *bytes, const GError *error, const char *text)
{
	g_assert_no_error(error);
	g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, strlen(text));
}

static void parts_refused(const Answer *answer, ProaReason reason, const char *word)
{
	g_autoptr(GError) error = NULL;

	answer_with(answer, 1);
	g_assert_null(get_parts(patient, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	if (!strstr(error->message, word))
		g_error("no \"%s\" in: %s", word, error->message);
}

static void whole_refused(const Answer *answer, ProaReason reason, const char *word)
{
	g_autoptr(GError) error = NULL;

	answer_with(answer, 1);
	g_assert_null(proa_fetch_bytes(patient, server.url, 1000, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	if (!strstr(error->message, word))
		g_error("no \"%s\" in: %s", word, error->message);
}

static void another_part(void)
{
	static const Answer wrong = { "HTTP/1.1 206 X\r\nContent-Range: bytes 90-99/1000\r\nContent-Length: "
				      "10\r\n\r\n0123456789",
		NULL, 0, 0 },
			    none = { "HTTP/1.1 206 X\r\nContent-Length: 10\r\n\r\n0123456789", NULL, 0, 0 },
			    odd = { "HTTP/1.1 206 X\r\nContent-Range: bytes -100-109/1\r\nContent-Length: "
				    "10\r\n\r\n0123456789",
				    NULL, 0, 0 },
			    multipart = {
				    "HTTP/1.1 206 X\r\nContent-Type: multipart/byteranges; boundary=b\r\n\r\n"
				    "--b\r\nContent-Range: bytes 100-109/1000\r\n\r\n0123456789\r\n--b--\r\n",
				    NULL, 0, 0
			    };

	parts_refused(&wrong, PROA_REASON_FEED_ERROR, "another part");
	parts_refused(&none, PROA_REASON_FEED_ERROR, "another part");
	parts_refused(&odd, PROA_REASON_FEED_ERROR, "another part");
	parts_refused(&multipart, PROA_REASON_FEED_ERROR, "another part");
	g_assert_cmpuint(server.requests, ==, 1);
}

static void no_part(void)
{
	static const Answer whole = { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", NULL, 0, 0 },
			    nothing = { "HTTP/1.1 204 X\r\n\r\n", NULL, 0, 0 },
			    same = { "HTTP/1.1 304 X\r\n\r\n", NULL, 0, 0 };

	parts_refused(&whole, PROA_REASON_FEED_ERROR, "does not serve parts");
	parts_refused(&nothing, PROA_REASON_FEED_ERROR, "does not serve parts");
	parts_refused(&same, PROA_REASON_FEED_ERROR, "304");
}

/* What is too much must not be taken for what comes after it. */
static void more_than_the_part(void)
{
	static const Answer
		more = { "HTTP/1.1 206 X\r\nContent-Range: bytes 100-1099/2000\r\nContent-Length: "
			 "1000\r\n\r\n",
			"01234567890123456789", 50, 0 },
		endless = { "HTTP/1.1 206 X\r\nContent-Range: bytes 100-/*\r\n\r\n", "0123456789", ENDLESS,
			0 };

	parts_refused(&more, PROA_REASON_FEED_ERROR, "more of the file");
	parts_refused(&endless, PROA_REASON_FEED_ERROR, "more of the file");
}

/* A server may give less than it is asked for: the rest is asked for then, for as long as something comes. */
static void less_than_the_part(void)
{
	static const Answer answers[] = {
		{ "HTTP/1.1 206 X\r\nContent-Range: bytes 100-103/1000\r\nContent-Length: 4\r\n\r\n0123",
			NULL, 0, 0 },
		{ "HTTP/1.1 206 X\r\nContent-Range: bytes 104-109/1000\r\nContent-Length: 6\r\n\r\n456789",
			NULL, 0, 0 },
		{ "HTTP/1.1 206 X\r\nContent-Range: bytes 200-204/1000\r\nContent-Length: 5\r\n\r\nabcde",
			NULL, 0, 0 },
	};
	static const Answer nothing = { "HTTP/1.1 206 X\r\nContent-Range: bytes 100-109/1000\r\n"
					"Content-Length: 0\r\n\r\n",
		NULL, 0, 0 };
	g_autoptr(GError) error = NULL;

	answer_with(answers, G_N_ELEMENTS(answers));
	g_autoptr(GBytes) bytes = get_parts(patient, &error);
	expect(bytes, error, "0123456789abcde");
	parts_refused(&nothing, PROA_REASON_TRANSFER_INTERRUPTED, "less than it was asked for");
	g_assert_cmpuint(server.requests, ==, patient->retries + 1);
}

static void part_for_the_whole(void)
{
	static const Answer part = { "HTTP/1.1 206 X\r\nContent-Range: bytes 0-4/1000\r\nContent-Length: "
				     "5\r\n\r\n01234",
		NULL, 0, 0 },
			    strange = { "HTTP/1.1 300 X\r\nContent-Length: 5\r\n\r\n01234", NULL, 0, 0 };

	whole_refused(&part, PROA_REASON_FEED_ERROR, "a part of the file");
	whole_refused(&strange, PROA_REASON_FEED_ERROR, "300");
}

/* After a break the rest is asked for; what a server says of another place by then is not taken. */
static void changes_after_a_break(void)
{
	static const Answer answers[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", NULL, 0, 0 },
		{ "HTTP/1.1 206 X\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n0123456789",
			NULL, 0, 0 },
	};
	g_autoptr(GError) error = NULL;

	answer_with(answers, G_N_ELEMENTS(answers));
	g_assert_null(proa_fetch_bytes(patient, server.url, 1000, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
	g_assert_cmpuint(server.requests, ==, 2);
	g_assert_nonnull(strstr(server.last, "Range: bytes=5-"));
}

static void lying_lengths(void)
{
	static const Answer huge = { "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", "x",
		10, 0 },
			    over = { "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
				    "x", 10, 0 },
			    negative = { "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "x", 10, 0 },
			    chunk = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff"
				      "\r\n",
				    "x", 10, 0 },
			    endless = { "HTTP/1.1 200 OK\r\n\r\n", "0123456789", ENDLESS, 0 },
			    packed = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "x", 10, 0 },
			    old = { "0123456789", NULL, 0, 0 };

	whole_refused(&huge, PROA_REASON_TOO_LARGE, "size exceeded");
	whole_refused(&over, PROA_REASON_TOO_LARGE, "");
	whole_refused(&negative, PROA_REASON_FEED_ERROR, "Content-Length");
	whole_refused(&chunk, PROA_REASON_TRANSFER_INTERRUPTED, "");
	whole_refused(&endless, PROA_REASON_TOO_LARGE, "1000");
	whole_refused(&packed, PROA_REASON_FEED_ERROR, "");
	whole_refused(&old, PROA_REASON_FEED_ERROR, "");
}

static void no_end(void)
{
	static const Answer
		interim = { "", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", ENDLESS, 0 },
		header = { "HTTP/1.1 200 OK\r\nX: ", "0123456789012345", ENDLESS, 0 },
		headers = { "HTTP/1.1 200 OK\r\n", "X: 0123456789\r\n", ENDLESS, 0 },
		trailer = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
			"X: 0123456789\r\n", ENDLESS, 0 },
		redirect = { "HTTP/1.1 302 X\r\nLocation: /file\r\n\r\n", "0123456789", ENDLESS, 0 },
		chunked = { "HTTP/1.1 302 X\r\nLocation: /file\r\nTransfer-Encoding: "
			    "chunked\r\n\r\n",
			"a\r\n0123456789\r\n", ENDLESS, 0 };
	const Answer *all[] = { &interim, &header, &headers, &trailer, &redirect, &chunked };

	for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
		g_autoptr(GError) error = NULL;
		answer_with(all[i], 1);
		g_assert_null(proa_fetch_bytes(hasty, server.url, 1000, &error));
		g_test_message("%s", error->message);
		g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
		/* What a socket holds comes on top. */
		g_assert_cmpuint(server.sent, <, 64 * 1024 * 1024);
	}
}

/* One byte a connection, quicker than a connection that drips may be slow: it has to end all the same. */
static void drips_in_connections(void)
{
	static const Answer first = { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0", NULL, 0, 0 };
	static const Answer others = { "HTTP/1.1 206 X\r\nContent-Range: bytes ", NULL, 0, 0 };
	enum { MOST = 40 };
	Answer answers[MOST];
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;

	answers[0] = first;
	for (guint i = 1; i < MOST; i++) {
		g_ptr_array_add(texts, g_strdup_printf("%s%u-999/1000\r\nContent-Length: %u\r\n\r\n",
					       others.head, i, 1000 - i));
		answers[i] = (Answer){ texts->pdata[i - 1], "0", 1, 20000 };
	}
	answer_with(answers, MOST);
	g_assert_null(proa_fetch_bytes(patient, server.url, 1000, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TRANSFER_INTERRUPTED);
	g_assert_cmpuint(server.requests, <, 10);
}

static void waits_as_asked(void)
{
	static const Answer answers[] = {
		{ "HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", NULL, 0, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n01234", NULL, 0, 0 },
	};
	static const Answer storm = { "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", NULL, 0, 0 };
	g_autoptr(GError) error = NULL;
	gint64 began = g_get_monotonic_time();

	answer_with(answers, G_N_ELEMENTS(answers));
	g_autoptr(GBytes) bytes = proa_fetch_bytes(patient, server.url, 1000, &error);
	expect(bytes, error, "01234");
	g_assert_cmpint(g_get_monotonic_time() - began, >=, G_USEC_PER_SEC);
	whole_refused(&storm, PROA_REASON_FEED_ERROR, "503");
	g_assert_cmpuint(server.requests, ==, patient->retries + 1);
}

/* One that could not be sent back would stop every later check. */
static void odd_entity_tags(void)
{
	static const char *const tags[] = { "\"a b\"", "\"\xc3\xa9\"", "\"\x1b[31m\"", "", "-", "\"\t\"" };

	for (guint i = 0; i < G_N_ELEMENTS(tags); i++) {
		g_autofree char *head = g_strdup_printf(
			"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: 5\r\n\r\n01234", tags[i]);
		const Answer answer = { head, NULL, 0, 0 };
		g_autofree char *etag = NULL;
		answer_with(&answer, 1);
		for (guint n = 0; n < 2; n++) {
			g_autoptr(GBytes) bytes = NULL;
			g_autoptr(GError) error = NULL;
			g_assert_true(proa_fetch_if_changed(patient, server.url, 100, &etag, &bytes, &error));
			expect(bytes, error, "01234");
		}
	}
	/* One that was kept before. */
	static const Answer plain = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n01234", NULL, 0, 0 };
	answer_with(&plain, 1);
	g_autofree char *kept = g_strdup("\"a b\"");
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) error = NULL;
	g_assert_true(proa_fetch_if_changed(patient, server.url, 100, &kept, &bytes, &error));
	expect(bytes, error, "01234");
}

/* Runs @script in place of the helper. */
static GBytes *through(const char *script, gint64 *ret_took, GError **error)
{
	Scratch scratch = scratch_new();
	g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", script);
	g_autofree char *path = scratch_write(&scratch, "helper", text, -1);
	const ProaFetch fetch = { .helper = path };
	gint64 began = g_get_monotonic_time();

	g_assert_cmpint(chmod(path, 0755), ==, 0);
	GBytes *bytes = proa_fetch_bytes(&fetch, "http://127.0.0.1/", 10, error);
	if (ret_took)
		*ret_took = g_get_monotonic_time() - began;
	scratch_clear(&scratch);
	return bytes;
}

static void helper_gone_wrong(void)
{
	g_autoptr(GError) error = NULL, stays = NULL, deaf = NULL;
	gint64 took = 0;

	g_assert_null(through(
		"printf '{\"status\":0,\"reason\":\"feed-error\",\"message\":\"a\\\\u001b[2J\\\\u009bb\"}' "
		">&2; exit 1",
		NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_FEED_ERROR);
	g_assert_nonnull(strstr(error->message, "a [2J b"));
	/* Closes its output, and does not end. */
	g_assert_null(through("exec >&-; exec sleep 1000", &took, &stays));
	g_assert_error(stays, PROA_ERROR, PROA_REASON_TRANSFER_INTERRUPTED);
	g_assert_cmpint(took, <, 60 * G_USEC_PER_SEC);
	/* Says too much, and does not hear that it is to end. */
	g_assert_null(
		through("trap '' TERM; echo 0123456789012345; while :; do sleep 1; done", &took, &deaf));
	g_assert_error(deaf, PROA_ERROR, PROA_REASON_TOO_LARGE);
	g_assert_cmpint(took, <, 60 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	const ProaFetch tries = { .helper = g_getenv("PROA_FETCH"), .retries = 3, .retry_delay = 1 },
			once = { .helper = g_getenv("PROA_FETCH") };
	patient = &tries;
	hasty = &once;
	start_server();
	g_test_add_func("/fetch/hostile/another-part", another_part);
	g_test_add_func("/fetch/hostile/no-part", no_part);
	g_test_add_func("/fetch/hostile/more-than-the-part", more_than_the_part);
	g_test_add_func("/fetch/hostile/less-than-the-part", less_than_the_part);
	g_test_add_func("/fetch/hostile/part-for-the-whole", part_for_the_whole);
	g_test_add_func("/fetch/hostile/changes-after-a-break", changes_after_a_break);
	g_test_add_func("/fetch/hostile/lying-lengths", lying_lengths);
	g_test_add_func("/fetch/hostile/no-end", no_end);
	g_test_add_func("/fetch/hostile/drips-in-connections", drips_in_connections);
	g_test_add_func("/fetch/hostile/waits-as-asked", waits_as_asked);
	g_test_add_func("/fetch/hostile/odd-entity-tags", odd_entity_tags);
	g_test_add_func("/fetch/hostile/helper-gone-wrong", helper_gone_wrong);
	int status = g_test_run();
	stop_server();
	return status;
}

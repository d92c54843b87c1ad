/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/http.h"

#include "tests/unit/boot/health/server.h"
#include "tests/unit/scratch.h"

static void gives_status_and_body(void)
{
	g_auto(Server) server = server_new(418, "path @PATH token @TOKEN");
	g_autofree char *url = g_strconcat(server.url, "/a/b", NULL);
	ProaHttpRequest request = { .url = url, .token = "secret", .seconds = 60 };
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_http_get(&request, &answer, &error));
	g_assert_no_error(error);
	g_assert_cmpint((int)answer.status, ==, 418);
	g_assert_cmpstr(answer.body, ==, "path /a/b token Bearer secret");
	g_assert_cmpuint(answer.size, ==, strlen(answer.body));
}

static void expect_failure(const ProaHttpRequest *request, ProaReason reason)
{
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_false(proa_http_get(request, &answer, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void nobody_there_or_no_answer(void)
{
	g_auto(Server) server = server_new(0, "");

	expect_failure(&(ProaHttpRequest){ .url = server.url, .seconds = 1 }, PROA_REASON_FEED_UNREACHABLE);
	g_subprocess_force_exit(server.process);
	g_subprocess_wait(server.process, NULL, NULL);
	expect_failure(&(ProaHttpRequest){ .url = server.url, .seconds = 5 }, PROA_REASON_FEED_UNREACHABLE);
}

static void what_is_wrong_here_is_said_to_be_here(void)
{
	g_auto(Server) server = server_new(200, "x");
	g_autofree char *https = g_strconcat("https", server.url + strlen("http"), NULL);

	expect_failure(&(ProaHttpRequest){ .url = "file:///etc/passwd", .seconds = 5 }, PROA_REASON_IO);
	expect_failure(&(ProaHttpRequest){ .url = https, .certificate = "/nonexistent.pem", .seconds = 5 },
		PROA_REASON_IO);
}

static void an_endless_answer_is_refused(void)
{
	g_autofree char *much = g_strnfill(64 * 1024, 'x');
	g_auto(Server) small = server_new(200, much);
	ProaHttpRequest request = { .url = small.url, .seconds = 60 };
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) error = NULL;
	/* 20 times over the limit, from a server that would go on. */
	static const char script[] = "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
				     "print(s.getsockname()[1], flush=True)\n"
				     "c = s.accept()[0]\nc.recv(4096)\n"
				     "c.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
				     "try:\n    while True: c.sendall(b'x' * 65536)\nexcept OSError: pass\n";
	g_autoptr(GSubprocess) process =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "python3", "-c", script, NULL);
	g_assert_no_error(error);
	g_autoptr(GDataInputStream) lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
	g_autofree char *port = g_data_input_stream_read_line(lines, NULL, NULL, &error);
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%s/", port);

	g_assert_true(proa_http_get(&request, &answer, &error));
	g_assert_cmpuint(answer.size, ==, 64 * 1024);
	expect_failure(&(ProaHttpRequest){ .url = url, .seconds = 60 }, PROA_REASON_TOO_LARGE);
	g_assert_true(g_subprocess_wait(process, NULL, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/http/gives-status-and-body", gives_status_and_body);
	g_test_add_func("/http/nobody-there-or-no-answer", nobody_there_or_no_answer);
	g_test_add_func("/http/what-is-wrong-here-is-said-to-be-here", what_is_wrong_here_is_said_to_be_here);
	g_test_add_func("/http/an-endless-answer-is-refused", an_endless_answer_is_refused);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* server: a real HTTP server on a free port, that gives one answer to all. For unit tests only. */
#pragma once

#include <gio/gio.h>
#include <string.h>

typedef struct {
	GSubprocess *process;
	char *url; /* "http://127.0.0.1:PORT" */
} Server;

static inline void server_clear(Server *server)
{
	if (server->process) {
		g_subprocess_force_exit(server->process);
		g_subprocess_wait(server->process, NULL, NULL);
	}
	g_clear_object(&server->process);
	g_clear_pointer(&server->url, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Server, server_clear)

/* @status 0: takes the connection and never answers. */
static inline Server server_new(int status, const char *body)
{
	static const char script[] =
		"import http.server, sys, time\n"
		"status, body = int(sys.argv[1]), sys.argv[2].encode()\n"
		"class Handler(http.server.BaseHTTPRequestHandler):\n"
		"    def do_GET(self):\n"
		"        if not status:\n"
		"            time.sleep(1000)\n"
		"        answer = body.replace(b'@PATH', self.path.encode()).replace(\n"
		"            b'@TOKEN', self.headers.get('Authorization', 'none').encode())\n"
		"        self.send_response(status)\n"
		"        self.send_header('Content-Length', str(len(answer)))\n"
		"        self.end_headers()\n"
		"        self.wfile.write(answer)\n"
		"    def log_message(self, *_):\n"
		"        pass\n"
		"server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n"
		"print(server.server_address[1], flush=True)\n"
		"server.serve_forever()\n";
	g_autofree char *number = g_strdup_printf("%d", status);
	g_autoptr(GError) error = NULL;
	Server server = { g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "python3", "-c", script,
				  number, body, NULL),
		NULL };

	g_assert_no_error(error);
	g_autoptr(GDataInputStream) lines =
		g_data_input_stream_new(g_subprocess_get_stdout_pipe(server.process));
	g_autofree char *port = g_data_input_stream_read_line(lines, NULL, NULL, &error);
	g_assert_no_error(error);
	g_assert_nonnull(port);
	server.url = g_strdup_printf("http://127.0.0.1:%s", port);
	return server;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* nginx: a real web server on loopback that serves a directory. For unit tests only. */
#pragma once

#include "tests/unit/scratch.h"

#include <arpa/inet.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
	Scratch scratch;
	GSubprocess *process;
	guint16 port;      /* http */
	guint16 slow_port; /* http, a limited rate */
	guint16 tls_port;  /* https; 0: none */
	char *url, *slow_url, *tls_url;
} Nginx;

/* A port that nobody has now. */
static inline guint16 nginx_free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
	close(fd);
	return ntohs(address.sin_port);
}

static inline gboolean nginx_answers(guint16 port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(fd, >=, 0);
	int r = connect(fd, (struct sockaddr *)&address, sizeof address);

	close(fd);
	return r == 0;
}

static inline char *nginx_config(const Nginx *nginx, const char *serve, guint slow_rate)
{
	const char *dir = nginx->scratch.path;
	g_autofree char *tls =
		nginx->tls_port == 0
			? g_strdup("")
			: g_strdup_printf(
				  "server { listen 127.0.0.1:%u ssl; root %s; ssl_certificate %s/cert.pem; "
				  "ssl_certificate_key %s/key.pem; }",
				  nginx->tls_port, serve, dir, dir);

	return g_strdup_printf(
		"daemon off; master_process off; pid %s/pid; error_log %s/error.log;\n"
		"events { worker_connections 64; }\n"
		"http { access_log %s/access.log; client_body_temp_path %s/t1; proxy_temp_path %s/t2;\n"
		"fastcgi_temp_path %s/t3; uwsgi_temp_path %s/t4; scgi_temp_path %s/t5;\n"
		"default_type application/octet-stream;\n"
		"server { listen 127.0.0.1:%u; root %s;\n"
		"  location /redirect/ { return 302 /; }\n"
		"  location /loop/ { return 302 /loop/; }\n"
		"  location /to-file/ { return 302 file:///etc/passwd; }\n"
		"  location /error/ { return 503; }\n"
		"  location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }\n"
		"  location /no-ranges/ { alias %s/; max_ranges 0; } }\n"
		"server { listen 127.0.0.1:%u; root %s; limit_rate %u; }\n%s }\n",
		dir, dir, dir, dir, dir, dir, dir, dir, nginx->port, serve, serve, nginx->slow_port, serve,
		slow_rate, tls);
}

static inline void nginx_make_certificate(const Nginx *nginx)
{
	g_autofree char *key = scratch_file(&nginx->scratch, "key.pem"),
			*cert = scratch_file(&nginx->scratch, "cert.pem");
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) openssl = g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error,
		"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext",
		"subjectAltName=DNS:localhost,IP:127.0.0.1", NULL);

	g_assert_no_error(error);
	g_assert_true(g_subprocess_wait_check(openssl, NULL, NULL));
}

/* In the child: a test that aborts leaves no server behind. */
static inline void nginx_die_with_test(gpointer data)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Serves the directory @serve; on the slow port at @slow_rate bytes a second. */
static inline void nginx_start(Nginx *nginx, const char *serve, guint slow_rate, gboolean with_tls)
{
	g_autoptr(GError) error = NULL;

	nginx->scratch = scratch_new();
	nginx->port = nginx_free_port();
	nginx->slow_port = nginx_free_port();
	nginx->tls_port = with_tls ? nginx_free_port() : 0;
	if (with_tls)
		nginx_make_certificate(nginx);
	nginx->url = g_strdup_printf("http://127.0.0.1:%u", nginx->port);
	nginx->slow_url = g_strdup_printf("http://127.0.0.1:%u", nginx->slow_port);
	nginx->tls_url = g_strdup_printf("https://localhost:%u", nginx->tls_port);
	g_autofree char *config = nginx_config(nginx, serve, slow_rate);
	g_autofree char *path = scratch_write(&nginx->scratch, "nginx.conf", config, -1);
	g_autofree char *log = scratch_file(&nginx->scratch, "error.log");
	g_autoptr(GSubprocessLauncher) launcher =
		g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
	g_subprocess_launcher_set_child_setup(launcher, nginx_die_with_test, NULL, NULL);
	nginx->process = g_subprocess_launcher_spawn(launcher, &error, "nginx", "-e", log, "-c", path, NULL);
	g_assert_no_error(error);
	for (int i = 0; i < 500 && !nginx_answers(nginx->slow_port); i++)
		g_usleep(10000);
	g_assert_true(nginx_answers(nginx->port));
}

/* Ends it at once, connections and all. */
static inline void nginx_kill(Nginx *nginx)
{
	if (!nginx->process)
		return;
	g_subprocess_force_exit(nginx->process);
	g_subprocess_wait(nginx->process, NULL, NULL);
	g_clear_object(&nginx->process);
}

static inline void nginx_clear(Nginx *nginx)
{
	nginx_kill(nginx);
	scratch_clear(&nginx->scratch);
	g_clear_pointer(&nginx->url, g_free);
	g_clear_pointer(&nginx->slow_url, g_free);
	g_clear_pointer(&nginx->tls_url, g_free);
}

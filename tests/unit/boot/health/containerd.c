/* SPDX-License-Identifier: Apache-2.0 */
/* The check against a real containerd, started here on a socket of its own. */
#include "tests/unit/boot/health/containerd.h"
#include "boot/health/grpc.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static ProaHealthResult check(const Scratch *scratch, const char *socket_path, const char *more)
{
	return daemon_check(scratch, socket_path, &proa_health_containerd, more);
}

static void expect_down(const Scratch *scratch, const char *socket_path, const char *more, const char *word)
{
	context_expect_node(check(scratch, socket_path, more), PROA_REASON_CONTAINERD_DOWN, word);
}

/* The signal is on its way to each thread; only then nobody answers. */
static void stop_all_threads(const Daemon *daemon)
{
	g_autofree char *folder =
		g_strdup_printf("/proc/%s/task", g_subprocess_get_identifier(daemon->process));
	gboolean running = TRUE;

	g_subprocess_send_signal(daemon->process, SIGSTOP);
	for (int i = 0; running && i < 500; i++) {
		g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
		const char *thread;
		running = FALSE;
		while (dir && (thread = g_dir_read_name(dir))) {
			g_autofree char *path = g_build_filename(folder, thread, "stat", NULL);
			g_autofree char *text = NULL;
			if (g_file_get_contents(path, &text, NULL, NULL) && !strstr(text, ") T "))
				running = TRUE;
		}
		g_usleep(G_USEC_PER_SEC / 100);
	}
	g_assert_false(running);
}

static void real_one_is_healthy_until_it_stops(void)
{
	g_auto(Daemon) daemon = { 0 };

	if (!daemon_start(&daemon))
		return;
	/* Without a CNI configuration its network is not ready: only who asks for it is told. */
	expect_down(&daemon.scratch, daemon.socket, "network=yes", "NetworkReady");

	/* It exists, its socket takes connections, and it does nothing. */
	stop_all_threads(&daemon);
	expect_down(&daemon.scratch, daemon.socket, NULL, "imeout");
	g_subprocess_send_signal(daemon.process, SIGCONT);
	context_expect_ok(check(&daemon.scratch, daemon.socket, NULL));
}

static void unknown_method_is_an_answer(void)
{
	g_auto(Daemon) daemon = { 0 };
	ProaGrpcAnswer answer = { 0 };
	g_autoptr(GError) error = NULL;

	if (!daemon_start(&daemon))
		return;
	g_assert_true(proa_grpc_call(daemon.socket, "/no.such.Service/Method", "", 0, 5, &answer, &error));
	g_assert_no_error(error);
	g_assert_cmpint(answer.status, ==, PROA_GRPC_UNIMPLEMENTED);
	g_assert_nonnull(answer.message);
	proa_grpc_answer_clear(&answer);
}

static void nobody_listens(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "none.sock");

	expect_down(&scratch, path, NULL, "none.sock");
}

static void not_asked_for_is_not_checked(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(check(&scratch, "/nonexistent", "enabled=no"), "enabled=no");
}

/* A server that takes the connection, says @answer and closes. */
static void expect_down_from(const char *answer, gsize size)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "s.sock");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	g_strlcpy(address.sun_path, path, sizeof address.sun_path);
	g_assert_cmpint(bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address), ==, 0);
	g_assert_cmpint(listen(fd, 4), ==, 0);
	pid_t child = fork();
	if (child == 0) {
		for (;;) {
			char buffer[4096];
			int peer = accept(fd, NULL, NULL);
			if (read(peer, buffer, sizeof buffer) < 0 || write(peer, answer, size) < 0)
				_exit(1);
			close(peer);
		}
	}
	expect_down(&scratch, path, NULL, "containerd");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
}

static void nonsense_is_not_health(void)
{
	static const char http1[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	static const char frames[] = "\0\0\0\4\0\0\0\0\0\0\xff\xff\0\0\0\0\0\1\0";

	expect_down_from("", 0);
	expect_down_from(http1, sizeof http1 - 1);
	expect_down_from(frames, sizeof frames - 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/containerd/real-one-is-healthy-until-it-stops", real_one_is_healthy_until_it_stops);
	g_test_add_func("/containerd/unknown-method-is-an-answer", unknown_method_is_an_answer);
	g_test_add_func("/containerd/nobody-listens", nobody_listens);
	g_test_add_func("/containerd/not-asked-for-is-not-checked", not_asked_for_is_not_checked);
	g_test_add_func("/containerd/nonsense-is-not-health", nonsense_is_not_health);
	return g_test_run();
}

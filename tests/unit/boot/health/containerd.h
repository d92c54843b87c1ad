/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: a real one, started on a socket of its own. For unit tests only. */
#pragma once

#include "tests/unit/boot/health/context.h"

#include <gio/gio.h>
#include <signal.h>
#include <unistd.h>

#define START_SECONDS 60

typedef struct {
	Scratch scratch;
	char *socket;
	GSubprocess *process;
} Daemon;

static inline void daemon_clear(Daemon *daemon)
{
	if (daemon->process) {
		g_subprocess_send_signal(daemon->process, SIGCONT);
		g_subprocess_force_exit(daemon->process);
		g_subprocess_wait(daemon->process, NULL, NULL);
	}
	g_clear_object(&daemon->process);
	g_free(daemon->socket);
	scratch_clear(&daemon->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Daemon, daemon_clear)

/* Runs @check with this containerd; @more are further lines of health.conf, beginning in [containerd]. */
static inline ProaHealthResult daemon_check(
	const Scratch *scratch, const char *socket_path, const ProaHealthCheck *check, const char *more)
{
	g_autofree char *text =
		g_strdup_printf("[containerd]\nsocket=%s\ntimeout=2s\n%s\n", socket_path, more ? more : "");

	return context_check(scratch, check, text, NULL);
}

static inline gboolean daemon_start(Daemon *daemon)
{
	g_autoptr(GError) error = NULL;

	*daemon = (Daemon){ .scratch = scratch_new() };
	daemon->socket = scratch_file(&daemon->scratch, "c.sock");
	g_autofree char *root = scratch_file(&daemon->scratch, "content"),
			*state = scratch_file(&daemon->scratch, "state");
	g_autofree char *config =
		g_strdup_printf("version = 2\nroot = \"%s\"\nstate = \"%s\"\n[grpc]\naddress = \"%s\"\n"
				"[plugins.\"io.containerd.grpc.v1.cri\".cni]\nconf_dir = \"%s/none\"\n",
			root, state, daemon->socket, daemon->scratch.path);
	g_autofree char *path = scratch_write(&daemon->scratch, "config.toml", config, -1);
	g_autofree char *program = g_find_program_in_path("containerd");
	if (geteuid() != 0 || !program) {
		g_test_skip("needs root and containerd");
		return FALSE;
	}
	daemon->process =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
			&error, "containerd", "--config", path, NULL);
	g_assert_no_error(error);
	for (int i = 0; i < START_SECONDS * 5; i++) {
		ProaHealthResult result =
			daemon_check(&daemon->scratch, daemon->socket, &proa_health_containerd, NULL);
		ProaHealthVerdict verdict = result.verdict;
		if (verdict != PROA_HEALTH_OK && i == START_SECONDS * 5 - 1)
			g_test_message("still: %s", result.detail);
		proa_health_result_clear(&result);
		if (verdict == PROA_HEALTH_OK)
			return TRUE;
		g_usleep(G_USEC_PER_SEC / 5);
	}
	g_assert_not_reached();
}

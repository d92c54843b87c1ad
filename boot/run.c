/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/run.h"

#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE 400

void proa_run_clear(ProaRun *run)
{
	g_clear_pointer(&run->output, g_free);
}

/* In the child: a group of its own, so that all of it can be killed; errors are said where output is. */
static void set_up_child(G_GNUC_UNUSED gpointer data)
{
	setpgid(0, 0);
	dup2(STDOUT_FILENO, STDERR_FILENO);
}

static char **environment_of(const char *const *more)
{
	char **environment = g_get_environ();

	for (gsize i = 0; more && more[i]; i++) {
		g_auto(GStrv) pair = g_strsplit(more[i], "=", 2);
		environment = g_environ_setenv(environment, pair[0], pair[1] ? pair[1] : "", TRUE);
	}
	return environment;
}

static gboolean start(
	const char *const *argv, const char *const *environment, GPid *ret_pid, int *ret_fd, GError **error)
{
	g_auto(GStrv) arguments = g_strdupv((char **)(gsize)argv);
	g_auto(GStrv) variables = environment_of(environment);
	g_autoptr(GError) inner = NULL;

	if (g_spawn_async_with_pipes(NULL, arguments, variables,
		    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH | G_SPAWN_CLOEXEC_PIPES, set_up_child,
		    NULL, ret_pid, NULL, ret_fd, NULL, &inner))
		return TRUE;
	ProaReason reason = g_error_matches(inner, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT) ? PROA_REASON_NOT_FOUND
			    : g_error_matches(inner, G_SPAWN_ERROR, G_SPAWN_ERROR_ACCES)
				    ? PROA_REASON_PERMISSION
				    : PROA_REASON_IO;
	return proa_fail(error, reason, "%s: %s", argv[0], inner->message);
}

/* Takes what there is to read; FALSE at the end. What is over the limit is read and dropped: nobody must
 * block. */
static gboolean take(int fd, GString *output)
{
	char buffer[4096];
	ssize_t size = read(fd, buffer, sizeof buffer);

	if (size < 0)
		return errno == EINTR;
	g_string_append_len(output, buffer, MIN(size, PROA_RUN_MAX_OUTPUT - (gssize)output->len));
	return size > 0;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reads until the process ends; whoever it leaves behind may hold the pipe open for longer. */
static gboolean listen_until_end(int pidfd, int fd, gint64 until, GString *output)
{
	struct pollfd waiting[] = { { .fd = pidfd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	for (;;) {
		gint64 left = until - g_get_monotonic_time() / 1000;
		if (left <= 0)
			return FALSE;
		if (poll(waiting, 2, (int)MIN(left, 60000)) < 0 && errno != EINTR)
			return FALSE;
		if (waiting[1].fd >= 0 && waiting[1].revents && !take(fd, output))
			waiting[1].fd = -1;
		else if (waiting[0].revents && (waiting[1].fd < 0 || !waiting[1].revents))
			return TRUE;
	}
}

gboolean proa_run(const char *const *argv, const char *const *environment, guint seconds, ProaRun *ret_run,
	GError **error)
{
	g_autoptr(GString) output = g_string_new(NULL);
	PROA_AUTO_FD int fd = -1;
	GPid pid;

	if (!start(argv, environment, &pid, &fd, error))
		return FALSE;
	PROA_AUTO_FD int pidfd = pidfd_open(pid, 0);
	gboolean ended =
		pidfd >= 0 &&
		listen_until_end(pidfd, fd, g_get_monotonic_time() / 1000 + (gint64)seconds * 1000, output);
	if (!ended)
		kill(-pid, SIGKILL);
	int status = wait_for(pid);
	*ret_run = (ProaRun){ .status = ended ? status : -1,
		.timed_out = !ended,
		.output = g_utf8_make_valid(output->str, (gssize)output->len) };
	return TRUE;
}

char *proa_run_last_line(const char *output)
{
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);

	for (guint i = g_strv_length(lines); i-- > 0;) {
		for (char *p = lines[i]; *p; p++)
			if (g_ascii_iscntrl(*p))
				*p = ' ';
		if (*g_strstrip(lines[i]))
			return g_utf8_substring(lines[i], 0, MIN(g_utf8_strlen(lines[i], -1), MAX_LINE));
	}
	return g_strdup("");
}

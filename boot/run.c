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
#define MAX_LEFT_BEHIND 8
/* What is killed is gone at once, unless the kernel holds it. */
#define KILL_SECONDS 2

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

/* Processes that did not even end when they were killed: a dead disk or server holds them in the kernel. */
static pid_t left_behind[MAX_LEFT_BEHIND];

static guint count_left_behind(void)
{
	guint count = 0;

	for (guint i = 0; i < MAX_LEFT_BEHIND; i++) {
		if (left_behind[i] > 0 && waitpid(left_behind[i], NULL, WNOHANG) != 0)
			left_behind[i] = 0;
		count += left_behind[i] > 0 ? 1 : 0;
	}
	return count;
}

gboolean proa_run_may_start(GError **error)
{
	return count_left_behind() < MAX_LEFT_BEHIND ||
	       proa_fail(error, PROA_REASON_IO,
		       "%d programs hang in the kernel already, and none more is started: a disk or a server does not answer",
		       MAX_LEFT_BEHIND);
}

gboolean proa_run_end(pid_t pid, gboolean kill_first, int *ret_status)
{
	gint64 until = g_get_monotonic_time() + KILL_SECONDS * G_USEC_PER_SEC;
	int status = 0;
	pid_t ended;

	if (kill_first && kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	while ((ended = waitpid(pid, &status, kill_first ? WNOHANG : 0)) <= 0) {
		if (ended < 0 && errno != EINTR)
			break;
		if (kill_first && g_get_monotonic_time() >= until)
			break;
		g_usleep(G_USEC_PER_SEC / 100);
	}
	for (guint i = 0; ended == 0 && i < MAX_LEFT_BEHIND; i++)
		if (left_behind[i] == 0) {
			left_behind[i] = pid;
			break;
		}
	if (ret_status)
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return ended != 0;
}

gboolean proa_run_is_left_behind(pid_t pid)
{
	count_left_behind();
	for (guint i = 0; i < MAX_LEFT_BEHIND; i++)
		if (left_behind[i] == pid)
			return TRUE;
	return FALSE;
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

	if (!proa_run_may_start(error) || !start(argv, environment, &pid, &fd, error))
		return FALSE;
	PROA_AUTO_FD int pidfd = pidfd_open(pid, 0);
	gboolean ended =
		pidfd >= 0 &&
		listen_until_end(pidfd, fd, g_get_monotonic_time() / 1000 + (gint64)seconds * 1000, output);
	int status = -1;
	(void)!proa_run_end(pid, !ended, &status);
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

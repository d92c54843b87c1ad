/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_GRACE_USEC (20 * G_USEC_PER_SEC)
#define MAX_LAST_WORDS 512
#define PIECE 4096
/* Twice what a pipe holds. Bytes. */
#define MAX_DRAIN (128 * 1024)

struct ProaChild {
	sd_event *event;
	pid_t pid; /* 0: reaped */
	int output_fd, error_fd;
	sd_event_source *output, *errors, *exit, *limit, *grace;
	GString *last_words; /* the line of standard error being written, then kept until the next one begins
			      */
	gboolean line_ended;
	const ProaChildWatcher *watcher;
	gpointer data;
};

/* Between fork and exec: only calls that are safe in a signal handler. */
G_NORETURN static void become_child(const char *const *argv, int output, int errors, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The parent may have died before the line above. */
	if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(output, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0)
		_exit(127);
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		_exit(127);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(argv[0], (char *const *)(gconstpointer)argv);
	static const char message[] = "cannot be executed\n";
	if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
		_exit(126);
	_exit(127);
}

/* Keeps the last line that has something in it, and passes everything on. */
static void hear_errors(ProaChild *child, const char *bytes, gsize size)
{
	for (gsize i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			child->line_ended = TRUE;
			continue;
		}
		if (child->line_ended)
			g_string_truncate(child->last_words, 0);
		child->line_ended = FALSE;
		if (child->last_words->len < MAX_LAST_WORDS)
			g_string_append_c(child->last_words, bytes[i]);
	}
	/* Where our own standard error is gone there is nobody to tell. */
	if (!proa_write_all(STDERR_FILENO, bytes, size, NULL))
		return;
}

/* Reads one piece of a pipe: more than 0: there may be more; 0: the end; less: nothing now. */
static ssize_t read_piece(ProaChild *child, int fd, gboolean is_output)
{
	char bytes[PIECE];
	ssize_t n;

	do
		n = read(fd, bytes, sizeof bytes);
	while (n < 0 && errno == EINTR);
	if (n > 0 && is_output)
		child->watcher->output(bytes, (gsize)n, child->data);
	else if (n > 0)
		hear_errors(child, bytes, (gsize)n);
	return n;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	ProaChild *child = data;

	/* At the end of a pipe the loop would call again at once, for ever. */
	if (read_piece(child, fd, source == child->output) == 0)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

/* Takes what is in a pipe now and no more: whoever else holds it open may write to it for ever. */
static void drain(ProaChild *child, int fd, gboolean is_output)
{
	for (int i = 0; i < MAX_DRAIN / PIECE; i++)
		if (read_piece(child, fd, is_output) <= 0)
			return;
}

static int on_exit_of_child(sd_event_source *source, const siginfo_t *info, void *data)
{
	ProaChild *child = data;
	int code = info->si_code, status = info->si_status;

	/* What it left running would hold its lock and its pipes. Not reaped yet, so the number is still its
	 * own. */
	kill(-child->pid, SIGKILL);
	child->pid = 0;
	drain(child, child->output_fd, TRUE);
	drain(child, child->error_fd, FALSE);
	child->watcher->ended(code, status, child->last_words->str, child->data);
	return 0;
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *data)
{
	ProaChild *child = data;

	/* The whole group: it cannot clean up after itself any more. */
	if (child->pid)
		kill(-child->pid, SIGKILL);
	return 0;
}

void proa_child_stop(ProaChild *child)
{
	/* To the child alone: it knows best how to stop what it started, and can say why it ended. */
	if (!child->pid || kill(child->pid, SIGTERM) < 0 || child->grace)
		return;
	/* Without a grace timer it is merely waited for. */
	sd_event_add_time_relative(
		child->event, &child->grace, CLOCK_MONOTONIC, STOP_GRACE_USEC, 0, on_grace_over, child);
}

static int on_time_limit(sd_event_source *source, uint64_t usec, void *data)
{
	proa_child_stop(data);
	return 0;
}

static gboolean watch(ProaChild *child, guint time_limit, GError **error)
{
	int r = sd_event_add_io(child->event, &child->output, child->output_fd, EPOLLIN, on_readable, child);

	if (r >= 0)
		r = sd_event_add_io(
			child->event, &child->errors, child->error_fd, EPOLLIN, on_readable, child);
	if (r >= 0)
		r = sd_event_add_child(
			child->event, &child->exit, child->pid, WEXITED, on_exit_of_child, child);
	if (r >= 0 && time_limit > 0)
		r = sd_event_add_time_relative(child->event, &child->limit, CLOCK_MONOTONIC,
			(uint64_t)time_limit * G_USEC_PER_SEC, 0, on_time_limit, child);
	return r >= 0 || proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "watching a child");
}

static gboolean make_pipe(int ret_fds[2], GError **error)
{
	/* Only our end does not block: the child's end is its standard output. */
	if (pipe2(ret_fds, O_CLOEXEC) < 0 || fcntl(ret_fds[0], F_SETFL, O_NONBLOCK) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making a pipe");
	return TRUE;
}

static gboolean launch(ProaChild *child, const char *const *argv, GError **error)
{
	int output[2] = { -1, -1 }, errors[2] = { -1, -1 };
	pid_t parent = getpid();
	gboolean piped = make_pipe(output, error) && make_pipe(errors, error);

	child->output_fd = output[0];
	child->error_fd = errors[0];
	pid_t pid = piped ? fork() : -1;
	if (pid == 0)
		become_child(argv, output[1], errors[1], parent);
	if (piped && pid < 0)
		proa_fail_errno(error, PROA_REASON_IO, errno, "starting %s", argv[0]);
	proa_close_fd(&output[1]);
	proa_close_fd(&errors[1]);
	if (pid < 0)
		return FALSE;
	/* Also here, so that the group exists whoever runs first. */
	setpgid(pid, pid);
	child->pid = pid;
	return TRUE;
}

ProaChild *proa_child_start(sd_event *event, const char *const *argv, guint time_limit,
	const ProaChildWatcher *watcher, gpointer data, GError **error)
{
	if (access(argv[0], X_OK) < 0) {
		proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_PERMISSION,
			errno, "starting %s", argv[0]);
		return NULL;
	}

	g_autoptr(ProaChild) child = g_new0(ProaChild, 1);
	child->event = sd_event_ref(event);
	child->output_fd = child->error_fd = -1;
	child->last_words = g_string_new(NULL);
	child->watcher = watcher;
	child->data = data;
	if (!launch(child, argv, error) || !watch(child, time_limit, error))
		return NULL;
	return g_steal_pointer(&child);
}

void proa_child_free(ProaChild *child)
{
	sd_event_source_disable_unref(child->exit);
	sd_event_source_disable_unref(child->output);
	sd_event_source_disable_unref(child->errors);
	sd_event_source_disable_unref(child->limit);
	sd_event_source_disable_unref(child->grace);
	if (child->pid) {
		kill(-child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	proa_close_fd(&child->output_fd);
	proa_close_fd(&child->error_fd);
	g_string_free(child->last_words, TRUE);
	sd_event_unref(child->event);
	g_free(child);
}

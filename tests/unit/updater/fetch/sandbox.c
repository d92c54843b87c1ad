/* SPDX-License-Identifier: Apache-2.0 */
/* Each test enters the sandbox in a child of its own and tries what must not work. */
#include "updater/fetch/sandbox.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *allowed_file, *other_file;

/* Runs @try in a sandboxed child; it returns the errno it met. */
static int in_sandbox(int (*try)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		const char *const readable[] = { allowed_file, NULL };
		if (!proa_sandbox_enter(readable, NULL))
			_exit(255);
		_exit(try());
	}
	int status = 0;
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int try_read_allowed(void)
{
	char byte;
	int fd = open(allowed_file, O_RDONLY);
	return fd < 0 ? errno : result(read(fd, &byte, 1));
}

static int try_read_other(void)
{
	return result(open(other_file, O_RDONLY));
}

static int try_write(void)
{
	return result(open(allowed_file, O_WRONLY));
}

static int try_create(void)
{
	return result(open("/tmp/proa-sandbox-made", O_CREAT | O_RDWR, 0600));
}

static int try_truncate(void)
{
	return result(truncate(allowed_file, 0));
}

static int try_unlink(void)
{
	return result(unlink(allowed_file));
}

static int try_exec(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	return result(execv("/usr/bin/true", argv));
}

static int try_mount(void)
{
	return result(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int try_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int try_kill(void)
{
	return result(kill(getppid(), 0));
}

static int try_setuid(void)
{
	return result(setuid(0));
}

static int try_packet_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_inet_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_unshare(void)
{
	return result(syscall(SYS_unshare, 0x10000000));
}

static int try_read_urandom(void)
{
	return result(open("/dev/urandom", O_RDONLY));
}

typedef struct {
	const char *name;
	int (*try)(void);
	gboolean works;
} Case;

static const Case cases[] = {
	{ "reads-allowed-file", try_read_allowed, TRUE },
	{ "reads-urandom", try_read_urandom, TRUE },
	{ "opens-inet-socket", try_inet_socket, TRUE },
	{ "refuses-other-file", try_read_other, FALSE },
	{ "refuses-writing", try_write, FALSE },
	{ "refuses-creating", try_create, FALSE },
	{ "refuses-truncating", try_truncate, FALSE },
	{ "refuses-unlinking", try_unlink, FALSE },
	{ "refuses-exec", try_exec, FALSE },
	{ "refuses-mount", try_mount, FALSE },
	{ "refuses-ptrace", try_ptrace, FALSE },
	{ "refuses-kill", try_kill, FALSE },
	{ "refuses-setuid", try_setuid, FALSE },
	{ "refuses-packet-socket", try_packet_socket, FALSE },
	{ "refuses-unshare", try_unshare, FALSE },
};

static void run_case(gconstpointer data)
{
	const Case *c = data;
	int met = in_sandbox(c->try);

	if (c->works)
		g_assert_cmpint(met, ==, 0);
	else
		g_assert_true(met == EPERM || met == EACCES);
}

int main(int argc, char **argv)
{
	g_auto(Scratch) scratch = scratch_new();

	g_test_init(&argc, &argv, NULL);
	allowed_file = scratch_write(&scratch, "allowed", "text", -1);
	other_file = scratch_write(&scratch, "other", "text", -1);
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strconcat("/fetch/sandbox/", cases[i].name, NULL);
		g_test_add_data_func(path, &cases[i], run_case);
	}
	int status = g_test_run();
	g_free(allowed_file);
	g_free(other_file);
	return status;
}

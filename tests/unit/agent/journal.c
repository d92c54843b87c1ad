/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "agent/journal.h"

#include "tests/unit/scratch.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define SOCKET "/run/systemd/journal/socket"

static const ProaMessage message = { .id = PROA_MESSAGE_FAILED,
	.priority = LOG_WARNING,
	.operation = "update",
	.reason = "esp-full",
	.version = "1.0.1" };

static void say(void)
{
	proa_journal(&message, "%s: %s\nPROA_REASON=forged", "update", "a\033[2Jb");
}

/* In a process of its own, with standard error in a file: what it wrote there. */
static void without_a_journal_it_goes_to_standard_error(void)
{
	if (g_test_subprocess()) {
		g_unsetenv("JOURNAL_STREAM");
		say();
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	g_test_trap_assert_stderr("*proad: update: a [2Jb PROA_REASON=forged*");
}

/* A journal's socket where the library looks for it, in a mount name space that nobody else sees. */
static int open_journal(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return -1;
	g_assert_cmpint(g_mkdir_with_parents("/run/systemd/journal", 0755), ==, 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(bind(fd, (const struct sockaddr *)&address, sizeof address), ==, 0);
	return fd;
}

/* Exit status of the child that looks: 0 well, 77 not possible here. */
static int look_at_fields(void)
{
	char text[4096] = "";
	int fd = open_journal();

	if (fd < 0)
		return 77;
	g_setenv("JOURNAL_STREAM", "1:1", TRUE);
	say();
	if (recv(fd, text, sizeof text - 1, 0) <= 0)
		return 1;
	static const char *const fields[] = { "MESSAGE=update: a [2Jb PROA_REASON=forged\n", "PRIORITY=4\n",
		"SYSLOG_IDENTIFIER=proad\n", "PROA_OPERATION=update\n", "PROA_REASON=esp-full\n",
		"PROA_VERSION=1.0.1\n", "MESSAGE_ID=8a998720ea13495ea95b109fe3ebd83a\n" };
	for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
		if (!strstr(text, fields[i])) {
			fprintf(stderr, "%s is missing in: %s\n", fields[i], text);
			return 1;
		}
	/* A message must not bring fields of its own. */
	return strstr(text, "\nPROA_REASON=forged") ? 1 : 0;
}

static void the_journal_gets_every_field(void)
{
	int status;
	pid_t pid = fork();

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0)
		_exit(look_at_fields());
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		g_test_skip("no mount name space can be had here");
		return;
	}
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/journal/without-one-it-goes-to-standard-error",
		without_a_journal_it_goes_to_standard_error);
	g_test_add_func("/journal/gets-every-field", the_journal_gets_every_field);
	return g_test_run();
}

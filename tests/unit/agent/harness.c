/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/harness.h"

#include "base/file.h"
#include "base/json.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_USEC (20 * G_USEC_PER_SEC)

void answer_clear(Answer *answer)
{
	g_clear_pointer(&answer->out, g_free);
	g_clear_pointer(&answer->err, g_free);
	g_clear_pointer(&answer->json, json_object_unref);
}

void harness_write(const Harness *harness, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(&harness->scratch, name, text, -1);
}

char *harness_read(const Harness *harness, const char *name)
{
	g_autofree char *path = scratch_file(&harness->scratch, name);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

void harness_install(const Harness *harness, const char *script)
{
	harness_write(harness, "fixture/install", script);
}

Harness harness_new(void)
{
	Harness harness = { .scratch = scratch_new(), .libexec = g_strdup(FIXTURES) };
	g_autofree char *one = g_strnfill(64, '1');
	g_autofree char *state = g_strdup_printf(
		"{\"state\":\"good\",\"since\":1780000000,\"booted\":{\"version\":\"1.0.0\",\"root_hash\":\"%s\",\"slot\":"
		"\"root-a\"},\"staged\":null,\"good\":{\"version\":\"1.0.0\",\"root_hash\":\"%s\",\"slot\":\"root-a\"},"
		"\"last_check\":0}",
		one, one);
	g_autofree char *status = g_strdup_printf(
		"{\"booted\":{\"version\":\"1.0.0\",\"root_hash\":\"%s\",\"slot\":\"root-a\",\"entry\":\"proa_1.0.0.efi\","
		"\"tries_left\":null,\"tries_done\":null,\"blessed\":true,\"verified\":true,\"boot_time\":1780000000},\n"
		"\"other\":{\"slot\":\"root-b\",\"version\":null,\"root_hash\":null,\"entry\":null,\"tries_left\":null,"
		"\"tries_done\":null,\"bootable\":false},\n\"next\":\"proa_1.0.0.efi\",\"state\":\"good\",\"good\":null,"
		"\"staged\":null,\"rejected\":[]}\n",
		one);

	/* User nobody reads here too. */
	g_assert_cmpint(g_chmod(harness.scratch.path, 0755), ==, 0);
	harness_write(&harness, "var/lib/proa/state.json", state);
	harness_write(&harness, "fixture/status", status);
	harness_write(&harness, "fixture/rollback",
		"printf '%s\\n' '{\"event\":\"done\",\"result\":\"rolled-back\",\"version\":\"0.9.0\",\"slot\":\"root-b\"}'");
	harness_write(&harness, "etc/proa/update.conf",
		"[feed]\nurl=http://feed.example/\n[update]\nautomatic=no\n");
	harness_install(&harness, "fail no-update 4 'nothing newer'");
	return harness;
}

static void end(GPid *pid, int signal_number, int *ret_status)
{
	int status = 0;

	if (*pid > 0) {
		kill(*pid, signal_number);
		while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
	if (ret_status)
		*ret_status = status;
}

/* --- processes
 * ---------------------------------------------------------------------------------------------------- */

static char **environment(const Harness *harness)
{
	g_autofree char *none = scratch_file(&harness->scratch, "no-bus");
	g_autofree char *no_bus = g_strconcat("unix:path=", none, NULL);
	char **variables = g_get_environ();

	variables = g_environ_setenv(
		variables, "DBUS_SYSTEM_BUS_ADDRESS", harness->address ? harness->address : no_bus, TRUE);
	variables = g_environ_unsetenv(variables, "JOURNAL_STREAM");
	variables = g_environ_unsetenv(variables, "NOTIFY_SOCKET");
	return g_environ_unsetenv(variables, "WATCHDOG_USEC");
}

/* Whatever ends the test ends what it started. */
static void die_with_test(gpointer data)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GPid spawn(const Harness *harness, const char *const *words, int *out, int *err)
{
	g_auto(GStrv) variables = environment(harness);
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_autoptr(GError) error = NULL;
	GPid pid = 0;

	g_strv_builder_addv(builder, (const char **)(guintptr)words);
	g_auto(GStrv) argv = g_strv_builder_end(builder);

	g_spawn_async_with_pipes(NULL, argv, variables, G_SPAWN_DO_NOT_REAP_CHILD, die_with_test, NULL, &pid,
		NULL, out, err, &error);
	g_assert_no_error(error);
	return pid;
}

static char *read_line(int fd)
{
	g_autoptr(GString) line = g_string_new(NULL);
	char c;

	while (read(fd, &c, 1) == 1 && c != '\n')
		g_string_append_c(line, c);
	return g_string_free(g_steal_pointer(&line), FALSE);
}

void harness_start_bus(Harness *harness)
{
	g_autofree char *socket = scratch_file(&harness->scratch, "bus");
	g_autofree char *text = g_strdup_printf(
		"<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>"
		"<policy context='default'><allow user='*'/><deny own='*'/>"
		"<deny send_type='method_call'/><allow send_type='signal'/>"
		"<allow send_requested_reply='true' send_type='method_return'/>"
		"<allow send_requested_reply='true' send_type='error'/>"
		"<allow receive_type='method_call'/><allow receive_type='method_return'/>"
		"<allow receive_type='error'/><allow receive_type='signal'/>"
		"<allow send_destination='org.freedesktop.DBus'/></policy>"
		"<policy user='root'><allow own='org.freedesktop.login1'/>"
		"<allow send_destination='org.freedesktop.login1'/></policy>"
		"<include>%s</include></busconfig>",
		socket, PROA_BUS_POLICY);
	harness_write(harness, "bus.conf", text);

	g_autofree char *config = scratch_file(&harness->scratch, "bus.conf");
	g_autofree char *option = g_strconcat("--config-file=", config, NULL);
	const char *const argv[] = { "/usr/bin/dbus-daemon", option, "--nofork", "--nopidfile", "--nosyslog",
		"--print-address", NULL };
	int out = -1;
	harness->bus = spawn(harness, argv, &out, NULL);
	harness->address = read_line(out);
	close(out);
	g_assert_true(g_str_has_prefix(harness->address, "unix:"));
}

void harness_start_proad(Harness *harness)
{
	g_auto(GStrv) variables = environment(harness);
	g_autofree char *log = scratch_file(&harness->scratch, "proad.log");
	char *argv[] = { g_strdup(PROAD), g_strdup("--root"), g_strdup(harness->scratch.path),
		g_strdup("--libexec"), g_strdup(harness->libexec), NULL };
	g_autoptr(GError) error = NULL;
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	g_assert_cmpint(fd, >=, 0);
	g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)argv, (const char *const *)variables,
		G_SPAWN_DO_NOT_REAP_CHILD, die_with_test, NULL, -1, -1, fd, NULL, NULL, 0, &harness->proad,
		NULL, NULL, NULL, &error);
	g_assert_no_error(error);
	close(fd);
	for (gsize i = 0; argv[i]; i++)
		g_free(argv[i]);
	/* Its first message comes when it owns its name and has asked proa-bootd. */
	harness_wait_for(harness, "proad.log", "proad: release");
}

/* proad ends only when it is told to: whatever else ended it is a bug that no test may pass over. */
static void check_alive(Harness *harness)
{
	int status;

	if (harness->proad <= 0 || waitpid(harness->proad, &status, WNOHANG) == 0)
		return;
	g_autofree char *log = harness_read(harness, "proad.log");
	harness->proad = 0;
	g_error("proad ended by itself with wait status %d: %s", status, log);
}

int harness_stop_proad(Harness *harness, int signal_number)
{
	int status;

	check_alive(harness);
	end(&harness->proad, signal_number, &status);
	return status;
}

void harness_clear(Harness *harness)
{
	harness_stop_proad(harness, SIGTERM);
	end(&harness->bus, SIGKILL, NULL);
	g_clear_pointer(&harness->address, g_free);
	g_clear_pointer(&harness->libexec, g_free);
	scratch_clear(&harness->scratch);
}

/* @prefix: what stands before proa on the command line. */
static Started start_proa(const Harness *harness, const char *const *prefix, const char *line)
{
	const char *const options[] = { "--root", harness->scratch.path, "--libexec", harness->libexec,
		NULL };
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	Started started = { 0, -1, -1 };

	for (gsize i = 0; prefix[i]; i++)
		g_ptr_array_add(argv, (gpointer)(guintptr)prefix[i]);
	for (gsize i = 0; words[i]; i++)
		g_ptr_array_add(argv, words[i]);
	for (gsize i = 0; options[i]; i++)
		g_ptr_array_add(argv, (gpointer)(guintptr)options[i]);
	g_ptr_array_add(argv, NULL);
	started.pid = spawn(harness, (const char *const *)argv->pdata, &started.out, &started.err);
	return started;
}

Started harness_start_proa(const Harness *harness, const char *line)
{
	const char *const prefix[] = { PROA, NULL };

	return start_proa(harness, prefix, line);
}

static char *read_all(int fd)
{
	g_autoptr(GString) text = g_string_new(NULL);
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) > 0)
		g_string_append_len(text, piece, n);
	close(fd);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

Answer harness_wait(Started *started)
{
	Answer answer = { .status = -1 };
	int status = 0;

	/* What proa writes fits into the pipes, so one may be read after the other. */
	answer.out = read_all(started->out);
	answer.err = read_all(started->err);
	while (waitpid(started->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		answer.status = WEXITSTATUS(status);
	answer.json = proa_json_parse(answer.out, strlen(answer.out), "output", PROA_REASON_INTERNAL, NULL);
	g_test_message("exit %d\n%s%s", answer.status, answer.out, answer.err);
	return answer;
}

Answer harness_proa(const Harness *harness, const char *line)
{
	Started started = harness_start_proa(harness, line);

	return harness_wait(&started);
}

Answer harness_proa_as_nobody(const Harness *harness, const char *line)
{
	const char *const prefix[] = { "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		PROA, NULL };
	Started started = start_proa(harness, prefix, line);

	return harness_wait(&started);
}

/* --- waiting
 * ------------------------------------------------------------------------------------------------------ */

void harness_wait_for(const Harness *harness, const char *name, const char *text)
{
	gint64 end_usec = g_get_monotonic_time() + PATIENCE_USEC;

	while (g_get_monotonic_time() < end_usec) {
		g_autofree char *found = harness_read(harness, name);
		if (strstr(found, text))
			return;
		g_usleep(20000);
	}
	g_autofree char *found = harness_read(harness, name);
	g_error("\"%s\" never came into %s, which holds: %s", text, name, found);
}

void harness_wait_for_status(const Harness *harness, const char *member, const char *value)
{
	gint64 end_usec = g_get_monotonic_time() + PATIENCE_USEC;
	const char *found = NULL;

	while (g_get_monotonic_time() < end_usec) {
		g_auto(Answer) answer = harness_proa(harness, "status --json");
		found = answer.json ? proa_json_string_or(answer.json, member, NULL) : NULL;
		if (g_strcmp0(found, value) == 0)
			return;
		g_usleep(50000);
	}
	g_error("%s never became %s", member, value);
}

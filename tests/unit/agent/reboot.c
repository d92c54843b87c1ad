/* SPDX-License-Identifier: Apache-2.0 */
/* A private bus with stand-ins for logind and systemd, since the real ones would reboot the machine. */
#include "agent/reboot.h"

#include "tests/unit/scratch.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

typedef struct {
	GTestDBus *bus;
	pid_t server; /* 0: none */
	int calls;    /* what it was asked, a line each */
} Machine;

static sd_bus *connect_to(GTestDBus *test_bus)
{
	sd_bus *bus = NULL;

	g_assert_cmpint(sd_bus_new(&bus), >=, 0);
	g_assert_cmpint(sd_bus_set_address(bus, g_test_dbus_get_bus_address(test_bus)), >=, 0);
	g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
	g_assert_cmpint(sd_bus_start(bus), >=, 0);
	return bus;
}

static int on_reboot(sd_bus_message *call, void *data, sd_bus_error *error)
{
	int interactive = -1;

	if (sd_bus_message_read(call, "b", &interactive) < 0)
		return -EINVAL;
	dprintf(*(int *)data, "Reboot %d\n", interactive);
	return sd_bus_reply_method_return(call, NULL);
}

static int on_start_unit(sd_bus_message *call, void *data, sd_bus_error *error)
{
	const char *unit = NULL, *mode = NULL;

	if (sd_bus_message_read(call, "ss", &unit, &mode) < 0)
		return -EINVAL;
	dprintf(*(int *)data, "StartUnit %s %s\n", unit, mode);
	return sd_bus_reply_method_return(call, "o", "/org/freedesktop/systemd1/job/1");
}

static const sd_bus_vtable logind[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Reboot", "b", "", on_reboot, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable systemd[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartUnit", "ss", "o", on_start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void offer(sd_bus *bus, const char *name, const char *path, const char *interface,
	const sd_bus_vtable *vtable, int *calls)
{
	if (sd_bus_add_object_vtable(bus, NULL, path, interface, vtable, calls) < 0 ||
		sd_bus_request_name(bus, name, 0) < 0)
		_exit(1);
}

G_NORETURN static void serve(GTestDBus *test_bus, gboolean with_logind, int calls)
{
	sd_bus *bus = connect_to(test_bus);
	sd_event *event = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (with_logind)
		offer(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
			"org.freedesktop.login1.Manager", logind, &calls);
	offer(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", systemd, &calls);
	if (sd_event_new(&event) < 0 || sd_bus_attach_event(bus, event, 0) < 0)
		_exit(1);
	dprintf(calls, "ready\n");
	sd_event_loop(event);
	_exit(1);
}

static char *read_call(const Machine *machine)
{
	GString *line = g_string_new(NULL);
	char c;

	while (read(machine->calls, &c, 1) == 1 && c != '\n')
		g_string_append_c(line, c);
	return g_string_free(line, FALSE);
}

static Machine machine_new(gboolean with_logind, gboolean with_systemd)
{
	Machine machine = { .bus = g_test_dbus_new(G_TEST_DBUS_NONE), .calls = -1 };
	int ends[2];

	g_test_dbus_up(machine.bus);
	if (!with_systemd)
		return machine;
	g_assert_cmpint(pipe(ends), ==, 0);
	machine.calls = ends[0];
	machine.server = fork();
	g_assert_cmpint(machine.server, >=, 0);
	if (machine.server == 0)
		serve(machine.bus, with_logind, ends[1]);
	close(ends[1]);
	g_autofree char *ready = read_call(&machine);
	g_assert_cmpstr(ready, ==, "ready");
	return machine;
}

static void machine_clear(Machine *machine)
{
	if (machine->server > 0) {
		kill(machine->server, SIGKILL);
		g_assert_cmpint(waitpid(machine->server, NULL, 0), ==, machine->server);
		close(machine->calls);
	}
	g_test_dbus_stop(machine->bus);
	g_object_unref(machine->bus);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Machine, machine_clear)

static gboolean reboot_on(const Machine *machine, GError **error)
{
	sd_bus *bus = connect_to(machine->bus);
	gboolean ok = proa_reboot(bus, error);

	sd_bus_flush_close_unref(bus);
	return ok;
}

/* It tells those who are logged in; nobody is asked for a password. */
static void logind_is_asked_first(void)
{
	g_auto(Machine) machine = machine_new(TRUE, TRUE);
	g_autoptr(GError) error = NULL;

	g_assert_true(reboot_on(&machine, &error));
	g_assert_no_error(error);
	g_autofree char *call = read_call(&machine);
	g_assert_cmpstr(call, ==, "Reboot 0");
}

static void systemd_where_there_is_no_logind(void)
{
	g_auto(Machine) machine = machine_new(FALSE, TRUE);
	g_autoptr(GError) error = NULL;

	g_assert_true(reboot_on(&machine, &error));
	g_autofree char *call = read_call(&machine);
	g_assert_cmpstr(call, ==, "StartUnit reboot.target replace-irreversibly");
}

static void nobody_there_is_an_error_that_names_both(void)
{
	g_auto(Machine) machine = machine_new(FALSE, FALSE);
	g_autoptr(GError) error = NULL;

	g_assert_false(reboot_on(&machine, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_INTERNAL);
	g_assert_nonnull(strstr(error->message, "logind: "));
	g_assert_nonnull(strstr(error->message, "systemd: "));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reboot/logind-is-asked-first", logind_is_asked_first);
	g_test_add_func("/reboot/systemd-where-there-is-no-logind", systemd_where_there_is_no_logind);
	g_test_add_func(
		"/reboot/nobody-there-is-an-error-that-names-both", nobody_there_is_an_error_that_names_both);
	return g_test_run();
}

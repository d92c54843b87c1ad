/* SPDX-License-Identifier: Apache-2.0 */
/* What proad does by itself and over D-Bus alone; and proad over the real proa-install and proa-bootd. */
#include "agent/bus-error.h"
#include "base/json.h"
#include "base/state.h"
#include "tests/unit/agent/harness.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAGE_AT_ONCE                                                                                         \
	"say '{\"event\":\"offer\",\"version\":\"1.0.1\",\"bytes\":91000000}'\n[ -z \"$check\" ] || exit 0\n" \
	"stage staged 1.0.1\nsay '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\"}'\n"

static void configure(const Harness *harness, const char *update)
{
	g_autofree char *text = g_strdup_printf("[update]\njitter=0\nstartup_delay=0\n%s\n", update);

	harness_write(harness, "etc/proa/update.conf", text);
}

/* --- a fixture of logind: writes ROOT/rebooted when it is asked to reboot
 * ------------------------------------------ */

static int on_reboot(sd_bus_message *call, void *data, sd_bus_error *error)
{
	const Harness *harness = data;

	harness_write(harness, "rebooted", "yes");
	return sd_bus_reply_method_return(call, NULL);
}

static const sd_bus_vtable logind_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Reboot", "b", "", on_reboot, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

G_NORETURN static void be_logind(const Harness *harness, pid_t parent)
{
	sd_bus *bus = NULL;
	sd_event *event = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", harness->address, TRUE);
	if (getppid() != parent || sd_event_new(&event) < 0 || sd_bus_open_system(&bus) < 0 ||
		sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/login1",
			"org.freedesktop.login1.Manager", logind_vtable, (void *)(guintptr)harness) < 0 ||
		sd_bus_request_name(bus, "org.freedesktop.login1", 0) < 0)
		_exit(1);
	harness_write(harness, "logind", "ready");
	sd_bus_attach_event(bus, event, 0);
	sd_event_loop(event);
	_exit(1);
}

static pid_t start_logind(const Harness *harness)
{
	pid_t parent = getpid(), pid = fork();

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0)
		be_logind(harness, parent);
	harness_wait_for(harness, "logind", "ready");
	return pid;
}

static void stop_logind(pid_t pid)
{
	kill(pid, SIGKILL);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* --- reboots
 * -------------------------------------------------------------------------------------------------------- */

static void test_reboot(void)
{
	g_auto(Harness) harness = harness_new();

	harness_start_bus(&harness);
	harness_start_proad(&harness);
	/* Nobody there to take it. */
	g_auto(Answer) nobody = harness_proa(&harness, "reboot --json");
	g_assert_cmpint(nobody.status, ==, PROA_EXIT_FAILED);
	g_assert_cmpstr(proa_json_string_or(nobody.json, "reason", NULL), ==, "internal");

	pid_t logind = start_logind(&harness);
	g_auto(Answer) answer = harness_proa(&harness, "reboot --json");
	g_assert_cmpint(answer.status, ==, 0);
	harness_wait_for(&harness, "rebooted", "yes");
	g_auto(Answer) history = harness_proa(&harness, "history");
	g_assert_nonnull(strstr(history.out, "reboot       1.0.0        root-a  asked for by uid"));
	stop_logind(logind);
}

static void test_update_and_reboot(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness, STAGE_AT_ONCE);
	harness_start_bus(&harness);
	harness_start_proad(&harness);
	pid_t logind = start_logind(&harness);
	g_auto(Answer) answer = harness_proa(&harness, "update --reboot --json");
	g_assert_cmpint(answer.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(answer.json, "version", NULL), ==, "1.0.1");
	g_assert_true(proa_json_bool_or(answer.json, "rebooting", FALSE));
	harness_wait_for(&harness, "rebooted", "yes");

	/* What was staged before is rebooted into as well; a failure is not. */
	harness_write(&harness, "rebooted", "no");
	harness_install(&harness, "fail payload-digest 1 'a flipped byte'");
	g_auto(Answer) failed = harness_proa(&harness, "update --reboot --json");
	g_assert_cmpint(failed.status, ==, PROA_EXIT_FAILED);
	g_autofree char *not = harness_read(&harness, "rebooted");
	g_assert_cmpstr(not, ==, "no");
	harness_install(&harness, "fail no-update 4 'nothing newer than 1.0.1'");
	g_auto(Answer) again = harness_proa(&harness, "update --reboot");
	g_assert_cmpint(again.status, ==, 0);
	harness_wait_for(&harness, "rebooted", "yes");
	stop_logind(logind);
}

/* --- by itself
 * ------------------------------------------------------------------------------------------------------ */

static void test_automatic_update(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness, STAGE_AT_ONCE);
	configure(&harness, "automatic=yes\nreboot=automatic\nreboot_delay=0");
	harness_start_bus(&harness);
	pid_t logind = start_logind(&harness);
	harness_start_proad(&harness);
	harness_wait_for(&harness, "rebooted", "yes");
	g_auto(Answer) history = harness_proa(&harness, "history");
	g_assert_nonnull(strstr(history.out, "[update] reboot=automatic"));

	/* The next check is an interval away, whether or not proad is started anew. */
	harness_stop_proad(&harness, SIGTERM);
	harness_write(&harness, "fixture/calls", "");
	harness_start_proad(&harness);
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	gint64 last = proa_json_int_or(proa_json_object_or_null(status.json, "last_check"), "time", 0);
	gint64 next = proa_json_int_or(status.json, "next_check", 0);
	g_assert_cmpint(ABS(next - last - 3600), <=, 1);
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_null(strstr(calls, "install"));
	stop_logind(logind);
}

static void test_staged_before_this_boot(void)
{
	g_auto(Harness) harness = harness_new();
	g_autoptr(ProaState) state = proa_state_new();
	g_autofree char *dir = scratch_file(&harness.scratch, "var/lib/proa");
	g_autofree char *two = g_strnfill(64, '2');

	/* It was staged when proad first looked: a reboot did not lead to it, and is no reason for one more.
	 */
	proa_state_set_release(&state->staged, "1.0.1", two, "root-b");
	state->kind = PROA_STATE_STAGED;
	g_assert_true(proa_state_save(dir, state, NULL));
	configure(&harness, "automatic=no\nreboot=automatic\nreboot_delay=0");
	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	g_assert_cmpstr(proa_json_string_or(status.json, "state", NULL), ==, "staged");
	g_assert_cmpint(proa_json_int_or(status.json, "next_reboot", 0), ==, 0);
	/* Nor when proad is started anew; another release is one. */
	harness_stop_proad(&harness, SIGTERM);
	pid_t logind = start_logind(&harness);
	harness_start_proad(&harness);
	g_auto(Answer) again = harness_proa(&harness, "status --json");
	g_assert_cmpint(proa_json_int_or(again.json, "next_reboot", 0), ==, 0);
	two[0] = '3';
	proa_state_set_release(&state->staged, "1.0.2", two, "root-b");
	g_assert_true(proa_state_save(dir, state, NULL));
	harness_wait_for(&harness, "rebooted", "yes");
	stop_logind(logind);
}

static void test_check_only(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness, STAGE_AT_ONCE);
	configure(&harness, "automatic=check-only");
	harness_start_bus(&harness);
	harness_start_proad(&harness);
	harness_wait_for(&harness, "var/lib/proa/state.json", "1.0.1");
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	g_assert_cmpstr(proa_json_string_or(status.json, "state", NULL), ==, "good");
	JsonObject *last = proa_json_object_or_null(status.json, "last_check");
	g_assert_cmpstr(proa_json_string_or(last, "offered", NULL), ==, "1.0.1");
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_nonnull(strstr(calls, "install check=yes"));
	g_assert_null(strstr(calls, "install check= "));
}

static void test_reload(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness, STAGE_AT_ONCE);
	configure(&harness, "automatic=no");
	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_auto(Answer) before = harness_proa(&harness, "status --json");
	g_assert_cmpint(proa_json_int_or(before.json, "next_check", 0), ==, 0);
	configure(&harness, "automatic=yes\ncheck_interval=2h");
	g_assert_cmpint(kill(harness.proad, SIGHUP), ==, 0);
	gint64 next = 0;
	for (int i = 0; i < 100 && next == 0; i++) {
		g_auto(Answer) after = harness_proa(&harness, "status --json");
		next = proa_json_int_or(after.json, "next_check", 0);
		g_usleep(20000);
	}
	/* Never checked, so overdue: soon, but not at once. */
	g_assert_cmpint(next, >, g_get_real_time() / G_USEC_PER_SEC);
	g_assert_cmpint(next, <=, g_get_real_time() / G_USEC_PER_SEC + 30);
}

/* --- the bus
 * -------------------------------------------------------------------------------------------------------- */

static void test_interface(void)
{
	g_auto(Harness) harness = harness_new();
	sd_bus *bus = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char *text = NULL;

	harness_install(&harness, STAGE_AT_ONCE);
	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", harness.address, TRUE);
	g_assert_cmpint(sd_bus_open_system(&bus), >=, 0);
	static const struct {
		const char *name, *value;
	} strings[] = {
		{ "State", "good" },
		{ "Version", "1.0.0" },
		{ "Slot", "root-a" },
		{ "StagedVersion", "" },
		{ "LastCheckResult", "" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(strings); i++) {
		g_assert_cmpint(sd_bus_get_property_string(bus, PROA_BUS_NAME, PROA_BUS_PATH,
					PROA_BUS_INTERFACE, strings[i].name, &error, &text),
			>=, 0);
		g_assert_cmpstr(text, ==, strings[i].value);
		free(text);
	}
	/* A refusal is an error with the reason in its name; nothing to cancel is none. */
	g_assert_cmpint(sd_bus_call_method(bus, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE, "Update",
				&error, NULL, "s", "../../etc"),
		<, 0);
	g_assert_cmpstr(error.name, ==, "org.proa.Node1.Error.Usage");
	sd_bus_error_free(&error);
	g_assert_cmpint(sd_bus_call_method(bus, PROA_BUS_NAME, PROA_BUS_PATH, PROA_BUS_INTERFACE, "Cancel",
				&error, NULL, ""),
		>=, 0);
	/* Nobody needs a bus of ours to end badly. */
	sd_bus_flush_close_unref(bus);
	g_auto(Answer) answer = harness_proa(&harness, "status");
	g_assert_cmpint(answer.status, ==, 0);
}

/* --- the real children
 * ---------------------------------------------------------------------------------------------- */

static void test_real_children(void)
{
	g_auto(Harness) harness = harness_new();
	g_autofree char *install = scratch_file(&harness.scratch, "libexec/proa-install");
	g_autofree char *bootd = scratch_file(&harness.scratch, "libexec/proa-bootd");
	g_autofree char *libexec = scratch_file(&harness.scratch, "libexec");

	g_assert_cmpint(g_mkdir(libexec, 0755), ==, 0);
	g_assert_cmpint(symlink(PROA_INSTALL, install), ==, 0);
	g_assert_cmpint(symlink(PROA_BOOTD, bootd), ==, 0);
	g_set_str(&harness.libexec, libexec);
	g_autofree char *one = g_strnfill(64, '1');
	g_autofree char *command_line = g_strdup_printf("ro roothash=%s\n", one);
	harness_write(&harness, "proc/cmdline", command_line);
	harness_write(&harness, "usr/lib/os-release", "ID=proa\nIMAGE_ID=proa\nIMAGE_VERSION=1.0.0\n");
	harness_start_bus(&harness);
	harness_start_proad(&harness);

	/* No ESP here: the slots are unknown, and the rest is told. */
	g_auto(Answer) status = harness_proa(&harness, "status --json");
	g_assert_cmpint(status.status, ==, 0);
	g_assert_cmpstr(proa_json_string_or(status.json, "state", NULL), ==, "good");
	g_assert_cmpstr(proa_json_string_or(proa_json_object_or_null(status.json, "booted"), "version", NULL),
		==, "1.0.0");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(status.json, "problems")), >=, 1);

	/* No TUF root in this tree, so the real proa-install has nothing to begin with. */
	g_auto(Answer) check = harness_proa(&harness, "check --json");
	g_assert_cmpint(check.status, ==, PROA_EXIT_REFUSED);
	g_assert_cmpstr(proa_json_string_or(check.json, "reason", NULL), ==, "no-trust");
	g_auto(Answer) after = harness_proa(&harness, "status --json");
	JsonObject *last = proa_json_object_or_null(after.json, "last_check");
	g_assert_cmpstr(proa_json_string_or(last, "result", NULL), ==, "no-trust");

	/* It touches no disk of the machine that tests it. */
	g_auto(Answer) update = harness_proa(&harness, "update --json");
	g_assert_cmpstr(proa_json_string_or(update.json, "reason", NULL), ==, "usage");
	g_auto(Answer) rollback = harness_proa(&harness, "rollback --json");
	g_assert_nonnull(rollback.json);
	g_assert_false(proa_json_bool_or(rollback.json, "ok", TRUE));
	g_assert_cmpstr(proa_json_string_or(rollback.json, "reason", "internal"), !=, "internal");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/service/reboot-goes-through-logind", test_reboot);
	g_test_add_func("/service/update-and-reboot-in-one", test_update_and_reboot);
	g_test_add_func("/service/automatic-stages-and-reboots", test_automatic_update);
	g_test_add_func(
		"/service/staged-before-this-boot-is-no-reason-to-reboot", test_staged_before_this_boot);
	g_test_add_func("/service/check-only-stages-nothing", test_check_only);
	g_test_add_func("/service/reload-plans-anew", test_reload);
	g_test_add_func("/service/properties-and-error-names", test_interface);
	g_test_add_func("/service/real-children-refuse-with-their-reasons", test_real_children);
	return g_test_run();
}

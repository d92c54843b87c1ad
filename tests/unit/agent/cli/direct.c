/* SPDX-License-Identifier: Apache-2.0 */
/* proa without proad and without a bus, as root and as somebody else. */
#include "agent/cli/direct.h"

#include "agent/history.h"
#include "base/json.h"
#include "base/state.h"
#include "tests/unit/agent/harness.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static ProaPaths *paths_of(const Harness *harness)
{
	return proa_paths_new(harness->scratch.path, harness->libexec);
}

static JsonObject *operate(const Harness *harness, ProaOperation operation, GError **error)
{
	g_autoptr(ProaPaths) paths = paths_of(harness);
	g_autoptr(ProaProgress) progress = proa_progress_new(stderr, PROA_PROGRESS_NONE);

	return proa_direct_operate(paths, operation, NULL, progress, error);
}

static void the_status_comes_from_bootd_and_the_files(void)
{
	g_auto(Harness) harness = harness_new();
	g_autoptr(ProaPaths) paths = paths_of(&harness);
	g_autoptr(JsonObject) status = proa_direct_status(paths);

	g_assert_cmpstr(proa_json_string_or(status, "agent", NULL), ==, "not-running");
	g_assert_cmpstr(proa_json_string_or(status, "state", NULL), ==, "good");
	g_assert_cmpstr(proa_json_string_or(proa_json_object_or_null(status, "booted"), "entry", NULL), ==,
		"proa_1.0.0.efi");
	/* A bootd that cannot say is one problem more, and no end. */
	harness_write(&harness, "fixture/status", "nothing");
	g_autoptr(JsonObject) without = proa_direct_status(paths);
	g_assert_cmpstr(proa_json_string_or(without, "state", NULL), ==, "good");
	g_assert_cmpuint(json_array_get_length(proa_json_array_or_null(without, "problems")), ==, 1);
}

static void every_operation_runs_and_the_check_is_recorded(void)
{
	g_auto(Harness) harness = harness_new();

	harness_install(&harness,
		"say '{\"event\":\"offer\",\"version\":\"1.0.1\"}'\n[ -z \"$check\" ] || exit 0\n"
		"stage staged 1.0.1\nsay '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\"}'\n");
	for (int i = 0; i < _PROA_OPERATION_MAX; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(JsonObject) detail = operate(&harness, (ProaOperation)i, &error);
		g_assert_no_error(error);
		g_assert_true(proa_json_bool_or(detail, "ok", FALSE));
	}
	g_autofree char *dir = scratch_file(&harness.scratch, "var/lib/proa");
	g_autoptr(ProaState) state = proa_state_load(dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_STAGED);
	g_assert_cmpstr(state->last_check_result, ==, "ok");
	g_assert_cmpstr(state->last_check_offered, ==, "1.0.1");
}

/* proa-install dies without a word: the state must not stay at staging. */
static void a_child_that_dies_leaves_no_staging(void)
{
	g_auto(Harness) harness = harness_new();
	g_autofree char *dir = scratch_file(&harness.scratch, "var/lib/proa");

	harness_install(&harness, "stage staging 1.0.1\nkill -KILL $$");
	g_autoptr(JsonObject) detail = operate(&harness, PROA_OPERATION_UPDATE, NULL);
	g_assert_cmpstr(proa_json_string_or(detail, "reason", NULL), ==, "internal");
	g_autoptr(ProaState) state = proa_state_load(dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_GOOD);
}

/* A /var that takes nothing keeps nobody from acting. */
static void a_var_that_cannot_be_written_is_passed_over(void)
{
	g_auto(Harness) harness = harness_new();
	g_autofree char *lock = scratch_file(&harness.scratch, "var/lib/proa/state.lock");

	g_assert_cmpint(g_mkdir(lock, 0755), ==, 0);
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) rollback = operate(&harness, PROA_OPERATION_ROLLBACK, &error);
	g_assert_no_error(error);
	g_assert_true(proa_json_bool_or(rollback, "ok", FALSE));
	g_autoptr(JsonObject) check = operate(&harness, PROA_OPERATION_CHECK, &error);
	g_assert_cmpstr(proa_json_string_or(check, "reason", NULL), ==, "no-update");
}

/* `systemctl` is the first one in PATH: a script that says what it was told, since the real one would obey.
 */
static void the_reboot_goes_to_systemctl(void)
{
	g_auto(Harness) harness = harness_new();
	g_autoptr(ProaPaths) paths = paths_of(&harness);
	g_autofree char *folder = scratch_file(&harness.scratch, "bin");
	g_autofree char *systemctl = scratch_file(&harness.scratch, "bin/systemctl");
	g_autofree char *script =
		g_strdup_printf("#!/bin/sh\necho \"$*\" >%s/called\n", harness.scratch.path);
	g_autofree char *before = g_strdup(g_getenv("PATH"));
	g_autofree char *path = g_strconcat(folder, ":", before, NULL);
	g_autoptr(GError) error = NULL;

	harness_write(&harness, "bin/systemctl", script);
	g_assert_cmpint(g_chmod(systemctl, 0755), ==, 0);
	g_setenv("PATH", path, TRUE);
	g_assert_true(proa_direct_reboot(paths, &error));
	g_assert_no_error(error);
	g_autofree char *called = harness_read(&harness, "called");
	g_assert_cmpstr(called, ==, "reboot\n");
	g_autoptr(JsonArray) history = proa_history_load(paths->state_dir, 0, NULL);
	g_assert_cmpuint(json_array_get_length(history), ==, 1);

	harness_write(&harness, "bin/systemctl", "#!/bin/sh\nexit 1\n");
	g_assert_cmpint(g_chmod(systemctl, 0755), ==, 0);
	g_assert_false(proa_direct_reboot(paths, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_INTERNAL);
	g_setenv("PATH", before, TRUE);
}

/* Exit status of a child that is somebody else. */
static int as_nobody(const Harness *harness)
{
	g_autoptr(ProaPaths) paths = paths_of(harness);
	g_autoptr(GError) error = NULL, reboot_error = NULL;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 2;
	if (operate(harness, PROA_OPERATION_UPDATE, &error) ||
		proa_reason_of(error) != PROA_REASON_PERMISSION)
		return 3;
	if (proa_direct_reboot(paths, &reboot_error) ||
		proa_reason_of(reboot_error) != PROA_REASON_PERMISSION)
		return 4;
	g_autoptr(JsonObject) status = proa_direct_status(paths);
	return strcmp(proa_json_string_or(status, "state", ""), "good") == 0 ? 0 : 5;
}

static void somebody_else_may_look_and_not_act(void)
{
	g_auto(Harness) harness = harness_new();
	int status;

	if (geteuid() != 0) {
		g_test_skip("needs root, to become another user");
		return;
	}
	pid_t pid = fork();
	g_assert_cmpint(pid, >=, 0);
	if (pid == 0)
		_exit(as_nobody(&harness));
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 0);
	g_autofree char *calls = harness_read(&harness, "fixture/calls");
	g_assert_cmpstr(calls, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/direct/the-status-comes-from-bootd-and-the-files",
		the_status_comes_from_bootd_and_the_files);
	g_test_add_func("/direct/every-operation-runs-and-the-check-is-recorded",
		every_operation_runs_and_the_check_is_recorded);
	g_test_add_func("/direct/a-child-that-dies-leaves-no-staging", a_child_that_dies_leaves_no_staging);
	g_test_add_func("/direct/a-var-that-cannot-be-written-is-passed-over",
		a_var_that_cannot_be_written_is_passed_over);
	g_test_add_func("/direct/the-reboot-goes-to-systemctl", the_reboot_goes_to_systemctl);
	g_test_add_func("/direct/somebody-else-may-look-and-not-act", somebody_else_may_look_and_not_act);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proa's side of the bus against a real proad on a private one. */
#include "agent/cli/client.h"

#include "agent/bus-error.h"
#include "base/json.h"
#include "tests/unit/agent/harness.h"
#include "tests/unit/agent/loop.h"

#include <string.h>

#define STAGED                                                                                               \
	"stage staged 1.0.1\nsay '{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\",\"slot\":\"root-b\"}'\n"

/* A bus with proad on it, that this process takes for the system's. */
static Harness started(void)
{
	Harness harness = harness_new();

	harness_start_bus(&harness);
	harness_start_proad(&harness);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", harness.address, TRUE);
	return harness;
}

static ProaClient *client_open(void)
{
	g_autoptr(GError) error = NULL;
	ProaClient *client = proa_client_open(&error);

	g_assert_no_error(error);
	return client;
}

static JsonObject *operate(
	ProaOperation operation, const char *version, gboolean *ret_started, GError **error)
{
	g_autoptr(ProaClient) client = client_open();
	g_autoptr(ProaProgress) progress = proa_progress_new(stderr, PROA_PROGRESS_NONE);
	sd_event *event = loop_new();
	JsonObject *detail = proa_client_operate(client, operation, version, progress, ret_started, error);

	sd_event_unref(event);
	return detail;
}

static void the_status_is_proads(void)
{
	g_auto(Harness) harness = started();
	g_autoptr(ProaClient) client = client_open();
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) status = proa_client_status(client, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(proa_json_string_or(status, "agent", NULL), ==, "running");
}

static void an_operation_is_followed_to_its_end(void)
{
	g_auto(Harness) harness = started();
	g_autoptr(GError) error = NULL;
	gboolean taken = FALSE;

	harness_install(&harness, STAGED);
	g_autoptr(JsonObject) detail = operate(PROA_OPERATION_UPDATE, NULL, &taken, &error);
	g_assert_no_error(error);
	g_assert_true(taken);
	g_assert_cmpstr(proa_json_string_or(detail, "result", NULL), ==, "staged");
	/* A failure is an outcome as well, not an error of the client. */
	harness_install(&harness, "fail stale-feed 3 'expired'");
	g_autoptr(JsonObject) failed = operate(PROA_OPERATION_CHECK, NULL, &taken, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(proa_json_string_or(failed, "reason", NULL), ==, "stale-feed");
}

/* Each operation calls the method of its name, and only those that take a release send one. */
static void every_operation_calls_its_method(void)
{
	g_auto(Harness) harness = started();

	harness_install(&harness, "say '{\"event\":\"offer\",\"version\":\"1.0.1\"}'\n" STAGED);
	for (int i = 0; i < PROA_OPERATION_PLAN_ROLLBACK; i++) {
		ProaOperation operation = (ProaOperation)i;
		g_autoptr(GError) error = NULL;
		gboolean taken = FALSE;
		g_autoptr(JsonObject) detail = operate(operation, "1.0.1", &taken, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(proa_json_string_or(detail, "operation", NULL), ==,
			proa_operation_to_string(operation));
		g_assert_true(proa_json_bool_or(detail, "ok", FALSE));
	}
}

static void a_refusal_was_not_taken(void)
{
	g_auto(Harness) harness = started();
	g_autoptr(GError) error = NULL;
	gboolean taken = TRUE;

	g_assert_null(operate(PROA_OPERATION_UPDATE, "../../etc", &taken, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	g_assert_false(taken);
}

static void an_absent_proad_may_be_gone_around(void)
{
	g_auto(Harness) harness = harness_new();
	g_autoptr(GError) error = NULL, no_bus = NULL;
	gboolean taken = TRUE;

	harness_start_bus(&harness);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", harness.address, TRUE);
	g_assert_null(operate(PROA_OPERATION_CHECK, NULL, &taken, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_AGENT);
	g_assert_false(taken);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", TRUE);
	g_assert_null(proa_client_open(&no_bus));
	g_assert_error(no_bus, PROA_ERROR, PROA_REASON_NO_AGENT);
}

/* It may go on without us: doing it once more another way would be wrong. */
static void a_proad_that_dies_in_the_middle_had_taken_it(void)
{
	g_auto(Harness) harness = started();
	g_autoptr(GError) error = NULL;
	gboolean taken = FALSE;
	g_autofree char *script = g_strdup_printf("kill -KILL %d; sleep 1000", harness.proad);

	harness_install(&harness, script);
	g_assert_null(operate(PROA_OPERATION_UPDATE, NULL, &taken, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_AGENT);
	g_assert_true(taken);
	harness.proad = 0;
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/client/the-status-is-proads", the_status_is_proads);
	g_test_add_func("/client/an-operation-is-followed-to-its-end", an_operation_is_followed_to_its_end);
	g_test_add_func("/client/every-operation-calls-its-method", every_operation_calls_its_method);
	g_test_add_func("/client/a-refusal-was-not-taken", a_refusal_was_not_taken);
	g_test_add_func("/client/an-absent-proad-may-be-gone-around", an_absent_proad_may_be_gone_around);
	g_test_add_func("/client/a-proad-that-dies-in-the-middle-had-taken-it",
		a_proad_that_dies_in_the_middle_had_taken_it);
	return g_test_run();
}

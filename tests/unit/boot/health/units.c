/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/health/context.h"
#include "tests/unit/boot/health/manager.h"

static ProaHealthResult check(const Managed *managed, const char *text, GHashTable *memory)
{
	g_autoptr(ProaSystemd) systemd = proa_systemd_new(managed->address, 30);

	return context_check_with(&managed->scratch, &proa_health_units, text, systemd, memory);
}

static void running_is_right(void)
{
	g_auto(Managed) managed = { 0 };

	managed_set(&managed, &(Manager){ .state = "running" });
	context_expect_ok(check(&managed, "", NULL));
}

static void a_failed_unit_is_waited_for_only_while_the_system_starts(void)
{
	g_auto(Managed) managed = { 0 };

	managed_set(&managed, &(Manager){ .state = "starting" });
	context_expect_node(check(&managed, "", NULL), PROA_REASON_UNIT_FAILED, "bad.service");
	/* `systemctl rescue`: nobody reboots under the operator's hands. */
	managed_set(&managed, &(Manager){ .state = "maintenance" });
	context_expect_node(check(&managed, "", NULL), PROA_REASON_UNIT_FAILED, "bad.service");
	managed_set(&managed, &(Manager){ .state = "maintenance", .nothing_failed = TRUE });
	context_expect_node(check(&managed, "", NULL), PROA_REASON_NOT_RUNNING, "the system is maintenance");
	managed_set(&managed, &(Manager){ .state = "degraded" });
	context_expect(check(&managed, "", NULL), PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE,
		PROA_REASON_UNIT_FAILED, "bad.service");
}

static void a_named_unit_must_be_active(void)
{
	g_auto(Managed) managed = { 0 };
	const char *text = "[units]\nactive=one.service\n";

	managed_set(&managed, &(Manager){ "running", "loaded", "active", 5, FALSE, NULL });
	context_expect_ok(check(&managed, text, NULL));
	managed_set(&managed, &(Manager){ "running", "loaded", "inactive", 0, FALSE, NULL });
	context_expect_node(check(&managed, text, NULL), PROA_REASON_UNIT_FAILED, "one.service is inactive");
	managed_set(&managed, &(Manager){ "running", "masked", "inactive", 0, FALSE, NULL });
	context_expect_node(check(&managed, text, NULL), PROA_REASON_UNIT_FAILED, "masked");
	context_expect_node(
		check(&managed, "[units]\nactive=two.service\n", NULL), PROA_REASON_UNIT_FAILED, "not-found");
}

/* Active at each look, but not since the last one: the settling time begins anew. */
static void one_that_was_started_again_is_seen(void)
{
	g_auto(Managed) managed = { 0 };
	g_autoptr(GHashTable) memory = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *text = "[units]\nactive=one.service\n";

	managed_set(&managed, &(Manager){ "running", "loaded", "active", 1000, FALSE, NULL });
	context_expect_ok(check(&managed, text, memory));
	context_expect_ok(check(&managed, text, memory));
	managed_set(&managed, &(Manager){ "running", "loaded", "active", 2000, FALSE, NULL });
	context_expect_node(check(&managed, text, memory), PROA_REASON_UNIT_RESTARTED, "one.service");
	context_expect_ok(check(&managed, text, memory));
}

static void no_manager_is_not_running(void)
{
	g_auto(Managed) managed = { 0 };

	managed_set(&managed, &(Manager){ .state = "running" });
	kill(managed.child, SIGKILL);
	context_expect_node(check(&managed, "", NULL), PROA_REASON_NOT_RUNNING, NULL);
}

/* It needs the API server, which is down for everyone. */
static void a_unit_that_waits_for_elsewhere_is_no_fault_of_the_node(void)
{
	g_auto(Managed) managed = { 0 };
	const char *bad = "[units]\nelsewhere=api.service bad.service\n";
	const char *both = "[units]\nactive=one.service\nelsewhere=bad.service one.service\n";
	const char *own = "[units]\nactive=one.service\nelsewhere=bad.service\n";

	managed_set(&managed, &(Manager){ .state = "degraded" });
	context_expect_elsewhere(check(&managed, bad, NULL), PROA_REASON_UNIT_FAILED, "bad.service");
	managed_set(
		&managed, &(Manager){ .state = "starting", .nothing_failed = TRUE, .begun = "api.service" });
	context_expect_elsewhere(check(&managed, bad, NULL), PROA_REASON_UNIT_FAILED, "api.service");
	/* Something else has begun, too, or nothing has yet. */
	managed_set(&managed, &(Manager){ .state = "starting", .begun = "mine.service" });
	context_expect_node(check(&managed, bad, NULL), PROA_REASON_NOT_RUNNING, "mine.service");
	managed_set(&managed, &(Manager){ .state = "starting", .nothing_failed = TRUE });
	context_expect_node(check(&managed, bad, NULL), PROA_REASON_NOT_RUNNING, "the system is starting");
	managed_set(&managed, &(Manager){ .state = "degraded" });
	context_expect(check(&managed, "[units]\nelsewhere=api.service\n", NULL), PROA_HEALTH_FAIL,
		PROA_FAULT_OF_NODE, PROA_REASON_UNIT_FAILED, "bad.service");
	managed_set(&managed, &(Manager){ "running", "loaded", "inactive", 0, TRUE, NULL });
	context_expect_elsewhere(check(&managed, both, NULL), PROA_REASON_UNIT_FAILED, "one.service");
	/* A fault of the node is not hidden behind one of elsewhere. */
	managed_set(&managed, &(Manager){ "degraded", "loaded", "inactive", 0, FALSE, NULL });
	context_expect_node(check(&managed, own, NULL), PROA_REASON_UNIT_FAILED, "one.service is inactive");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/units/running-is-right", running_is_right);
	g_test_add_func("/units/a-failed-unit-is-waited-for-only-while-the-system-starts",
		a_failed_unit_is_waited_for_only_while_the_system_starts);
	g_test_add_func("/units/a-named-unit-must-be-active", a_named_unit_must_be_active);
	g_test_add_func("/units/one-that-was-started-again-is-seen", one_that_was_started_again_is_seen);
	g_test_add_func("/units/a-unit-that-waits-for-elsewhere-is-no-fault-of-the-node",
		a_unit_that_waits_for_elsewhere_is_no_fault_of_the_node);
	g_test_add_func("/units/no-manager-is-not-running", no_manager_is_not_running);
	return g_test_run();
}

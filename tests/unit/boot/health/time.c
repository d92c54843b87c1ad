/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own answer decides, so the test follows it: who is to blame depends on whether a time service
 * runs. */
#include "tests/unit/boot/health/context.h"
#include "tests/unit/boot/health/manager.h"

#include <sys/timex.h>

#define TEXT "[time]\nenabled=yes\nservices=one.service\n"

static ProaHealthResult check(const char *active)
{
	g_auto(Managed) managed = { 0 };

	managed_set(&managed, &(Manager){ "running", "loaded", active, 5, FALSE, NULL });
	g_autoptr(ProaSystemd) systemd = proa_systemd_new(managed.address, 30);
	return context_check(&managed.scratch, &proa_health_time, TEXT, systemd);
}

static void follows_the_kernel(void)
{
	struct timex clock = { 0 };

	g_assert_cmpint(adjtimex(&clock), >=, 0);
	if (!(clock.status & STA_UNSYNC)) {
		context_expect_ok(check("active"));
		context_expect_ok(check("inactive"));
		return;
	}
	context_expect_elsewhere(check("active"), PROA_REASON_TIME, "one.service runs");
	context_expect_node(check("inactive"), PROA_REASON_TIME, "no time service");
}

static void not_asked_for_is_skipped(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(context_check(&scratch, &proa_health_time, "", NULL), "enabled=no");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/time/follows-the-kernel", follows_the_kernel);
	g_test_add_func("/time/not-asked-for-is-skipped", not_asked_for_is_skipped);
	return g_test_run();
}

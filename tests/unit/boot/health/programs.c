/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/health/context.h"

static void add(const Scratch *scratch, const char *name, const char *script)
{
	g_autofree char *path = scratch_write(scratch, name, script, -1);

	g_assert_cmpint(g_chmod(path, 0755), ==, 0);
}

static ProaHealthResult check(const Scratch *scratch)
{
	return context_check(scratch, &proa_health_programs, "[programs]\ntimeout=2s\n", NULL);
}

#define OURS "usr/lib/proa/health.d/"
#define THEIRS "etc/proa/health.d/"

static void none_is_skipped(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(check(&scratch), "no programs");
}

static void a_required_one_must_succeed(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, OURS "required/10-well", "#!/bin/sh\nexit 0\n");
	context_expect_ok(check(&scratch));
	add(&scratch, THEIRS "required/20-ill", "#!/bin/sh\necho trying\necho no volume >&2\nexit 3\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "20-ill: exit status 3: no volume");
}

static void one_that_hangs_is_ended(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, THEIRS "required/stuck", "#!/bin/sh\nexec sleep 1000\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "stuck: no end within 2 s");
}

static void it_may_say_that_it_is_not_the_nodes_fault(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, OURS "required/10-registry", "#!/bin/sh\necho registry is down\nexit 75\n");
	context_expect_elsewhere(check(&scratch), PROA_REASON_HEALTH_CHECK, "registry is down");
	add(&scratch, OURS "required/20-ours", "#!/bin/sh\nexit 1\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "20-ours");
}

static void a_wanted_one_is_only_told_of(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, THEIRS "wanted/metrics", "#!/bin/sh\necho no metrics\nexit 1\n");
	context_expect(check(&scratch), PROA_HEALTH_OK, PROA_FAULT_OF_NODE, PROA_REASON_INTERNAL,
		"wanted: metrics: exit status 1: no metrics");
}

/* As in systemd: the operator's file hides the shipped one, and one that is not executable hides it for good.
 */
static void etc_hides_usr(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, OURS "required/volume", "#!/bin/sh\nexit 1\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "volume");
	g_autofree char *mask = scratch_write(&scratch, THEIRS "required/volume", "", 0);
	g_assert_nonnull(mask);
	context_expect_ok(check(&scratch));
	add(&scratch, THEIRS "required/volume", "#!/bin/sh\nexit 4\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "status 4");
}

static void what_cannot_be_run_is_told(void)
{
	g_auto(Scratch) scratch = scratch_new();

	add(&scratch, THEIRS "required/broken", "#!/nonexistent/interpreter\n");
	context_expect_node(check(&scratch), PROA_REASON_HEALTH_CHECK, "broken");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/programs/none-is-skipped", none_is_skipped);
	g_test_add_func("/programs/a-required-one-must-succeed", a_required_one_must_succeed);
	g_test_add_func("/programs/one-that-hangs-is-ended", one_that_hangs_is_ended);
	g_test_add_func("/programs/it-may-say-that-it-is-not-the-nodes-fault",
		it_may_say_that_it_is_not_the_nodes_fault);
	g_test_add_func("/programs/a-wanted-one-is-only-told-of", a_wanted_one_is_only_told_of);
	g_test_add_func("/programs/etc-hides-usr", etc_hides_usr);
	g_test_add_func("/programs/what-cannot-be-run-is-told", what_cannot_be_run_is_told);
	return g_test_run();
}

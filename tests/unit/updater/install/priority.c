/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/priority.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int io_priority(void)
{
	return (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
}

/* In this order, since there is no way back up. */
static void lowers(void)
{
	int before = getpriority(PRIO_PROCESS, 0);

	g_assert_true(proa_priority_lower("normal", "normal"));
	g_assert_cmpint(getpriority(PRIO_PROCESS, 0), ==, before);
	g_assert_true(proa_priority_lower("low", "normal"));
	g_assert_cmpint(io_priority(), ==, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
	g_assert_true(proa_priority_lower("idle", "low"));
	g_assert_cmpint(IOPRIO_PRIO_CLASS(io_priority()), ==, IOPRIO_CLASS_IDLE);
	g_assert_cmpint(getpriority(PRIO_PROCESS, 0), ==, MAX(before, 10));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/install/priority/lowers", lowers);
	return g_test_run();
}

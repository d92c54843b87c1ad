/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/priority.h"

#include <linux/ioprio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10

gboolean proa_priority_lower(const char *io, const char *cpu)
{
	gboolean ok = TRUE;
	int value = -1;

	if (strcmp(io, "idle") == 0)
		value = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
	else if (strcmp(io, "low") == 0)
		value = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_BE_NR - 1);
	if (value >= 0)
		ok = syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) == 0;
	/* Never up again: whoever started it may have lowered it further. */
	if (strcmp(cpu, "low") == 0 && getpriority(PRIO_PROCESS, 0) < NICE)
		ok = setpriority(PRIO_PROCESS, 0, NICE) == 0 && ok;
	return ok;
}

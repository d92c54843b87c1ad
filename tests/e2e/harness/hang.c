/* SPDX-License-Identifier: Apache-2.0 */
/* hang: takes every processor from everything else, as a kernel does that spins. For long_trouble.py; static,
 * for an initrd. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define CPUS 4

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

int main(void)
{
	struct sched_param highest = { .sched_priority = 99 };
	char path[64];

	/* Since Linux 6.12 a server of its own gives ordinary tasks 5 % beside real-time ones. */
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) < 0)
		perror("debugfs");
	for (int cpu = 0; cpu < CPUS; cpu++) {
		snprintf(path, sizeof path, "/sys/kernel/debug/sched/fair_server/cpu%d/runtime", cpu);
		put(path, "0");
	}
	put("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	for (int cpu = 1; cpu < CPUS; cpu++)
		if (fork() == 0)
			break;
	if (sched_setscheduler(0, SCHED_FIFO, &highest) < 0)
		perror("sched_setscheduler");
	for (;;)
		;
}

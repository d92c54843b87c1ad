/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager: stands in for PID 1 on a private D-Bus socket; a test has no system manager of its own. It answers
 * what proa_systemd asks, in a process of its own. For unit tests only.
 */
#pragma once

#include "boot/systemd.h"
#include "tests/unit/scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

/* What it says of itself and of its one unit, which is called "one.service"; all others are not found. */
typedef struct {
	const char *state;
	const char *load, *active;
	guint64 since;
	gboolean nothing_failed; /* else "bad.service" has */
	const char *begun; /* a job that was begun, and "multi-user.target" waits for it; NULL: no jobs */
} Manager;

typedef struct {
	Manager says;
	gboolean reached; /* boot-complete.target was asked for */
} ManagerServing;

typedef struct {
	Scratch scratch;
	char *address;
	pid_t child;
} Managed;

static inline void managed_clear(Managed *managed)
{
	if (managed->child > 0) {
		kill(managed->child, SIGKILL);
		waitpid(managed->child, NULL, 0);
	}
	g_free(managed->address);
	scratch_clear(&managed->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Managed, managed_clear)

static inline int manager_property(const ManagerServing *serving, sd_bus_message *call)
{
	const Manager *manager = &serving->says;
	const char *interface, *property, *path = sd_bus_message_get_path(call);
	gboolean known = strstr(path, "one_2eservice") != NULL;
	gboolean reached = serving->reached && strstr(path, "complete_2etarget");

	if (sd_bus_message_read(call, "ss", &interface, &property) < 0)
		return -EINVAL;
	if (strcmp(property, "SystemState") == 0)
		return sd_bus_reply_method_return(call, "v", "s", manager->state);
	if (strcmp(property, "LoadState") == 0)
		return sd_bus_reply_method_return(call, "v", "s", known ? manager->load : "not-found");
	if (strcmp(property, "ActiveState") == 0)
		return sd_bus_reply_method_return(call, "v", "s",
			reached ? "active"
			: known ? manager->active
				: "inactive");
	return sd_bus_reply_method_return(call, "v", "t", known ? manager->since : (uint64_t)0);
}

static inline int manager_answer(sd_bus_message *call, void *data, G_GNUC_UNUSED sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(call), *unit = "";
	ManagerServing *serving = data;
	const Manager *manager = &serving->says;

	if (g_strcmp0(member, "Get") == 0)
		return manager_property(serving, call);
	if (g_strcmp0(member, "LoadUnit") == 0 && sd_bus_message_read(call, "s", &unit) >= 0)
		return sd_bus_reply_method_return(call, "o",
			strcmp(unit, "one.service") == 0 ? "/org/freedesktop/systemd1/unit/one_2eservice"
			: strcmp(unit, "boot-complete.target") == 0
				? "/org/freedesktop/systemd1/unit/boot_2dcomplete_2etarget"
				: "/org/freedesktop/systemd1/unit/none");
	if (g_strcmp0(member, "StartUnit") == 0 && sd_bus_message_read(call, "s", &unit) >= 0) {
		serving->reached |= strcmp(unit, "boot-complete.target") == 0;
		return sd_bus_reply_method_return(call, "o", "/org/freedesktop/systemd1/job/1");
	}
	if (g_strcmp0(member, "ListUnitsFiltered") == 0 && manager->nothing_failed)
		return sd_bus_reply_method_return(call, "a(ssssssouso)", 0);
	if (g_strcmp0(member, "ListUnitsFiltered") == 0)
		return sd_bus_reply_method_return(
			call, "a(ssssssouso)", 1, "bad.service", "", "", "", "", "", "/", 0, "", "/");
	if (g_strcmp0(member, "ListJobs") == 0 && manager->begun)
		return sd_bus_reply_method_return(call, "a(usssoo)", 2, 1, "multi-user.target", "start",
			"waiting", "/", "/", 2, manager->begun, "start", "running", "/", "/");
	if (g_strcmp0(member, "ListJobs") == 0)
		return sd_bus_reply_method_return(call, "a(usssoo)", 0);
	return 0;
}

static inline void manager_serve(int fd, const Manager *manager)
{
	ManagerServing serving = { .says = *manager };

	for (;;) {
		sd_bus *bus = NULL;
		int peer = accept(fd, NULL, NULL);
		sd_id128_t id = { .qwords = { 1, 2 } };
		if (peer < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, peer, peer) < 0 ||
			sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 ||
			sd_bus_add_filter(bus, NULL, manager_answer, &serving) < 0 || sd_bus_start(bus) < 0)
			_exit(1);
		for (int r = 0; r >= 0;) {
			r = sd_bus_process(bus, NULL);
			if (r == 0)
				r = sd_bus_wait(bus, UINT64_MAX);
		}
		sd_bus_unref(bus);
	}
}

/* Starts it, or starts it anew with other answers on the same address. */
static inline void managed_set(Managed *managed, const Manager *manager)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (managed->child > 0) {
		kill(managed->child, SIGKILL);
		waitpid(managed->child, NULL, 0);
	} else {
		managed->scratch = scratch_new();
		managed->address = g_strdup_printf("unix:path=%s/private", managed->scratch.path);
	}
	g_snprintf(name.sun_path, sizeof name.sun_path, "%s/private", managed->scratch.path);
	unlink(name.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_true(fd >= 0);
	g_assert_cmpint(bind(fd, (const struct sockaddr *)(const void *)&name, sizeof name), ==, 0);
	g_assert_cmpint(listen(fd, 4), ==, 0);
	managed->child = fork();
	if (managed->child == 0) {
		/* Not to be left behind by a test that was killed. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			_exit(1);
		manager_serve(fd, manager);
	}
	close(fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proad: the agent. Idle until a timer or a D-Bus call moves it. */
#include "agent/bus-error.h"
#include "agent/journal.h"
#include "agent/service.h"

#include <signal.h>
#include <stdio.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

static void on_ready(ProaService *service, gpointer data)
{
	ProaAgent *agent = proa_service_agent(service);
	ProaMessage message = {
		.id = PROA_MESSAGE_STARTED, .priority = LOG_INFO, .version = proa_agent_version(agent)
	};

	sd_notify(0, "READY=1\nSTATUS=Idle until a timer or a call");
	proa_journal(&message, "release %s on %s, state %s",
		*proa_agent_version(agent) ? proa_agent_version(agent) : "unknown",
		*proa_agent_slot(agent) ? proa_agent_slot(agent) : "an unknown slot",
		proa_agent_state(agent));
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	sd_notify(0, "STOPPING=1");
	proa_service_stop(data);
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	proa_agent_reload(proa_service_agent(data));
	return 0;
}

static gboolean connect_bus(sd_event *event, sd_bus **ret_bus, GError **error)
{
	sd_bus *bus = NULL;
	int r = sd_bus_open_system(&bus);

	if (r >= 0)
		r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
	/* Without the bus nobody can reach us: end, and be started again when it is back. */
	if (r >= 0)
		r = sd_bus_set_exit_on_disconnect(bus, 1);
	if (r < 0) {
		sd_bus_unref(bus);
		return proa_fail_errno(error, PROA_REASON_NO_AGENT, -r, "connecting to the system bus");
	}
	*ret_bus = bus;
	return TRUE;
}

static int serve(sd_event *event, sd_bus *bus, const ProaPaths *paths, GError **error)
{
	g_autoptr(ProaService) service = proa_service_new(bus, event, paths, on_ready, NULL, error);

	if (!service)
		return -1;
	int r = sd_event_add_signal(event, NULL, SIGTERM, on_stop, service);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_stop, service);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, service);
	if (r >= 0)
		r = sd_event_set_watchdog(event, 1);
	if (r >= 0)
		r = sd_event_loop(event);
	if (r < 0)
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "the event loop");
	return r;
}

static int run(const ProaPaths *paths, GError **error)
{
	sd_event *event = NULL;
	sd_bus *bus = NULL;
	int r = sd_event_default(&event);

	if (r < 0)
		proa_fail_errno(error, PROA_REASON_INTERNAL, -r, "making the event loop");
	else if (!connect_bus(event, &bus, error))
		r = -1;
	else
		r = serve(event, bus, paths, error);
	sd_bus_flush_close_unref(bus);
	sd_event_unref(event);
	return r;
}

int main(int argc, char **argv)
{
	g_autofree char *root = NULL, *libexec = NULL;
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &root, "Configuration and state below DIR (for tests)",
			"DIR" },
		{ "libexec", 0, 0, G_OPTION_ARG_FILENAME, &libexec, "Where proa-install and proa-bootd are",
			"DIR" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and end", NULL },
		{ NULL },
	};
	g_autoptr(GError) error = NULL;
	g_autoptr(GOptionContext) context = g_option_context_new("- the agent of a Proa node");
	sigset_t mask;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "proad: %s\n", error ? error->message : "it takes no arguments; see --help");
		return PROA_EXIT_USAGE;
	}
	if (version) {
		printf("proad %s\n", PROA_VERSION);
		return PROA_EXIT_OK;
	}
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);

	g_autoptr(ProaPaths) paths = proa_paths_new(root, libexec);
	int r = run(paths, &error);
	if (error) {
		ProaMessage message = { .priority = LOG_ERR,
			.reason = proa_reason_to_string(proa_reason_of(error)) };
		proa_journal(&message, "%s", error->message);
		return proa_reason_exit(proa_reason_of(error));
	}
	/* A bus that went away is no clean end: the unit is started again. */
	return r == 0 ? PROA_EXIT_OK : PROA_EXIT_FAILED;
}

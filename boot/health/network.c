/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: there is a way out (a default route), and a name resolves. No interface with a device is the
 * node's own fault: a driver is missing. The switch, and everything behind the link (DHCP, the resolver, the
 * zone), may be down for everyone.
 */
#include "boot/health/check.h"
#include "boot/run.h"

#include "base/file.h"

#include <string.h>

#define MAX_TABLE (1024 * 1024)
#define MAX_SYSFS 64

static char *read_below(const ProaHealthContext *context, const char *name, gsize max)
{
	g_autofree char *path = g_strconcat(context->root, name, NULL);

	return proa_file_read(path, max, NULL, NULL);
}

typedef enum { NO_DEVICE, NO_CARRIER, LINKED } Link;

/* The best of the interfaces that have a device: bridges and pairs of containers are linked with themselves.
 */
static Link find_link(const ProaHealthContext *context)
{
	g_autofree char *folder = g_strconcat(context->root, "/sys/class/net", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	Link link = NO_DEVICE;

	while (dir && link != LINKED && (name = g_dir_read_name(dir))) {
		g_autofree char *device = g_build_filename(folder, name, "device", NULL);
		g_autofree char *path = g_build_filename(folder, name, "carrier", NULL);
		if (!g_file_test(device, G_FILE_TEST_EXISTS))
			continue;
		g_autofree char *carrier = proa_file_read(path, MAX_SYSFS, NULL, NULL);
		link = carrier && *carrier == '1' ? LINKED : NO_CARRIER;
	}
	return link;
}

/* Of /proc/net/route: interface, destination, gateway, flags, ...; one line has destination 0 and mask 0. */
static gboolean has_route4(const ProaHealthContext *context)
{
	g_autofree char *text = read_below(context, "/proc/net/route", MAX_TABLE);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit(*line, "\t", -1);
		if (g_strv_length(words) >= 8 && strcmp(words[1], "00000000") == 0 &&
			strcmp(words[7], "00000000") == 0)
			return TRUE;
	}
	return FALSE;
}

/* Of /proc/net/ipv6_route: destination and its length first, the interface last; the kernel has an
 * unreachable default route of its own on lo. */
static gboolean has_route6(const ProaHealthContext *context)
{
	g_autofree char *text = read_below(context, "/proc/net/ipv6_route", MAX_TABLE);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

	for (char **line = lines; *line; line++)
		if (g_str_has_prefix(*line, "00000000000000000000000000000000 00 ") &&
			!g_str_has_suffix(g_strchomp(*line), " lo"))
			return TRUE;
	return FALSE;
}

static void check_route(const ProaHealthContext *context, ProaHealthResult *result)
{
	if (has_route4(context) || has_route6(context))
		return;
	Link link = find_link(context);
	if (link == NO_DEVICE)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NO_ROUTE,
			g_strdup("there is no network interface with a device: a driver may be missing"));
	else if (link == NO_CARRIER)
		proa_health_blame_elsewhere(
			result, PROA_REASON_NO_ROUTE, g_strdup("no network interface has a link"));
	else
		proa_health_blame_elsewhere(result, PROA_REASON_NO_ROUTE,
			g_strdup("the network is linked, but gave no default route"));
}

static void check_name(const ProaHealthContext *context, const char *name, ProaHealthResult *result)
{
	/* A program of its own: the C library's resolver takes no time limit. */
	const char *argv[] = { "getent", "ahosts", name, NULL };
	guint seconds = (guint)proa_config_integer(context->config, "network", "timeout");
	g_auto(ProaRun) done = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_run(argv, NULL, seconds, &done, &error))
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_DNS, g_strdup(error->message));
	else if (done.status != 0)
		proa_health_blame_elsewhere(result, PROA_REASON_DNS,
			g_strdup_printf(done.timed_out ? "%s: no answer within %u s" : "%s does not resolve",
				name, seconds));
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	gboolean route = proa_config_boolean(context->config, "network", "route");
	const char *name = proa_config_string(context->config, "network", "name");

	if (!route && !*name) {
		proa_health_skip(result, "neither [network] route nor name is set");
		return;
	}
	if (route)
		check_route(context, result);
	if (*name && proa_health_good(result->verdict))
		check_name(context, name, result);
}

const ProaHealthCheck proa_health_network = { .name = "network", .run = run };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary: a container is really started, from an image that lies in the tree, and answers. It needs no
 * network and no registry, and goes the way of every container: content store, snapshot, shim, runc,
 * namespaces, cgroup. Once it has answered, it is not asked again in this boot.
 */
#include "boot/health/check.h"
#include "boot/run.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

#define NAMESPACE "proa-health"
#define CONTAINER "proa-canary"
/* Of our own: the sandbox of the unit leaves little else to write to. */
#define FOLDER "/run/proa/canary"
#define MEMORY "canary:answered"

/* Runs ctr(1) with @arguments, which end with NULL; the result says what went wrong. */
static gboolean run_ctr(const ProaHealthContext *context, const char *folder, const char *const *arguments,
	ProaRun *ret_run, ProaHealthResult *result)
{
	const char *socket = proa_config_string(context->config, "containerd", "socket");
	guint seconds = (guint)proa_config_integer(context->config, "canary", "timeout");
	g_autofree char *temporary = g_strconcat("TMPDIR=", folder, NULL);
	const char *environment[] = { temporary, "XDG_RUNTIME_DIR=", NULL };
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) error = NULL;
	static const char *const head[] = { "ctr", "--namespace", NAMESPACE, "--address" };

	for (gsize i = 0; i < G_N_ELEMENTS(head); i++)
		g_ptr_array_add(argv, (gpointer)(gsize)head[i]);
	g_ptr_array_add(argv, (gpointer)(gsize)socket);
	for (gsize i = 0; arguments[i]; i++)
		g_ptr_array_add(argv, (gpointer)(gsize)arguments[i]);
	g_ptr_array_add(argv, NULL);
	if (!proa_run((const char *const *)argv->pdata, environment, seconds, ret_run, &error)) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_CANARY, g_strdup(error->message));
		return FALSE;
	}
	if (ret_run->status == 0)
		return TRUE;
	g_autofree char *said = proa_run_last_line(ret_run->output);
	proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_CANARY,
		ret_run->timed_out ? g_strdup_printf("ctr %s: no end within %u s", arguments[0], seconds)
				   : g_strdup_printf("ctr %s: %s", arguments[0], said));
	return FALSE;
}

/* What a try that was killed left: its container must not keep the next one from its name. */
static void clean_up(const ProaHealthContext *context, const char *folder)
{
	static const char *const acts[][4] = { { "tasks", "kill", "--signal", "9" },
		{ "tasks", "delete", "--force" }, { "containers", "delete" } };

	for (gsize i = 0; i < G_N_ELEMENTS(acts); i++) {
		const char *arguments[6] = { 0 };
		ProaHealthResult ignored = { 0 };
		g_auto(ProaRun) done = { 0 };
		gsize n = 0;
		for (; n < G_N_ELEMENTS(acts[i]) && acts[i][n]; n++)
			arguments[n] = acts[i][n];
		arguments[n] = CONTAINER;
		run_ctr(context, folder, arguments, &done, &ignored);
		proa_health_result_clear(&ignored);
	}
}

static void start(const ProaHealthContext *context, const char *folder, ProaHealthResult *result)
{
	const char *image = proa_config_string(context->config, "canary", "image");
	const char *answer = proa_config_string(context->config, "canary", "answer");
	g_autofree char *fifos = g_build_filename(folder, "fifo", NULL);
	const char *arguments[] = { "run", "--rm", "--fifo-dir", fifos, image, CONTAINER, NULL };
	g_auto(ProaRun) done = { 0 };

	if (!run_ctr(context, folder, arguments, &done, result)) {
		clean_up(context, folder);
		return;
	}
	if (strstr(done.output, answer)) {
		g_hash_table_replace(context->memory, g_strdup(MEMORY), g_strdup("yes"));
		return;
	}
	g_autofree char *said = proa_run_last_line(done.output);
	proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_CANARY,
		g_strdup_printf("the canary container said \"%s\", not \"%s\"", said, answer));
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_autofree char *archive =
		g_strconcat(context->root, proa_config_string(context->config, "canary", "archive"), NULL);
	g_autofree char *folder = g_strconcat(context->root, FOLDER, NULL);
	const char *arguments[] = { "images", "import", archive, NULL };
	g_auto(ProaRun) done = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_config_boolean(context->config, "canary", "enabled"))
		proa_health_skip(result, "[canary] enabled=no");
	else if (!proa_config_boolean(context->config, "containerd", "enabled"))
		proa_health_skip(result, "[containerd] enabled=no");
	else if (access(archive, R_OK) < 0)
		proa_health_skip(result, "the tree holds no canary image");
	else if (g_hash_table_contains(context->memory, MEMORY))
		return;
	else if (!proa_file_make_dirs(folder, &error))
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_CANARY, g_strdup(error->message));
	else if (run_ctr(context, folder, arguments, &done, result))
		start(context, folder, result);
}

const ProaHealthCheck proa_health_canary = { .name = "canary", .run = run, .late = TRUE };

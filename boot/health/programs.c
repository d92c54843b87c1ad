/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs: executables of the operator or of a package, in health.d/required and health.d/wanted below
 * /etc/proa and /usr/lib/proa; one in /etc hides one of the same name in /usr/lib. Exit status 0: right. 75
 * (EX_TEMPFAIL): not right, but not this node's fault. Anything else, or no end within the time limit: not
 * right. One that is wanted is only told of.
 */
#include "boot/health/check.h"
#include "boot/run.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define MAX_PROGRAMS 100

static const char *const parents[] = { "/etc/proa/health.d", "/usr/lib/proa/health.d" };

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in both folders of @kind, each once, sorted. */
static GPtrArray *list_names(const ProaHealthContext *context, const char *kind)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

	for (gsize i = 0; i < G_N_ELEMENTS(parents); i++) {
		g_autofree char *folder = g_build_filename(context->root, parents[i], kind, NULL);
		g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
		const char *name;
		while (dir && (name = g_dir_read_name(dir)) && names->len < MAX_PROGRAMS)
			if (*name != '.' && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
				g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_sort(names, compare_names);
	return names;
}

/* The program that @name stands for; NULL if the operator has hidden it (a file that is not executable). */
static char *find(const ProaHealthContext *context, const char *kind, const char *name)
{
	for (gsize i = 0; i < G_N_ELEMENTS(parents); i++) {
		g_autofree char *path = g_build_filename(context->root, parents[i], kind, name, NULL);
		if (!g_file_test(path, G_FILE_TEST_EXISTS))
			continue;
		gboolean runs = g_file_test(path, G_FILE_TEST_IS_REGULAR) && access(path, X_OK) == 0;
		return runs ? g_steal_pointer(&path) : NULL;
	}
	return NULL;
}

static void run_program(
	const ProaHealthContext *context, const char *path, const char *name, ProaHealthResult *result)
{
	guint seconds = (guint)proa_config_integer(context->config, "programs", "timeout");
	const char *argv[] = { path, NULL };
	g_auto(ProaRun) done = { 0 };
	g_autoptr(GError) error = NULL;

	proa_health_begins(context, "programs");
	if (!proa_run(argv, NULL, seconds, &done, &error)) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_HEALTH_CHECK, g_strdup(error->message));
		return;
	}
	if (done.status == 0)
		return;
	g_autofree char *said = proa_run_last_line(done.output);
	char *detail = done.timed_out ? g_strdup_printf("%s: no end within %u s", name, seconds)
				      : g_strdup_printf("%s: exit status %d%s%s", name, done.status,
						*said ? ": " : "", said);
	if (done.status == EX_TEMPFAIL)
		proa_health_blame_elsewhere(result, PROA_REASON_HEALTH_CHECK, detail);
	else
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_HEALTH_CHECK, detail);
}

static gboolean run_required(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_autoptr(GPtrArray) names = list_names(context, "required");

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *path = find(context, "required", name);
		ProaHealthResult one = { 0 };
		if (path)
			run_program(context, path, name, &one);
		/* The node's own fault has the last word; elsewhere's is kept until one is found. */
		gboolean worse = !proa_health_good(one.verdict) &&
				 (proa_health_good(result->verdict) || one.fault == PROA_FAULT_OF_NODE);
		if (!worse) {
			proa_health_result_clear(&one);
			continue;
		}
		proa_health_result_clear(result);
		*result = one;
		if (one.fault == PROA_FAULT_OF_NODE)
			break;
	}
	return names->len > 0;
}

static gboolean run_wanted(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_autoptr(GPtrArray) names = list_names(context, "wanted");
	g_autoptr(GString) remarks = g_string_new(NULL);

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *path = find(context, "wanted", name);
		ProaHealthResult one = { 0 };
		if (path)
			run_program(context, path, name, &one);
		if (!proa_health_good(one.verdict))
			g_string_append_printf(remarks, "%swanted: %s", remarks->len ? "; " : "", one.detail);
		proa_health_result_clear(&one);
	}
	if (remarks->len > 0)
		g_set_str(&result->detail, remarks->str);
	return names->len > 0;
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	gboolean required = run_required(context, result);

	if (!proa_health_good(result->verdict))
		return;
	gboolean wanted = run_wanted(context, result);
	if (!required && !wanted)
		proa_health_skip(result, "health.d holds no programs");
}

const ProaHealthCheck proa_health_programs = { .name = "programs", .run = run, .late = TRUE };

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/audit.h"

#include "base/json.h"
#include "updater/trust/role.h"

#include <stdio.h>

#define HOUR 3600

static JsonArray *describe_roles(ProaTrust *trust)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(trust);
	JsonArray *array = json_array_new();
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;

	for (guint i = 0; i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		JsonObject *object = json_object_new();
		g_autofree char *expires = proa_role_time_format(role->expires);
		json_object_set_string_member(object, "role", role->name);
		json_object_set_int_member(object, "version", role->version);
		json_object_set_string_member(object, "expires", expires);
		json_object_set_int_member(object, "seconds_left", role->expires - now);
		json_object_set_boolean_member(object, "expired", role->expires <= now);
		json_array_add_object_element(array, object);
	}
	return array;
}

static JsonArray *describe_problems(const ProaWalk *walk)
{
	JsonArray *array = json_array_new();

	for (guint i = 0; i < walk->problems->len; i++) {
		const ProaWalkProblem *problem = walk->problems->pdata[i];
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "path", problem->path);
		json_object_set_string_member(object, "reason", proa_reason_to_string(problem->reason));
		json_object_set_string_member(object, "message", problem->message);
		json_array_add_object_element(array, object);
	}
	return array;
}

/* A walk that goes on past what has expired says nothing of it, and a node refuses it. */
static void find_expired(ProaWalk *walk)
{
	g_autoptr(GPtrArray) roles = proa_trust_roles(walk->trust);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	g_autofree char *today = proa_role_time_format(now);

	for (guint i = 0; i < roles->len; i++) {
		const ProaTrustRole *role = roles->pdata[i];
		g_autofree char *expires = proa_role_time_format(role->expires);
		g_autoptr(GError) error = NULL;
		if (role->expires > now)
			continue;
		(void)proa_fail(
			&error, PROA_REASON_STALE_FEED, "expired at %s, and it is %s", expires, today);
		proa_walk_add_problem(walk, role->name, error);
	}
}

JsonObject *proa_audit_run(ProaWalk *walk)
{
	JsonObject *audit = json_object_new();
	gint64 bytes = 0;

	find_expired(walk);
	for (guint i = 0; i < walk->files->len; i++) {
		const ProaWalkFile *file = walk->files->pdata[i];
		g_autoptr(GError) error = NULL;
		if (!file->bytes && !proa_walk_check(walk, file, -1, &error))
			proa_walk_add_problem(walk, file->path, error);
		bytes += file->size;
		proa_walk_progress("checking", i, walk->files->len);
	}
	json_object_set_array_member(audit, "roles", describe_roles(walk->trust));
	json_object_set_int_member(audit, "files", walk->files->len);
	json_object_set_int_member(audit, "bytes", bytes);
	json_object_set_int_member(audit, "requests",
		proa_source_statistics(walk->source)->requests +
			proa_source_statistics(walk->metadata)->requests);
	json_object_set_array_member(audit, "problems", describe_problems(walk));
	return audit;
}

void proa_audit_print(JsonObject *audit)
{
	JsonArray *roles = json_object_get_array_member(audit, "roles");
	JsonArray *problems = json_object_get_array_member(audit, "problems");

	for (guint i = 0; i < json_array_get_length(roles); i++) {
		JsonObject *role = json_array_get_object_element(roles, i);
		gint64 left = proa_json_int_or(role, "seconds_left", 0);
		gboolean expired = left <= 0;
		printf("%-12s version %-5" G_GINT64_FORMAT " %s %s, %s%" G_GINT64_FORMAT " h%s\n",
			proa_json_string_or(role, "role", "?"), proa_json_int_or(role, "version", 0),
			expired ? "EXPIRED" : "expires", proa_json_string_or(role, "expires", "?"),
			expired ? "" : "in ", (expired ? -left : left) / HOUR, expired ? " ago" : "");
	}
	for (guint i = 0; i < json_array_get_length(problems); i++) {
		JsonObject *problem = json_array_get_object_element(problems, i);
		printf("WRONG %s: %s (%s)\n", proa_json_string_or(problem, "path", "?"),
			proa_json_string_or(problem, "message", "?"),
			proa_json_string_or(problem, "reason", "?"));
	}
	printf("%" G_GINT64_FORMAT " files, %.1f MB, %u wrong\n", proa_json_int_or(audit, "files", 0),
		(double)proa_json_int_or(audit, "bytes", 0) / 1e6, json_array_get_length(problems));
}

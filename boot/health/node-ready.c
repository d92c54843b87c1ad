/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node-ready: the API server says that this node is Ready. One that does not answer, or answers with an error
 * of its own, is down for everyone; one that answers that this node is not ready has looked.
 */
#include "boot/health/node-ready.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/health/check.h"
#include "boot/health/http.h"
#include "boot/run.h"

#include <string.h>
#include <unistd.h>

#define MAX_TOKEN (16 * 1024)
#define MAX_NAME 253

gboolean proa_node_object_ready(const char *text, gsize size, gboolean *ret_node, char **ret_why)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) top =
		proa_json_parse(text, size, "the answer", PROA_REASON_NODE_NOT_READY, &error);
	JsonObject *status = top ? proa_json_object_or_null(top, "status") : NULL;
	JsonArray *conditions = status ? proa_json_array_or_null(status, "conditions") : NULL;

	*ret_node = top && strcmp(proa_json_string_or(top, "kind", ""), "Node") == 0;
	if (!*ret_node) {
		*ret_why = error ? g_strdup(error->message) : g_strdup("the answer is no Node object");
		return FALSE;
	}
	for (guint i = 0; conditions && i < json_array_get_length(conditions); i++) {
		JsonNode *node = json_array_get_element(conditions, i);
		JsonObject *condition = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
		if (!condition || strcmp(proa_json_string_or(condition, "type", ""), "Ready") != 0)
			continue;
		if (strcmp(proa_json_string_or(condition, "status", ""), "True") == 0)
			return TRUE;
		*ret_why = g_strdup_printf("Ready is %s: %s",
			proa_json_string_or(condition, "status", "missing"),
			proa_json_string_or(condition, "message", "no message"));
		return FALSE;
	}
	*ret_why = g_strdup("it has no condition Ready yet");
	return FALSE;
}

/* The name of this node in the cluster: as configured, or its host name; g_free(). NULL if that is no name.
 */
static char *node_name(const ProaConfig *config)
{
	const char *configured = proa_config_string(config, "node-ready", "node");
	g_autofree char *name = g_ascii_strdown(*configured ? configured : g_get_host_name(), -1);
	gsize length = strlen(name);

	if (length == 0 || length > MAX_NAME ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != length)
		return NULL;
	return g_steal_pointer(&name);
}

static void judge(const ProaHttpAnswer *answer, const char *name, ProaHealthResult *result)
{
	g_autofree char *why = NULL;
	gboolean is_node = FALSE;

	if (answer->status == 200 && proa_node_object_ready(answer->body, answer->size, &is_node, &why))
		return;
	if (answer->status == 200 && is_node)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NODE_NOT_READY,
			g_strdup_printf("node %s: %s", name, why));
	else if (answer->status == 404)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NODE_NOT_READY,
			g_strdup_printf("the API server knows no node %s: the kubelet has not joined", name));
	else if (answer->status == 401 || answer->status == 403)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_NODE_NOT_READY,
			g_strdup_printf(
				"the API server refuses this node's credentials (%ld)", answer->status));
	else
		proa_health_blame_elsewhere(result, PROA_REASON_NODE_NOT_READY,
			g_strdup_printf("the API server answers %ld%s%s", answer->status, why ? ": " : "",
				why ? why : ""));
}

/* A file named in the configuration, below the root; NULL where there is none. */
static char *file_of(const ProaHealthContext *context, const char *key)
{
	const char *name = proa_config_string(context->config, "node-ready", key);
	g_autofree char *path = g_strconcat(context->root, name, NULL);

	return *name && access(path, R_OK) == 0 ? g_steal_pointer(&path) : NULL;
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	const ProaConfig *config = context->config;
	const char *server = proa_config_string(config, "node-ready", "server");
	g_autofree char *name = node_name(config);
	g_autofree char *ca = file_of(context, "ca"), *certificate = file_of(context, "certificate"),
			*token_path = file_of(context, "token");
	g_autofree char *token = token_path ? proa_file_read(token_path, MAX_TOKEN, NULL, NULL) : NULL;
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) error = NULL;

	if (!*server) {
		proa_health_skip(result, "no [node-ready] server is set");
		return;
	}
	if (!name) {
		proa_health_set(result, PROA_HEALTH_FAIL, PROA_REASON_NODE_NOT_READY,
			g_strdup("[node-ready] node is not the name of a node"));
		return;
	}
	g_autofree char *url = g_strconcat(server, "/api/v1/nodes/", name, NULL);
	ProaHttpRequest request = { .url = url,
		.ca = ca,
		.certificate = certificate,
		.token = token ? g_strstrip(token) : NULL,
		.seconds = (guint)proa_config_integer(config, "node-ready", "timeout") };
	if (proa_http_get(&request, &answer, &error))
		judge(&answer, name, result);
	else if (proa_reason_of(error) == PROA_REASON_IO)
		proa_health_set(
			result, PROA_HEALTH_WAIT, PROA_REASON_NODE_NOT_READY, g_strdup(error->message));
	else
		proa_health_blame_elsewhere(result, PROA_REASON_NODE_NOT_READY, g_strdup(error->message));
}

const ProaHealthCheck proa_health_node_ready = { .name = "node-ready", .run = run, .late = TRUE };

/* SPDX-License-Identifier: Apache-2.0 */
/* kubelet: says on its healthz port that it is well. A node without a kubelet's configuration has none to
 * ask. */
#include "boot/health/check.h"
#include "boot/health/http.h"
#include "boot/run.h"

#include <unistd.h>

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	const ProaConfig *config = context->config;
	g_autofree char *path =
		g_strconcat(context->root, proa_config_string(config, "kubelet", "config"), NULL);
	ProaHttpRequest request = { .url = proa_config_string(config, "kubelet", "url"),
		.seconds = (guint)proa_config_integer(config, "kubelet", "timeout") };
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_config_boolean(config, "kubelet", "enabled")) {
		proa_health_skip(result, "[kubelet] enabled=no");
		return;
	}
	if (access(path, F_OK) < 0) {
		g_autofree char *why = g_strdup_printf(
			"this node has no kubelet (%s)", proa_config_string(config, "kubelet", "config"));
		proa_health_skip(result, why);
		return;
	}
	if (!proa_http_get(&request, &answer, &error)) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_KUBELET,
			g_strdup_printf("kubelet: %s", error->message));
		return;
	}
	if (answer.status == 200)
		return;
	g_autofree char *said = proa_run_last_line(answer.body);
	proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_KUBELET,
		g_strdup_printf("kubelet: %s answered %ld: %s", request.url, answer.status, said));
}

const ProaHealthCheck proa_health_kubelet = { .name = "kubelet", .run = run };

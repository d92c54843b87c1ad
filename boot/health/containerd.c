/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd: answers gRPC on its socket, says that it is serving (grpc.health.v1), and its CRI says that the
 * runtime is ready (runtime.v1). A process that exists but does not answer is not healthy.
 */
#include "boot/health/check.h"
#include "boot/health/grpc.h"
#include "boot/health/protobuf.h"

#define HEALTH_METHOD "/grpc.health.v1.Health/Check"
#define STATUS_METHOD "/runtime.v1.RuntimeService/Status"

/* Calls @method and takes the one message out of *@answer. */
static gboolean call(const ProaConfig *config, const char *method, ProaGrpcAnswer *answer,
	const guint8 **ret_message, gsize *ret_size, GError **error)
{
	const char *socket = proa_config_string(config, "containerd", "socket");
	guint seconds = (guint)proa_config_integer(config, "containerd", "timeout");

	/* Both requests have only members whose default is meant: an empty message. */
	if (!proa_grpc_call(socket, method, "", 0, seconds, answer, error))
		return FALSE;
	if (answer->status != PROA_GRPC_OK)
		return proa_fail(error, PROA_REASON_CONTAINERD_DOWN, "%s: gRPC status %d%s%s", method,
			answer->status, answer->message ? ": " : "", answer->message ? answer->message : "");
	if (!proa_grpc_unframe(answer->body, answer->size, ret_message, ret_size))
		return proa_fail(error, PROA_REASON_CONTAINERD_DOWN, "%s: its answer is malformed", method);
	return TRUE;
}

static gboolean serving(const ProaConfig *config, GError **error)
{
	ProaGrpcAnswer answer = { 0 };
	const guint8 *message = NULL;
	gsize size = 0;
	g_autofree char *why = NULL;
	gboolean ok = call(config, HEALTH_METHOD, &answer, &message, &size, error);

	if (ok && !proa_grpc_health_serving(message, size, &why))
		ok = proa_fail(error, PROA_REASON_CONTAINERD_DOWN, "%s", why);
	proa_grpc_answer_clear(&answer);
	return ok;
}

static gboolean runtime_ready(const ProaConfig *config, GError **error)
{
	ProaGrpcAnswer answer = { 0 };
	const guint8 *message = NULL;
	gsize size = 0;
	g_autofree char *why = NULL;
	gboolean network = proa_config_boolean(config, "containerd", "network");
	gboolean ok = call(config, STATUS_METHOD, &answer, &message, &size, error);

	if (ok && !proa_grpc_runtime_ready(message, size, network, &why))
		ok = proa_fail(error, PROA_REASON_CONTAINERD_DOWN, "%s", why);
	proa_grpc_answer_clear(&answer);
	return ok;
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	const ProaConfig *config = context->config;
	g_autoptr(GError) error = NULL;

	if (!proa_config_boolean(config, "containerd", "enabled")) {
		proa_health_skip(result, "[containerd] enabled=no");
		return;
	}
	if (serving(config, &error) &&
		(!proa_config_boolean(config, "containerd", "cri") || runtime_ready(config, &error)))
		return;
	/* systemd restarts it, so it may yet become right: the deadline decides. */
	proa_health_set(result, PROA_HEALTH_WAIT, proa_reason_of(error),
		g_strdup_printf("containerd: %s", error->message));
}

const ProaHealthCheck proa_health_containerd = { .name = "containerd", .run = run };

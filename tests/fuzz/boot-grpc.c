/* SPDX-License-Identifier: Apache-2.0 */
// link: bootd
#include "boot/health/protobuf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any body that a server on containerd's socket may send: judged or refused, and a refusal says why. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree guint8 *body = g_memdup2(data, size);
	const guint8 *message = NULL;
	gsize length = 0;

	if (!body)
		return 0;
	if (!proa_grpc_unframe(body, size, &message, &length)) {
		/* As a bare message too: the fuzzer need not find the frame first. */
		message = body;
		length = size;
	}
	for (int network = 0; network < 2; network++) {
		g_autofree char *why = NULL;
		gboolean ready = proa_grpc_runtime_ready(message, length, network != 0, &why);
		g_assert(ready == (why == NULL));
		g_assert(!why || g_utf8_validate(why, -1, NULL));
	}
	g_autofree char *why = NULL;
	gboolean serving = proa_grpc_health_serving(message, length, &why);
	g_assert(serving == (why == NULL));
	return 0;
}

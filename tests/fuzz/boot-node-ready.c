/* SPDX-License-Identifier: Apache-2.0 */
// link: bootd
#include "boot/health/node-ready.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Whatever an API server, or what stands in its place, answers: ready or not, and if not, why. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree char *text = g_malloc(size + 1);
	g_autofree char *why = NULL;
	gboolean is_node = FALSE;

	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	gboolean ready = proa_node_object_ready(text, size, &is_node, &why);
	g_assert(ready == (why == NULL));
	g_assert(is_node || !ready);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: bootd
#include "boot/kubeconfig.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Whatever stands where the kubelet's kubeconfig should: a server with a scheme, or an error. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_auto(ProaKubeconfig) config = { 0 };
	g_autoptr(GError) error = NULL;
	gboolean ok = proa_kubeconfig_parse((const char *)data, size, &config, &error);

	g_assert(ok == (error == NULL));
	g_assert(ok == (config.server != NULL));
	return 0;
}

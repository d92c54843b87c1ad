/* SPDX-License-Identifier: Apache-2.0 */
// link: boot
#include "boot/uevent.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *message = g_memdup2(data, size);
	ProaVerityEvent event = { 0 };

	if (message)
		(void)proa_uevent_parse_verity(message, size, &event);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: install
#include "updater/install/checkpoint.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *text = g_memdup2(data, size);
	ProaCheckpointClaim claim = { .done = 0 };

	if (proa_checkpoint_parse(text ? text : "", size, &claim, &error)) {
		g_assert(strlen(claim.root_hash) == 64 && claim.done % 4096 == 0);
		g_assert(claim.done % 4096 == 0 && memchr(claim.slot, '\0', sizeof claim.slot));
	} else {
		g_assert(error);
	}
	return 0;
}

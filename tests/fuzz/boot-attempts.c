/* SPDX-License-Identifier: Apache-2.0 */
// link: bootd
#include "boot/attempts.h"

#include <string.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any attempts.json, or variable of the firmware: what counts is a number that could have been written. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	guint attempts = proa_attempts_parse((const char *)data, size, HASH);

	g_assert(attempts <= 1000);
	return 0;
}

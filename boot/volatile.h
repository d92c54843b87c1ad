/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volatile: the mark of a boot whose state partition could not be mounted, so that /var lies in memory and is
 * gone with the boot. proa-etc sets it in the initrd; who keeps something in /var for the next boot asks for
 * it.
 */
#pragma once

/* Below the root directory. Its presence says it. */
#define PROA_VOLATILE_VAR "run/proa/volatile-var"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volatile: the marks of a boot whose state partition could not be mounted, so that /var lies in memory and
 * is gone with the boot; and of one whose generation of /etc could not be written to, so that changes of /etc
 * are. proa-etc sets them in the initrd; who keeps something in /var for the next boot asks for the first.
 */
#pragma once

/* Below the root directory. Their presence says it. */
#define PROA_VOLATILE_VAR "run/proa/volatile-var"
#define PROA_VOLATILE_ETC "run/proa/volatile-etc"

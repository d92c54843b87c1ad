/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what proa-fetch gives up before it speaks with anyone: every file but those of name resolution,
 * TLS and the shared libraries (Landlock), every system call but those of a transfer (seccomp), and new
 * privileges.
 */
#pragma once

#include "base/reason.h"

/*
 * Enters the sandbox; there is no way back. @readable: paths that may be read besides the fixed ones,
 * NULL-terminated; may be NULL. A kernel without Landlock is no error, one without seccomp is (INTERNAL): it
 * is not the kernel of our nodes.
 */
gboolean proa_sandbox_enter(const char *const *readable, GError **error) G_GNUC_WARN_UNUSED_RESULT;

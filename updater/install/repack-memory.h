/* SPDX-License-Identifier: Apache-2.0 */
/* repack-memory: whether a kernel may be packed again on this node (`kernel_repack=`, update.conf(5)): that
 * takes several hundred MB. */
#pragma once

#include "base/reason.h"

/* Bytes that programs can still have without anybody being pushed out; 0 if that can't be told. */
guint64 proa_repack_memory_available(void);

/* Whether it may be at all, before anything is known of the kernel. */
gboolean proa_repack_memory_thinkable(const char *kernel_repack, guint64 available);

/*
 * Whether a kernel may be packed that takes @wanted bytes; 0: its payload does not say, which is as much as
 * there is for "auto". Half as much again must be there. TOO_LARGE, with what is missing.
 */
gboolean proa_repack_memory_allows(const char *kernel_repack, guint64 wanted, guint64 available,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/* overlay: mounts the overlay of /etc. Needs GLib alone: it runs in the initrd. */
#pragma once

#include <glib.h>

/* Mounts on @etc the upper layer of @generation (the folder of one, boot/generation.h) above what @etc holds.
 * IO. */
gboolean proa_overlay_mount(
	const char *etc, const char *generation, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same with an empty upper layer in the directory @memory (made if missing), where no generation can be
 * written to. What is in @kept, the upper layer of one that can still be read (NULL: there is none), lies
 * between the two, so that the operator's configuration is seen all the same. IO.
 */
gboolean proa_overlay_mount_volatile(
	const char *etc, const char *memory, const char *kept, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/* pstore: the kernel's last words of an earlier boot, kept by firmware (efi-pstore) or memory (ramoops). */
#pragma once

#include <glib.h>

/*
 * The newest dump below @root ("" on a node): of /sys/fs/pstore, or of /var/lib/systemd/pstore, where
 * systemd-pstore.service moves them at the boot after. None that is older than @since (seconds since 1970):
 * it would be of another failure. At most the last @max bytes, valid UTF-8; free with g_free(). NULL if there
 * is none.
 */
char *proa_pstore_read(const char *root, gint64 since, gsize max);

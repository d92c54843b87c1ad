/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starts: boots of a release that the firmware's memory says have begun since it was last healthy. Counted as
 * the first thing in the initrd, before any disk is needed: so a blessed release that never gets as far as
 * /var, where boot/attempts.h counts, is left as well.
 *
 * One variable of the firmware's own store (UEFI 2.10, 8.2), by way of efivarfs (Linux,
 * filesystems/efivarfs): four bytes of attributes, then the text of attempts.json. A node whose firmware
 * keeps none counts in /var alone.
 */
#pragma once

#include <glib.h>

#define PROA_EFIVARS_DIR "/sys/firmware/efi/efivars"
#define PROA_STARTS_NAME "ProaStarts-3d5c1ab2-7f0e-4b55-9a86-52c0e6d41f7b"

/* Starts of @root_hash by @dir (PROA_EFIVARS_DIR); 0 for another release, a missing or a broken variable. */
guint proa_starts_read(const char *dir, const char *root_hash);

/* Replaces the variable. IO if the firmware takes none; NOT_FOUND if there is no efivarfs. */
gboolean proa_starts_write(
	const char *dir, const char *root_hash, guint starts, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes the variable, if there is one: the release is healthy, or the node goes down because someone asked.
 */
gboolean proa_starts_clear(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

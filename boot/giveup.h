/* SPDX-License-Identifier: Apache-2.0 */
/*
 * giveup: the one act of all who give up on the running root: make the other slot the firmware's next choice,
 * leave evidence, reboot. Needs GLib alone, no root file system, no D-Bus and no /var.
 */
#pragma once

#include "boot/entry.h"

typedef struct {
	const char *root_hash;
	ProaReason reason;
	const char *detail; /* one sentence; may be NULL */
	const char *where;  /* "guard", "initrd" or "system" */
} ProaGiveUp;

/*
 * Sets every entry of the root aside if another bootable entry exists, then writes the evidence. In this
 * order: a power cut between the two boots the other slot, whose proa-bootd still sees that the entry was set
 * aside. Without another bootable entry nothing is set aside: a root that fails is better than none; the
 * evidence is still written.
 * *@ret_switched says which of the two it was. Evidence that cannot be written (a full ESP) is only warned
 * of. Does not reboot.
 */
gboolean proa_give_up(const ProaEsp *esp, const ProaGiveUp *what, gboolean *ret_switched,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Whether boots of @own, the running release's entry, are proa-etc's to count and to end: of a blessed one
 * nobody else counts them; of one on trial the firmware does, unless it cannot rename a file on the ESP,
 * which is seen from a trial that began and has all its tries.
 */
gboolean proa_give_up_counts(const ProaEntry *own);

/*
 * Why the root of @root_hash could not be opened or mounted, seen from the initrd: ROOT_MISSING (no partition
 * with its UUID), BOOT_FAILED (a kernel module it needs is not there) or ROOT_CORRUPT. One sentence in
 * *@ret_detail, g_free().
 */
ProaReason proa_give_up_diagnose(const char *root_hash, char **ret_detail);

/* Whether dm-verity has met a corrupt block of the device-mapper device @name; @dev_fd is /dev. */
gboolean proa_verity_corrupt(int dev_fd, const char *name);

/*
 * Reboots without asking anyone: lets file systems sync for at most @seconds, then reboot(2). Only returns if
 * the kernel refuses.
 */
void proa_reboot_now(int seconds);

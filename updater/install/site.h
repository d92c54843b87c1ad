/* SPDX-License-Identifier: Apache-2.0 */
/* site: where a transaction works: what runs, the slots, the ESP and its entries. */
#pragma once

#include "boot/entry.h"
#include "updater/slot/slot.h"

typedef struct {
	char *run_dir;   /* /run/proa below the root directory */
	char *state_dir; /* /var/lib/proa, likewise */
	char *root_hash; /* of the running system */
	char *version;   /* of the running system */
	ProaEsp *esp;
	GPtrArray *entries; /* of ProaEntry */
	ProaDisk *disk;
	ProaSlots slots;
} ProaSite;

typedef struct {
	const char *root; /* "" on a node */
	/* For tests: an image, a directory of partition contents and one that stands for the ESP; NULL on a
	 * node. */
	const char *disk, *parts, *esp;
} ProaSiteOptions;

/* What runs, and no more: root_hash, version and directories. NULL with NOT_VERIFIED if no root hash was
 * booted.
 */
ProaSite *proa_site_new(const ProaSiteOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_site_free(ProaSite *site);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSite, proa_site_free)

/* Opens disk and ESP, and removes what an interrupted transaction left on the ESP. ESP_MISSING, NO_SLOT,
 * DISK_LAYOUT ... */
gboolean proa_site_open(
	ProaSite *site, const ProaSiteOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Refuses with TRIAL_BOOT when the running release is not blessed, or was set aside: the other slot is then
 * the one that the node may need next. NO_BOOT_ENTRY when no entry boots what runs.
 */
gboolean proa_site_settled(const ProaSite *site, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether the other slot is armed with @root_hash: its UUID says so and the firmware would boot it. */
gboolean proa_site_armed(const ProaSite *site, const char *root_hash);

/* Whether a root image, its hash tree and a UKI fit; SLOT_TOO_SMALL or ESP_FULL if not. Sizes in bytes. */
gboolean proa_site_fits(const ProaSite *site, guint64 root_size, guint64 tree_size, guint64 uki_size,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Takes the lock of boot entries; a descriptor to be closed, or -1 with BUSY. */
int proa_site_lock_entries(const ProaSite *site, GError **error) G_GNUC_WARN_UNUSED_RESULT;

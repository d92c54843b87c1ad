/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot: the two places for a release, and which of them is running. A slot is a data partition and one for
 * its hash tree; their UUIDs are the two halves of the root hash (Discoverable Partitions Specification), by
 * which `roothash=` finds them.
 */
#pragma once

#include "updater/slot/disk.h"

typedef struct {
	const char *name;                     /* "root-a" or "root-b" */
	const ProaDiskPartition *data, *hash; /* owned by the disk */
} ProaSlot;

typedef struct {
	ProaSlot booted, other;
} ProaSlots;

/*
 * Tells which slot runs: the one whose data partition has the UUID of @root_hash (that of the running
 * system). @root_partition: device of the partition under the running root, data or hash
 * (proa_disk_of_root()); NULL if it is not known. It has the last word where UUIDs say nothing, and where
 * both speak and disagree nothing may be written: DISK_LAYOUT. NO_SLOT if a partition is missing or neither
 * tells the booted slot.
 */
gboolean proa_slots_find(const ProaDisk *disk, const char *root_hash, const char *root_partition,
	ProaSlots *ret_slots, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The UUIDs of the data and hash partition for a root hash of 64 hexadecimal digits. */
void proa_slot_uuids(const char *root_hash, char ret_data[PROA_UUID_SIZE], char ret_hash[PROA_UUID_SIZE]);

/* Sets both UUIDs of a slot; errors as of proa_disk_set_uuids(). */
gboolean proa_slot_set_root_hash(ProaDisk *disk, const ProaSlot *slot, const char *root_hash,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

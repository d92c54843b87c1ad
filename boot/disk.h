/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: which partition is which, read from the kernel's list and the GPT itself. Needs no udev and no
 * library, so it works in the initrd and in a rescue shell. Reads only; who changes a partition table is
 * updater/slot/.
 */
#pragma once

#include "base/reason.h"

/* Types of the UAPI Group's Discoverable Partitions Specification. */
#define PROA_GPT_TYPE_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
/* A table has 128 entries; one that says more than this is refused. */
#define PROA_GPT_MAX_ENTRIES 256

typedef struct {
	guint number;  /* 1 for the first entry */
	char type[37]; /* 8-4-4-4-12 hexadecimal digits, lower case */
	char uuid[37];
	char label[37]; /* ASCII; other characters become '?' */
	guint64 size;   /* bytes; 0: the table does not say */
	char *device;   /* the kernel's name ("vda1"); NULL for a table read from a file */
	char *disk;     /* the kernel's name of the whole disk; NULL likewise */
} ProaPartition;

void proa_partition_free(ProaPartition *partition);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaPartition, proa_partition_free)

/*
 * Reads the primary GPT of the disk or image open at @fd, whose logical blocks have @block_size bytes (512 or
 * 4096), and checks its CRCs. The array owns its ProaPartitions. NULL with DISK_LAYOUT or IO.
 */
GPtrArray *proa_gpt_read(int fd, guint block_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All partitions of all disks with a GPT that can be read; an empty array if there is none. Never fails. */
GPtrArray *proa_disk_partitions(void);

/*
 * The partitions of the node's own disk: of @image (a file or a whole disk) if it is not NULL, else of the
 * disk that holds the partition with the UUID @root_uuid (may be NULL), else of the first disk with a
 * partition labelled "root-a". NULL with NO_SLOT or DISK_LAYOUT.
 */
GPtrArray *proa_disk_of_node(
	const char *image, const char *root_uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The first with that label or UUID, or NULL. */
const ProaPartition *proa_partition_by_label(const GPtrArray *partitions, const char *label);
const ProaPartition *proa_partition_by_uuid(const GPtrArray *partitions, const char *uuid);

/* The partition UUIDs that belong to a root hash: its first (root) and last (hash tree) 128 bits. @ret holds
 * 37 bytes. */
void proa_partition_uuid_of_root(const char *root_hash, char *ret);
void proa_partition_uuid_of_verity(const char *root_hash, char *ret);

/*
 * The slot ("root-a" or "root-b") whose partitions, root and hash tree, both carry the UUIDs of @root_hash;
 * NULL if there is none.
 */
const char *proa_disk_slot_of(const GPtrArray *partitions, const char *root_hash);

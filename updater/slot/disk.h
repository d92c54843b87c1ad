/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: the GPT of the disk that holds the slots, read and changed through libfdisk.
 *
 * Only partition UUIDs are ever changed, while other partitions of the disk are in use. The kernel is not
 * asked to read the table again: it uses the new UUIDs from the next boot on, and udev sees them at once.
 */
#pragma once

#include "base/reason.h"

/* A UUID as text with its terminating NUL. */
#define PROA_UUID_SIZE 37

typedef struct {
	char *label;  /* GPT partition name, such as "root-a" */
	char *uuid;   /* lower case */
	guint number; /* counted from 0 */
	guint64 size; /* bytes */
	char *path;   /* device node, or file that stands for it */
} ProaDiskPartition;

typedef struct ProaDisk ProaDisk;

/*
 * Reads the GPT of @path, a disk or an image file. @parts_dir: a directory whose files named by label stand
 * for the contents of the partitions (tests); NULL: the kernel's device nodes. NULL with DISK_LAYOUT if there
 * is no GPT, NOT_FOUND, PERMISSION or IO.
 */
ProaDisk *proa_disk_open(const char *path, const char *parts_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_disk_free(ProaDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDisk, proa_disk_free)

/* The partition of that label. NULL with NO_SLOT if there is none, DISK_LAYOUT if there are several. */
const ProaDiskPartition *proa_disk_find(
	const ProaDisk *disk, const char *label, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A new UUID for a partition. */
typedef struct {
	const ProaDiskPartition *partition;
	const char *uuid;
} ProaUuidChange;

/*
 * Sets partition UUIDs in both copies of the GPT and reads them back. One copy is flushed to the disk before
 * the other is touched, so that a power cut at any time leaves a whole table, old or new. DISK_LAYOUT or IO
 * on failure.
 */
gboolean proa_disk_set_uuids(ProaDisk *disk, const ProaUuidChange *changes, guint n_changes,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Where the root file system lies, through device-mapper: *@ret_disk such as "/dev/vda" and *@ret_partition
 * such as
 * "/dev/vda2", each to be freed with g_free(). NO_SLOT if / is not on a partition of a disk.
 */
gboolean proa_disk_of_root(char **ret_disk, char **ret_partition, GError **error) G_GNUC_WARN_UNUSED_RESULT;

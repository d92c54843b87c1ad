/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: makes a dm-verity hash tree of what a device gives back (kernel documentation, "dm-verity"; the
 * superblock is cryptsetup's).
 *
 * libcryptsetup would do it too, block by block through the page cache with one thread. Each update waits for
 * this while a whole slot is read, so here one thread reads back what was written while the rest still comes,
 * and in the end two share what is left; one's reading overlaps the other's hashing.
 */
#pragma once

#include "verity/tree.h"

typedef struct ProaVerityBuild ProaVerityBuild;

/*
 * Begins a tree over the first @params->data_size bytes of @data_path (a block device or a file), to be
 * written to the start of @hash_path, which must exist. The data comes from the device, not from the page
 * cache, where the file system can do that. Memory: 512 KiB a thread, and 32 bytes for each 512 KiB of data.
 * NULL with IO (a size of no whole blocks, too), or NOT_FOUND if a path is not there.
 */
ProaVerityBuild *proa_verity_build_new(const char *data_path, const char *hash_path,
	const ProaVerityParams *params, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Stops what is under way; the hash device is left as it is. NULL is allowed. */
void proa_verity_build_free(ProaVerityBuild *build);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaVerityBuild, proa_verity_build_free)

/*
 * The device has taken the first @end bytes of the data, whole blocks and no fewer than told before, past the
 * page cache, and they will not be written again. A thread flushes them every 16 MiB, then reads them back
 * and hashes them while more is written. Without this, all of it is read by proa_verity_build_finish(). Any
 * thread.
 */
void proa_verity_build_written(ProaVerityBuild *build, guint64 end);

/*
 * All of the data is written: flushes and reads back what is left of it, and writes the tree, durably. Once
 * only.
 * @ret_root_hash: 64 hexadecimal digits, free with g_free(). Fails with IO.
 */
gboolean proa_verity_build_finish(
	ProaVerityBuild *build, char **ret_root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The three in one, for data that is there already. */
gboolean proa_verity_build(const char *data_path, const char *hash_path, const ProaVerityParams *params,
	char **ret_root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: makes a dm-verity hash tree of what a device gives back (kernel documentation, "dm-verity"; the
 * superblock is cryptsetup's).
 *
 * libcryptsetup would do it too, block by block through the page cache with one thread. Each update waits for
 * this while a whole slot is read, so here two threads read past the page cache and hash, each what the other
 * has not; one's reading overlaps the other's hashing.
 */
#pragma once

#include "verity/tree.h"

/*
 * Builds the tree over the first @params->data_size bytes of @data_path (a block device or a file) and writes
 * it to the start of @hash_path, which must exist. The data comes from the device, not from the page cache,
 * where the file system can do that. Memory does not grow with the size but for 32 bytes for each 512 KiB.
 * Flushed to the device before it returns.
 * @ret_root_hash: 64 hexadecimal digits, free with g_free(). Fails with IO (a size of no whole blocks, too),
 * or NOT_FOUND if a path is not there.
 */
gboolean proa_verity_build(const char *data_path, const char *hash_path, const ProaVerityParams *params,
	char **ret_root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaves: a dm-verity hash tree read as an index of its data: the digest of each block, and what a root hash
 * is made of (SHA-256, hash type 1, blocks of 4096 bytes; kernel documentation, "dm-verity", and the verity
 * superblock of cryptsetup's).
 */
#pragma once

#include "verity/tree.h"

#define PROA_VERITY_DIGEST_SIZE 32
/* Digests in a hash block. */
#define PROA_VERITY_FANOUT 128u

/* A hash function with the salt taken in already. */
typedef struct ProaVerityHash ProaVerityHash;

/* Never NULL. @salt has PROA_VERITY_SALT_SIZE bytes. */
ProaVerityHash *proa_verity_hash_new(const guint8 *salt);
void proa_verity_hash_free(ProaVerityHash *hash);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaVerityHash, proa_verity_hash_free)

/* The digest of one block of PROA_VERITY_BLOCK_SIZE bytes. */
void proa_verity_hash_block(
	ProaVerityHash *hash, const guint8 *block, guint8 ret_digest[PROA_VERITY_DIGEST_SIZE]);

/*
 * The digest of the hash block over @n blocks of data (1 to PROA_VERITY_FANOUT); fewer than a full hash
 * block's are the tree's last ones. @ret_digests (may be NULL) gets the digest of each block: n *
 * PROA_VERITY_DIGEST_SIZE bytes.
 */
void proa_verity_hash_group(ProaVerityHash *hash, const guint8 *data, guint n, guint8 *ret_digests,
	guint8 ret_digest[PROA_VERITY_DIGEST_SIZE]);

/* How many hash blocks the lowest level of a tree over @blocks blocks of data has. */
guint64 proa_verity_groups(guint64 blocks);

/* Bytes that the superblock and the tree over @data_size bytes take on the hash device. */
guint64 proa_verity_tree_size(guint64 data_size);

/* The root hash of a tree whose lowest level's hash blocks have these digests, @n of them, at least 1. */
void proa_verity_root_of_groups(
	ProaVerityHash *hash, const guint8 *digests, guint64 n, guint8 ret_root[PROA_VERITY_DIGEST_SIZE]);

/* The lowest level of a tree on a device or in a file. Nothing of it is checked against a root hash. */
typedef struct {
	int fd;
	guint64 blocks; /* of data; at least 2 */
	guint64 offset; /* of the first digest, bytes */
	guint8 salt[PROA_VERITY_SALT_SIZE];
} ProaVerityLeaves;

/*
 * Opens the tree at @path by its superblock. ROOT_HASH_MISMATCH if that is none, or not one of our format;
 * NOT_FOUND, IO. proa_verity_leaves_clear() closes it.
 */
gboolean proa_verity_leaves_open(
	const char *path, ProaVerityLeaves *ret_leaves, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_verity_leaves_clear(ProaVerityLeaves *leaves);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaVerityLeaves, proa_verity_leaves_clear)

/*
 * Parses a superblock, the first 512 bytes of a hash device, into all but fd of @ret_leaves.
 * ROOT_HASH_MISMATCH as above.
 */
gboolean proa_verity_superblock_parse(
	const guint8 data[512], ProaVerityLeaves *ret_leaves, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the digests of @n blocks from block @first on; both within the tree (g_assert). IO. */
gboolean proa_verity_leaves_read(const ProaVerityLeaves *leaves, guint64 first, guint n, guint8 *digests,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

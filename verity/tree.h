/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: what a dm-verity hash tree is (docs/formats.md, "Release manifest"), checked through libcryptsetup.
 * build.h makes them.
 *
 * One format only: SHA-256, hash type 1, data and hash blocks of 4096 bytes, the verity superblock in the
 * first block of the hash device. The bytes are those of `veritysetup format` with the same salt and UUID.
 */
#pragma once

#include "base/reason.h"

#define PROA_VERITY_BLOCK_SIZE 4096
#define PROA_VERITY_SALT_SIZE 32
/* Longest UUID with its terminating NUL. */
#define PROA_VERITY_UUID_SIZE 37

typedef struct {
	guint64 data_size; /* bytes of the data covered, a multiple of 4096; not 0 */
	guint8 salt[PROA_VERITY_SALT_SIZE];
	char uuid[PROA_VERITY_UUID_SIZE]; /* UUID of the superblock */
} ProaVerityParams;

/*
 * Reads the whole of the data and its tree and checks both against @root_hash (64 hexadecimal digits). The
 * parameters are those of the superblock. ROOT_HASH_MISMATCH if they differ, a block cannot be read, or there
 * is no superblock; IO.
 */
gboolean proa_verity_check(const char *data_path, const char *hash_path, const char *root_hash,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the kernel says of an active dm-verity device. */
typedef struct {
	char root_hash[65]; /* 64 hexadecimal digits */
	gboolean corrupted; /* the kernel has met a block that is not of the tree */
} ProaVerityStatus;

/*
 * Asks the kernel about the active device-mapper device @name ("root"). NOT_VERIFIED if there is none of that
 * name, or it is not a verity device.
 */
gboolean proa_verity_status(
	const char *name, ProaVerityStatus *ret_status, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/leaves.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>

/* More blocks than this (16 TiB) are in no image of ours; it keeps sums of offsets far from overflow. */
#define MAX_BLOCKS (1ull << 32)

struct ProaVerityHash {
	EVP_MD *sha256;
	EVP_MD_CTX *salted, *work;
};

static void must(int ok)
{
	/* SHA-256 in memory fails only without memory, or without a SHA-256. */
	if (ok != 1)
		g_error("libcrypto has no SHA-256");
}

ProaVerityHash *proa_verity_hash_new(const guint8 *salt)
{
	ProaVerityHash *hash = g_new0(ProaVerityHash, 1);

	hash->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hash->salted = EVP_MD_CTX_new();
	hash->work = EVP_MD_CTX_new();
	must(hash->sha256 && hash->salted && hash->work);
	must(EVP_DigestInit_ex2(hash->salted, hash->sha256, NULL));
	must(EVP_DigestUpdate(hash->salted, salt, PROA_VERITY_SALT_SIZE));
	return hash;
}

void proa_verity_hash_free(ProaVerityHash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->work);
	EVP_MD_CTX_free(hash->salted);
	EVP_MD_free(hash->sha256);
	g_free(hash);
}

void proa_verity_hash_block(
	ProaVerityHash *hash, const guint8 *block, guint8 ret_digest[PROA_VERITY_DIGEST_SIZE])
{
	must(EVP_MD_CTX_copy_ex(hash->work, hash->salted));
	must(EVP_DigestUpdate(hash->work, block, PROA_VERITY_BLOCK_SIZE));
	must(EVP_DigestFinal_ex(hash->work, ret_digest, NULL));
}

void proa_verity_hash_group(ProaVerityHash *hash, const guint8 *data, guint n, guint8 *ret_digests,
	guint8 ret_digest[PROA_VERITY_DIGEST_SIZE])
{
	guint8 block[PROA_VERITY_BLOCK_SIZE] = { 0 };

	g_assert(n > 0 && n <= PROA_VERITY_FANOUT);
	for (guint i = 0; i < n; i++)
		proa_verity_hash_block(hash, data + (gsize)i * PROA_VERITY_BLOCK_SIZE,
			block + (gsize)i * PROA_VERITY_DIGEST_SIZE);
	if (ret_digests)
		memcpy(ret_digests, block, (gsize)n * PROA_VERITY_DIGEST_SIZE);
	proa_verity_hash_block(hash, block, ret_digest);
}

guint64 proa_verity_groups(guint64 blocks)
{
	return blocks / PROA_VERITY_FANOUT + (blocks % PROA_VERITY_FANOUT != 0);
}

guint64 proa_verity_tree_size(guint64 data_size)
{
	guint64 blocks = data_size / PROA_VERITY_BLOCK_SIZE + (data_size % PROA_VERITY_BLOCK_SIZE != 0);
	guint64 total = 1;

	for (; blocks > 1; total += blocks)
		blocks = proa_verity_groups(blocks);
	return total * PROA_VERITY_BLOCK_SIZE;
}

void proa_verity_root_of_groups(
	ProaVerityHash *hash, const guint8 *digests, guint64 n, guint8 ret_root[PROA_VERITY_DIGEST_SIZE])
{
	g_autofree guint8 *level = g_memdup2(digests, n * PROA_VERITY_DIGEST_SIZE);

	g_assert(n > 0);
	while (n > 1) {
		guint64 above = proa_verity_groups(n);
		for (guint64 i = 0; i < above; i++) {
			guint8 block[PROA_VERITY_BLOCK_SIZE] = { 0 };
			guint64 first = i * PROA_VERITY_FANOUT;
			memcpy(block, level + first * PROA_VERITY_DIGEST_SIZE,
				MIN(PROA_VERITY_FANOUT, n - first) * PROA_VERITY_DIGEST_SIZE);
			proa_verity_hash_block(hash, block, level + i * PROA_VERITY_DIGEST_SIZE);
		}
		n = above;
	}
	memcpy(ret_root, level, PROA_VERITY_DIGEST_SIZE);
}

static guint64 little(const guint8 *p, guint bytes)
{
	guint64 value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

/* The superblock's fields: 0 signature, 8 version, 12 hash type, 16 UUID, 32 algorithm, 64 and 68 block
 * sizes, 72 data blocks, 80 salt size, 88 salt. */
gboolean proa_verity_superblock_parse(const guint8 data[512], ProaVerityLeaves *ret_leaves, GError **error)
{
	guint64 blocks = little(data + 72, 8);

	if (memcmp(data, "verity\0\0", 8) != 0)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH, "there is no verity superblock");
	if (little(data + 8, 4) != 1 || little(data + 12, 4) != 1 || memcmp(data + 32, "sha256\0", 7) != 0 ||
		little(data + 64, 4) != PROA_VERITY_BLOCK_SIZE ||
		little(data + 68, 4) != PROA_VERITY_BLOCK_SIZE ||
		little(data + 80, 2) != PROA_VERITY_SALT_SIZE || blocks < 2 || blocks > MAX_BLOCKS)
		return proa_fail(
			error, PROA_REASON_ROOT_HASH_MISMATCH, "the verity superblock is of another format");

	/* The levels follow the superblock, the highest first. */
	guint64 offset = PROA_VERITY_BLOCK_SIZE;
	for (guint64 n = proa_verity_groups(blocks); n > 1; offset += n * PROA_VERITY_BLOCK_SIZE)
		n = proa_verity_groups(n);
	ret_leaves->blocks = blocks;
	ret_leaves->offset = offset;
	memcpy(ret_leaves->salt, data + 88, PROA_VERITY_SALT_SIZE);
	return TRUE;
}

void proa_verity_leaves_clear(ProaVerityLeaves *leaves)
{
	proa_close_fd(&leaves->fd);
}

gboolean proa_verity_leaves_open(const char *path, ProaVerityLeaves *ret_leaves, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ProaVerityLeaves leaves = { 0 };
	guint8 data[512];

	if (fd < 0)
		return proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
	if (!proa_pread_all(fd, data, sizeof data, 0, error) ||
		!proa_verity_superblock_parse(data, &leaves, error)) {
		g_prefix_error(error, "%s: ", path);
		return FALSE;
	}
	leaves.fd = proa_steal_fd(&fd);
	*ret_leaves = leaves;
	return TRUE;
}

gboolean proa_verity_leaves_read(
	const ProaVerityLeaves *leaves, guint64 first, guint n, guint8 *digests, GError **error)
{
	g_assert(first <= leaves->blocks && n <= leaves->blocks - first);
	if (proa_pread_all(leaves->fd, digests, (gsize)n * PROA_VERITY_DIGEST_SIZE,
		    (goffset)(leaves->offset + first * PROA_VERITY_DIGEST_SIZE), error))
		return TRUE;
	g_prefix_error(error, "reading a hash tree: ");
	return FALSE;
}

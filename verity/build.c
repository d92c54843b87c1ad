/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/build.h"

#include "base/digest.h"
#include "base/file.h"
#include "verity/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((gsize)PROA_VERITY_BLOCK_SIZE)
#define GROUP (PROA_VERITY_FANOUT * BLOCK)
/* Groups that a thread reads in one go: 512 KiB. */
#define PIECE_GROUPS 1u
#define PIECE (PIECE_GROUPS * GROUP)
/* Levels of a tree over 2^64 bytes are fewer. */
#define MAX_LEVELS 8u

typedef struct {
	const char *data_path, *hash_path;
	int data, hash;
	gboolean direct; /* @data is read past the page cache */
	guint64 blocks;
	const guint8 *salt;
	guint levels;               /* of hash blocks; 0 if there is one block of data */
	guint64 hashes[MAX_LEVELS]; /* hash blocks of each level, the lowest first */
	guint64 offset[MAX_LEVELS]; /* where they begin, bytes */
	guint8 *digests;            /* of the lowest level's hash blocks */
	guint8 root[PROA_SHA256_SIZE];
	GMutex lock;
	guint64 next;  /* the first block that no thread has taken yet; under @lock, as is: */
	GError *error; /* the first one */
} Build;

static void build_clear(Build *build)
{
	proa_close_fd(&build->data);
	proa_close_fd(&build->hash);
	g_free(build->digests);
	g_clear_error(&build->error);
	g_mutex_clear(&build->lock);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

/* The levels follow the superblock, the highest first. */
static void place_levels(Build *build)
{
	guint64 at = PROA_VERITY_BLOCK_SIZE;

	for (guint64 n = build->blocks; n > 1; build->levels++)
		build->hashes[build->levels] = n = proa_verity_groups(n);
	for (guint i = build->levels; i-- > 0; at += build->hashes[i] * BLOCK)
		build->offset[i] = at;
}

static int open_path(const char *path, int flags, GError **error)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
	return fd;
}

static gboolean open_both(Build *build, GError **error)
{
	build->data = open(build->data_path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	build->direct = build->data >= 0;
	if (!build->direct)
		build->data = open_path(build->data_path, O_RDONLY, error);
	if (build->data < 0)
		return FALSE;
	build->hash = open_path(build->hash_path, O_WRONLY, error);
	return build->hash >= 0;
}

static gboolean write_hashes(
	const Build *build, const guint8 *data, gsize size, guint64 offset, GError **error)
{
	if (proa_pwrite_all(build->hash, data, size, (goffset)offset, error))
		return TRUE;
	g_prefix_error(error, "%s: ", build->hash_path);
	return FALSE;
}

/* Reads @n blocks from block @first on, hashes them and writes the hash blocks over them. */
static gboolean hash_piece(
	Build *build, ProaVerityHash *hash, guint8 *data, guint64 first, guint n, GError **error)
{
	guint8 out[PIECE_GROUPS * PROA_VERITY_BLOCK_SIZE] = { 0 };
	guint64 group = first / PROA_VERITY_FANOUT;
	gsize size = 0;

	if (!proa_pread_all(build->data, data, n * BLOCK, (goffset)(first * BLOCK), error)) {
		g_prefix_error(error, "%s: ", build->data_path);
		return FALSE;
	}
	if (!build->direct)
		(void)posix_fadvise(
			build->data, (off_t)(first * BLOCK), (off_t)(n * BLOCK), POSIX_FADV_DONTNEED);
	for (guint i = 0; i < n; i += PROA_VERITY_FANOUT, size += BLOCK)
		proa_verity_hash_group(hash, data + i * BLOCK, MIN(PROA_VERITY_FANOUT, n - i), out + size,
			build->digests + (group + i / PROA_VERITY_FANOUT) * PROA_VERITY_DIGEST_SIZE);
	return write_hashes(build, out, size, build->offset[0] + group * BLOCK, error);
}

/* The next blocks that nobody has taken; FALSE if there are none, or another thread has failed. */
static gboolean take_piece(Build *build, guint64 *ret_first, guint *ret_n)
{
	g_mutex_lock(&build->lock);
	gboolean more = !build->error && build->next < build->blocks;
	*ret_first = build->next;
	*ret_n = (guint)MIN((guint64)(PIECE / BLOCK), build->blocks - build->next);
	build->next += *ret_n;
	g_mutex_unlock(&build->lock);
	return more;
}

static gpointer hash_pieces(gpointer user_data)
{
	Build *build = user_data;
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->salt);
	g_autoptr(GError) error = NULL;
	void *data = NULL;
	guint64 first;
	guint n;

	if (posix_memalign(&data, BLOCK, PIECE) != 0)
		proa_fail(&error, PROA_REASON_INTERNAL, "out of memory");
	while (!error && take_piece(build, &first, &n))
		if (!hash_piece(build, hash, data, first, n, &error))
			break;
	free(data);
	g_mutex_lock(&build->lock);
	if (error && !build->error)
		build->error = g_steal_pointer(&error);
	g_mutex_unlock(&build->lock);
	return NULL;
}

/* The lowest level, by this thread and, if it can be had, another one. */
static gboolean hash_data(Build *build, GError **error)
{
	build->digests = g_malloc(build->hashes[0] * PROA_VERITY_DIGEST_SIZE);
	GThread *other = g_thread_try_new("hash-tree", hash_pieces, build, NULL);

	hash_pieces(build);
	if (other)
		g_thread_join(other);
	if (!build->error)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&build->error));
	return FALSE;
}

/* The levels over the lowest: each is the digests of the one below. */
static gboolean hash_levels(Build *build, GError **error)
{
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->salt);
	guint8 *digests = build->digests;

	for (guint level = 1; level < build->levels; level++) {
		for (guint64 i = 0; i < build->hashes[level]; i++) {
			guint8 block[PROA_VERITY_BLOCK_SIZE] = { 0 };
			guint64 first = i * PROA_VERITY_FANOUT;
			memcpy(block, digests + first * PROA_VERITY_DIGEST_SIZE,
				MIN(PROA_VERITY_FANOUT, build->hashes[level - 1] - first) *
					PROA_VERITY_DIGEST_SIZE);
			if (!write_hashes(build, block, BLOCK, build->offset[level] + i * BLOCK, error))
				return FALSE;
			proa_verity_hash_block(hash, block, digests + i * PROA_VERITY_DIGEST_SIZE);
		}
	}
	memcpy(build->root, digests, sizeof build->root);
	return TRUE;
}

/* One block of data has no tree: its digest is the root hash. */
static gboolean hash_one_block(Build *build, GError **error)
{
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->salt);
	void *data = NULL;

	if (posix_memalign(&data, BLOCK, BLOCK) != 0)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	gboolean ok = proa_pread_all(build->data, data, BLOCK, 0, error);
	if (ok)
		proa_verity_hash_block(hash, data, build->root);
	free(data);
	return ok;
}

static void put_little(guint8 *p, guint64 value, guint bytes)
{
	for (; bytes-- > 0; value >>= 8)
		*p++ = (guint8)value;
}

/* What proa_verity_superblock_parse() reads; the rest of its block is zero. */
static gboolean write_superblock(Build *build, const char *uuid, GError **error)
{
	guint8 block[PROA_VERITY_BLOCK_SIZE] = "verity";
	g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);
	g_autofree char *digits = g_strjoinv("", parts);

	put_little(block + 8, 1, 4);
	put_little(block + 12, 1, 4);
	if (!proa_hex_decode(digits, block + 16, 16))
		return proa_fail(error, PROA_REASON_IO, "\"%s\" is not a UUID", uuid);
	memcpy(block + 32, "sha256", 6);
	put_little(block + 64, PROA_VERITY_BLOCK_SIZE, 4);
	put_little(block + 68, PROA_VERITY_BLOCK_SIZE, 4);
	put_little(block + 72, build->blocks, 8);
	put_little(block + 80, PROA_VERITY_SALT_SIZE, 2);
	memcpy(block + 88, build->salt, PROA_VERITY_SALT_SIZE);
	return write_hashes(build, block, sizeof block, 0, error);
}

gboolean proa_verity_build(const char *data_path, const char *hash_path, const ProaVerityParams *params,
	char **ret_root_hash, GError **error)
{
	g_auto(Build) build = { .data_path = data_path,
		.hash_path = hash_path,
		.data = -1,
		.hash = -1,
		.blocks = params->data_size / BLOCK,
		.salt = params->salt };

	g_mutex_init(&build.lock);
	if (params->data_size == 0 || params->data_size % BLOCK != 0)
		return proa_fail(error, PROA_REASON_IO,
			"%s: %" G_GUINT64_FORMAT " bytes are not whole blocks of %d", data_path,
			params->data_size, PROA_VERITY_BLOCK_SIZE);
	place_levels(&build);
	if (!open_both(&build, error) ||
		!(build.levels > 0 ? hash_data(&build, error) && hash_levels(&build, error)
				   : hash_one_block(&build, error)) ||
		!write_superblock(&build, params->uuid, error))
		return FALSE;
	if (fsync(build.hash) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", hash_path);
	*ret_root_hash = proa_hex_encode(build.root, sizeof build.root);
	return TRUE;
}

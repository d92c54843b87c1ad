/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/build.h"

#include "base/digest.h"
#include "base/direct.h"
#include "base/file.h"
#include "verity/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((gsize)PROA_VERITY_BLOCK_SIZE)
#define GROUP (PROA_VERITY_FANOUT * BLOCK)
/* Groups that a thread reads in one go: 512 KiB. */
#define PIECE_GROUPS 1u
#define PIECE (PIECE_GROUPS * GROUP)
#define THREADS 2u
/* Levels of a tree over 2^64 bytes are fewer. */
#define MAX_LEVELS 8u

/* So much lies on the device before it is flushed and read back while more is written. Blocks; 16 MiB. */
#define SPAN (32u * PROA_VERITY_FANOUT)

struct ProaVerityBuild {
	char *data_path, *hash_path;
	int data, hash;
	gboolean direct; /* @data is read past the page cache */
	ProaVerityParams params;
	guint64 blocks;
	guint levels;               /* of hash blocks; 0 if there is one block of data */
	guint64 hashes[MAX_LEVELS]; /* hash blocks of each level, the lowest first */
	guint64 offset[MAX_LEVELS]; /* where they begin, bytes */
	guint8 *digests;            /* of the lowest level's hash blocks */
	guint8 root[PROA_SHA256_SIZE];
	GThread *threads[THREADS]; /* begin with the first bytes written */
	GMutex lock;               /* of what follows */
	GCond changed;
	guint64 written, flushed; /* blocks that the device has, and those of them that may be read back */
	guint64 next;             /* the first block that no thread has taken yet */
	gboolean flushing, stop;
	GError *error; /* the first one */
};

static void join_threads(ProaVerityBuild *build)
{
	for (guint i = 0; i < THREADS; i++)
		if (build->threads[i])
			g_thread_join(g_steal_pointer(&build->threads[i]));
}

void proa_verity_build_free(ProaVerityBuild *build)
{
	if (!build)
		return;
	g_mutex_lock(&build->lock);
	build->stop = TRUE;
	g_cond_broadcast(&build->changed);
	g_mutex_unlock(&build->lock);
	join_threads(build);
	proa_close_fd(&build->data);
	proa_close_fd(&build->hash);
	g_free(build->data_path);
	g_free(build->hash_path);
	g_free(build->digests);
	g_clear_error(&build->error);
	g_mutex_clear(&build->lock);
	g_cond_clear(&build->changed);
	g_free(build);
}

/* The levels follow the superblock, the highest first. */
static void place_levels(ProaVerityBuild *build)
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

static gboolean open_both(ProaVerityBuild *build, GError **error)
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
	const ProaVerityBuild *build, const guint8 *data, gsize size, guint64 offset, GError **error)
{
	if (proa_pwrite_all(build->hash, data, size, (goffset)offset, error))
		return TRUE;
	g_prefix_error(error, "%s: ", build->hash_path);
	return FALSE;
}

/* Reads @n blocks from block @first on, hashes them and writes the hash blocks over them. */
static gboolean hash_piece(
	ProaVerityBuild *build, ProaVerityHash *hash, guint8 *data, guint64 first, guint n, GError **error)
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

/* With the lock. */
static gboolean worth_flushing(const ProaVerityBuild *build)
{
	return build->written - build->flushed >= SPAN || build->written == build->blocks;
}

/* Flushes what was written, so that it is the device's answer that is read. Called and left with the lock. */
static void flush(ProaVerityBuild *build)
{
	guint64 written = build->written;
	g_autoptr(GError) error = NULL;

	build->flushing = TRUE;
	g_mutex_unlock(&build->lock);
	if (fdatasync(build->data) < 0)
		proa_fail_errno(&error, PROA_REASON_IO, errno, "flushing %s", build->data_path);
	g_mutex_lock(&build->lock);
	build->flushing = FALSE;
	build->flushed = written;
	if (error && !build->error)
		build->error = g_steal_pointer(&error);
	g_cond_broadcast(&build->changed);
}

/*
 * The next blocks that nobody has taken, a whole piece but at the end; waits until they may be read. FALSE if
 * there are no more, or another thread has failed.
 */
static gboolean take_piece(ProaVerityBuild *build, guint64 *ret_first, guint *ret_n)
{
	g_mutex_lock(&build->lock);
	for (;;) {
		guint64 n = MIN((guint64)(PIECE / BLOCK), build->blocks - build->next);
		gboolean more = !build->error && !build->stop && n > 0;
		if (!more || build->next + n <= build->flushed) {
			*ret_first = build->next;
			*ret_n = (guint)n;
			build->next += more ? n : 0;
			g_mutex_unlock(&build->lock);
			return more;
		}
		if (worth_flushing(build) && !build->flushing)
			flush(build);
		else
			g_cond_wait(&build->changed, &build->lock);
	}
}

static gpointer hash_pieces(gpointer user_data)
{
	ProaVerityBuild *build = user_data;
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->params.salt);
	g_autoptr(GError) error = NULL;
	guint8 *data = proa_direct_take(PIECE);
	guint64 first;
	guint n;

	if (!data)
		proa_fail(&error, PROA_REASON_INTERNAL, "out of memory");
	while (!error && take_piece(build, &first, &n))
		if (!hash_piece(build, hash, data, first, n, &error))
			break;
	proa_direct_give(data);
	g_mutex_lock(&build->lock);
	if (error && !build->error)
		build->error = g_steal_pointer(&error);
	g_cond_broadcast(&build->changed);
	g_mutex_unlock(&build->lock);
	return NULL;
}

static void start_threads(ProaVerityBuild *build)
{
	for (guint i = 0; i < THREADS; i++)
		if (!build->threads[i] && build->levels > 0)
			build->threads[i] = g_thread_try_new("hash-tree", hash_pieces, build, NULL);
}

/* The lowest level; by this thread only if no other can be had. */
static gboolean hash_data(ProaVerityBuild *build, GError **error)
{
	start_threads(build);
	if (!build->threads[0])
		hash_pieces(build);
	join_threads(build);
	if (!build->error)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&build->error));
	return FALSE;
}

/* The levels over the lowest: each is the digests of the one below. */
static gboolean hash_levels(ProaVerityBuild *build, GError **error)
{
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->params.salt);
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
static gboolean hash_one_block(ProaVerityBuild *build, GError **error)
{
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(build->params.salt);
	guint8 *data = proa_direct_take(BLOCK);

	if (!data)
		return proa_fail(error, PROA_REASON_INTERNAL, "out of memory");
	gboolean ok = proa_pread_all(build->data, data, BLOCK, 0, error);
	if (ok)
		proa_verity_hash_block(hash, data, build->root);
	proa_direct_give(data);
	return ok;
}

static void put_little(guint8 *p, guint64 value, guint bytes)
{
	for (; bytes-- > 0; value >>= 8)
		*p++ = (guint8)value;
}

/* What proa_verity_superblock_parse() reads; the rest of its block is zero. */
static gboolean write_superblock(ProaVerityBuild *build, const char *uuid, GError **error)
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
	memcpy(block + 88, build->params.salt, PROA_VERITY_SALT_SIZE);
	return write_hashes(build, block, sizeof block, 0, error);
}

ProaVerityBuild *proa_verity_build_new(
	const char *data_path, const char *hash_path, const ProaVerityParams *params, GError **error)
{
	g_autoptr(ProaVerityBuild) build = g_new0(ProaVerityBuild, 1);

	build->data_path = g_strdup(data_path);
	build->hash_path = g_strdup(hash_path);
	build->params = *params;
	build->data = build->hash = -1;
	build->blocks = params->data_size / BLOCK;
	g_mutex_init(&build->lock);
	g_cond_init(&build->changed);
	if (params->data_size == 0 || params->data_size % BLOCK != 0) {
		proa_fail(error, PROA_REASON_IO, "%s: %" G_GUINT64_FORMAT " bytes are not whole blocks of %d",
			data_path, params->data_size, PROA_VERITY_BLOCK_SIZE);
		return NULL;
	}
	place_levels(build);
	build->digests = g_malloc((gsize)build->hashes[0] * PROA_VERITY_DIGEST_SIZE);
	return open_both(build, error) ? g_steal_pointer(&build) : NULL;
}

void proa_verity_build_written(ProaVerityBuild *build, guint64 end)
{
	/* Through the page cache it would be read from there. */
	if (!build->direct)
		return;
	g_mutex_lock(&build->lock);
	g_assert(end % BLOCK == 0 && end / BLOCK >= build->written && end / BLOCK <= build->blocks);
	build->written = end / BLOCK;
	start_threads(build);
	if (worth_flushing(build))
		g_cond_broadcast(&build->changed);
	g_mutex_unlock(&build->lock);
}

gboolean proa_verity_build_finish(ProaVerityBuild *build, char **ret_root_hash, GError **error)
{
	g_mutex_lock(&build->lock);
	build->written = build->blocks;
	g_cond_broadcast(&build->changed);
	g_mutex_unlock(&build->lock);
	if (!(build->levels > 0 ? hash_data(build, error) && hash_levels(build, error)
				: hash_one_block(build, error)) ||
		!write_superblock(build, build->params.uuid, error))
		return FALSE;
	if (fsync(build->hash) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "flushing %s", build->hash_path);
	*ret_root_hash = proa_hex_encode(build->root, sizeof build->root);
	return TRUE;
}

gboolean proa_verity_build(const char *data_path, const char *hash_path, const ProaVerityParams *params,
	char **ret_root_hash, GError **error)
{
	g_autoptr(ProaVerityBuild) build = proa_verity_build_new(data_path, hash_path, params, error);

	return build && proa_verity_build_finish(build, ret_root_hash, error);
}

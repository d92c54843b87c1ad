/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/scrub.h"

#include "base/digest.h"
#include "base/file.h"
#include "verity/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#define BLOCK PROA_VERITY_BLOCK_SIZE
/* Digests in a block of the tree, and the shift that is. */
#define FAN_OUT (BLOCK / PROA_SHA256_SIZE)
#define FAN_OUT_BITS 7
#define MAX_LEVELS 8
#define MAX_SALT 256
/* Read at once, and the step of rate and progress. Bytes. */
#define CHUNK (1024 * 1024)
/* No device of ours is larger: 16 TiB. */
#define MAX_BLOCKS (G_GUINT64_CONSTANT(1) << 32)

/* Offsets of the superblock's fields (cryptsetup, "Dm-verity", superblock version 1). */
enum {
	SB_VERSION = 8,
	SB_TYPE = 12,
	SB_ALGORITHM = 32,
	SB_DATA_BLOCK = 64,
	SB_HASH_BLOCK = 68,
	SB_BLOCKS = 72,
	SB_SALT_SIZE = 80,
	SB_SALT = 88,
	SB_SIZE = 512
};

typedef struct {
	int data_fd, hash_fd;
	guint8 root[PROA_SHA256_SIZE], salt[MAX_SALT];
	gsize salt_size;
	guint levels;
	guint64 first[MAX_LEVELS], count[MAX_LEVELS]; /* of each level, level 0 lies just above the data */
	EVP_MD_CTX *context;
	ProaScrub result;
} Scrub;

static void scrub_clear(Scrub *scrub)
{
	proa_close_fd(&scrub->data_fd);
	proa_close_fd(&scrub->hash_fd);
	EVP_MD_CTX_free(scrub->context);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scrub, scrub_clear)

static guint64 little(const guint8 *bytes, gsize size)
{
	guint64 value = 0;

	for (gsize i = size; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

/* From the top of the tree, which comes first, down. */
static void lay_out(Scrub *scrub)
{
	guint64 at = 1;

	while ((scrub->result.blocks - 1) >> (FAN_OUT_BITS * scrub->levels))
		scrub->levels++;
	for (guint level = scrub->levels; level-- > 0;) {
		guint shift = FAN_OUT_BITS * (level + 1);
		scrub->first[level] = at;
		scrub->count[level] = (scrub->result.blocks + (G_GUINT64_CONSTANT(1) << shift) - 1) >> shift;
		at += scrub->count[level];
	}
}

static gboolean read_superblock(Scrub *scrub, GError **error)
{
	guint8 sb[SB_SIZE];

	if (!proa_pread_all(scrub->hash_fd, sb, sizeof sb, 0, error))
		return FALSE;
	scrub->result.blocks = little(sb + SB_BLOCKS, 8);
	scrub->salt_size = (gsize)little(sb + SB_SALT_SIZE, 2);
	if (memcmp(sb, "verity\0\0", 8) != 0 || little(sb + SB_VERSION, 4) != 1 ||
		little(sb + SB_TYPE, 4) != 1 || memcmp(sb + SB_ALGORITHM, "sha256", 7) != 0 ||
		little(sb + SB_DATA_BLOCK, 4) != BLOCK || little(sb + SB_HASH_BLOCK, 4) != BLOCK ||
		scrub->salt_size > MAX_SALT || scrub->result.blocks == 0 || scrub->result.blocks > MAX_BLOCKS)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"the hash tree has no superblock of the form that is used here");
	/* A device that ends within its last block is damaged; one that is much shorter is not the one meant,
	 * and nobody would wait for so many blocks that cannot be read. */
	off_t size = lseek(scrub->data_fd, 0, SEEK_END);
	if (size < 0 || (scrub->result.blocks - 1) * BLOCK > (guint64)size)
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"the hash tree is of %" G_GUINT64_FORMAT " blocks, which the data does not have",
			scrub->result.blocks);
	memcpy(scrub->salt, sb + SB_SALT, scrub->salt_size);
	lay_out(scrub);
	return TRUE;
}

static gboolean matches(Scrub *scrub, const guint8 *block, const guint8 *expected)
{
	guint8 digest[PROA_SHA256_SIZE];

	return EVP_DigestInit_ex(scrub->context, EVP_sha256(), NULL) &&
	       EVP_DigestUpdate(scrub->context, scrub->salt, scrub->salt_size) &&
	       EVP_DigestUpdate(scrub->context, block, BLOCK) &&
	       EVP_DigestFinal_ex(scrub->context, digest, NULL) &&
	       memcmp(digest, expected, sizeof digest) == 0;
}

/* The digests that cover the blocks of @level, one block of the level above at a time. */
typedef struct {
	guint64 index; /* G_MAXUINT64: none read yet */
	gboolean readable;
	guint8 bytes[BLOCK];
} Parent;

/* What block @index of what lies below level @above must hash to; NULL if that cannot be read. */
static const guint8 *expected_of(Scrub *scrub, Parent *parent, guint above, guint64 index)
{
	if (above == scrub->levels)
		return scrub->root;
	guint64 wanted = index >> FAN_OUT_BITS;
	if (parent->index != wanted) {
		goffset at = (goffset)(scrub->first[above] + wanted) * BLOCK;
		parent->index = wanted;
		parent->readable = proa_pread_all(scrub->hash_fd, parent->bytes, BLOCK, at, NULL);
	}
	return parent->readable ? parent->bytes + (index % FAN_OUT) * PROA_SHA256_SIZE : NULL;
}

static void check_tree(Scrub *scrub)
{
	g_autofree guint8 *block = g_malloc(BLOCK);
	g_autofree Parent *parent = g_new0(Parent, 1);

	for (guint level = scrub->levels; level-- > 0;) {
		parent->index = G_MAXUINT64;
		for (guint64 i = 0; i < scrub->count[level]; i++) {
			const guint8 *expected = expected_of(scrub, parent, level + 1, i);
			if (!expected ||
				!proa_pread_all(scrub->hash_fd, block, BLOCK,
					(goffset)(scrub->first[level] + i) * BLOCK, NULL) ||
				!matches(scrub, block, expected))
				scrub->result.bad++;
		}
	}
}

static void check_block(Scrub *scrub, Parent *parent, const guint8 *block, guint64 index)
{
	const guint8 *expected = expected_of(scrub, parent, 0, index);

	if (expected && block && matches(scrub, block, expected))
		return;
	scrub->result.bad++;
	scrub->result.first_bad = MIN(scrub->result.first_bad, index);
}

/* A chunk that cannot be read whole is read block by block, so that only the bad ones count. */
static void check_chunk(Scrub *scrub, Parent *parent, guint8 *chunk, guint64 first, guint64 count)
{
	goffset at = (goffset)first * BLOCK;
	gboolean whole = proa_pread_all(scrub->data_fd, chunk, (gsize)count * BLOCK, at, NULL);

	for (guint64 i = 0; i < count; i++) {
		guint8 *block = chunk + i * BLOCK;
		gboolean readable = whole || proa_pread_all(scrub->data_fd, block, BLOCK,
						     at + (goffset)(i * BLOCK), NULL);
		check_block(scrub, parent, readable ? block : NULL, first + i);
	}
	posix_fadvise(scrub->data_fd, at, (off_t)(count * BLOCK), POSIX_FADV_DONTNEED);
}

/* Sleeps until @done bytes since @began are no more than the rate allows. */
static void keep_rate(guint64 rate, guint64 done, gint64 began)
{
	gint64 due = rate ? (gint64)((double)done / (double)rate * G_USEC_PER_SEC) : 0;
	gint64 ahead = began + due - g_get_monotonic_time();

	if (ahead > 0)
		g_usleep((gulong)ahead);
}

static gboolean check_data(
	Scrub *scrub, guint64 rate, ProaScrubProgress progress, gpointer data, GError **error)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK);
	g_autofree Parent *parent = g_new0(Parent, 1);
	guint64 total = scrub->result.blocks;
	gint64 began = g_get_monotonic_time();

	parent->index = G_MAXUINT64;
	for (guint64 first = 0; first < total; first += CHUNK / BLOCK) {
		if (progress && !progress(first * BLOCK, total * BLOCK, data))
			return proa_fail(error, PROA_REASON_CANCELLED, "the scrub was stopped");
		check_chunk(scrub, parent, chunk, first, MIN(CHUNK / BLOCK, total - first));
		keep_rate(rate, MIN(first + CHUNK / BLOCK, total) * BLOCK, began);
	}
	if (progress)
		progress(total * BLOCK, total * BLOCK, data);
	return TRUE;
}

/* Opened for reading, with nothing of it left in the page cache: what counts is what the disk gives back. */
static int open_cold(const char *path, GError **error)
{
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		proa_fail_errno(error,
			errno == ENOENT   ? PROA_REASON_NOT_FOUND
			: errno == EACCES ? PROA_REASON_PERMISSION
					  : PROA_REASON_IO,
			errno, "opening %s", path);
	else
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return proa_steal_fd(&fd);
}

gboolean proa_scrub(const char *data_path, const char *hash_path, const char *root_hash, guint64 rate,
	ProaScrubProgress progress, gpointer data, ProaScrub *ret_scrub, GError **error)
{
	g_auto(Scrub) scrub = { .data_fd = -1, .hash_fd = -1, .result = { .first_bad = G_MAXUINT64 } };

	if (!proa_sha256_hex_valid(root_hash) || !proa_hex_decode(root_hash, scrub.root, sizeof scrub.root))
		return proa_fail(error, PROA_REASON_INTERNAL, "no root hash: %s", root_hash);
	scrub.context = EVP_MD_CTX_new();
	scrub.data_fd = open_cold(data_path, error);
	scrub.hash_fd = scrub.data_fd < 0 ? -1 : open_cold(hash_path, error);
	if (scrub.hash_fd < 0 || !read_superblock(&scrub, error))
		return FALSE;
	check_tree(&scrub);
	if (!check_data(&scrub, rate, progress, data, error))
		return FALSE;
	*ret_scrub = scrub.result;
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/erofs.h"

#include "updater/payload/wire.h"

#include <sys/stat.h>

#define BAD PROA_REASON_BAD_STATE
#define SUPERBLOCK_AT 1024
#define MAGIC 0xe0f5e1e2u
#define BLOCK_BITS 12
#define BLOCK_SIZE ((guint64)1 << BLOCK_BITS)
#define SLOT_SIZE 32
#define DIRENT_SIZE 12
#define MAX_DEPTH 64
#define MAX_ENTRIES (4ull * PROA_EROFS_MAX_FILES)

enum { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2 };

typedef struct {
	const guint8 *image;
	guint64 size;
	guint64 meta_at;
	GPtrArray *files;
	GHashTable *seen; /* inode numbers */
	guint64 entries;  /* of directories, looked at */
	guint depth;
} Reader;

typedef struct {
	guint32 mode;
	guint64 size;
	guint64 blocks_at, blocks, tail_at, tail;
} Inode;

void proa_erofs_file_free(gpointer data)
{
	ProaErofsFile *file = data;

	g_free(file->path);
	g_free(file);
}

static gboolean within(const Reader *reader, guint64 at, guint64 length)
{
	return at <= reader->size && length <= reader->size - at;
}

static gboolean read_inode(const Reader *reader, guint64 number, Inode *ret, GError **error)
{
	guint64 at = reader->meta_at + number * SLOT_SIZE;

	if (number > reader->size / SLOT_SIZE || !within(reader, at, 64))
		return proa_fail(error, BAD, "inode %" G_GUINT64_FORMAT " lies outside", number);
	const guint8 *data = reader->image + at;
	guint16 format = proa_get_u16(data), xattrs = proa_get_u16(data + 2);
	gboolean extended = format & 1;
	guint layout = (format >> 1) & 7;
	guint64 length = (extended ? 64 : 32) + (xattrs > 0 ? 12 + (guint64)(xattrs - 1) * 4 : 0);

	ret->mode = proa_get_u16(data + 4);
	ret->size = extended ? proa_get_u64(data + 8) : proa_get_u32(data + 8);
	ret->blocks_at = (guint64)proa_get_u32(data + 16) << BLOCK_BITS;
	ret->tail_at = at + length;
	if (ret->size > reader->size)
		return proa_fail(error, BAD, "inode %" G_GUINT64_FORMAT " is longer than the image", number);
	if (!S_ISREG(ret->mode) && !S_ISDIR(ret->mode))
		return TRUE;
	if (layout != LAYOUT_PLAIN && layout != LAYOUT_INLINE)
		return proa_fail(error, BAD, "inode %" G_GUINT64_FORMAT " has layout %u", number, layout);
	ret->tail = layout == LAYOUT_INLINE ? ret->size % BLOCK_SIZE : 0;
	ret->blocks = ret->size - ret->tail;
	if ((ret->blocks > 0 && !within(reader, ret->blocks_at, ret->blocks)) ||
		!within(reader, ret->tail_at, ret->tail))
		return proa_fail(error, BAD, "the data of inode %" G_GUINT64_FORMAT " lies outside", number);
	return TRUE;
}

static void add_file(Reader *reader, const char *path, const Inode *inode)
{
	ProaErofsFile *file = g_new0(ProaErofsFile, 1);

	*file = (ProaErofsFile){ g_strdup(path), inode->size, inode->blocks > 0 ? inode->blocks_at : 0,
		inode->blocks, inode->tail > 0 ? inode->tail_at : 0, inode->tail };
	g_ptr_array_add(reader->files, file);
}

static gboolean read_directory(Reader *reader, const char *path, const Inode *inode, GError **error);

static gboolean visit(Reader *reader, const char *folder, const char *name, guint64 number, GError **error)
{
	g_autofree char *path = *folder ? g_strconcat(folder, "/", name, NULL) : g_strdup(name);
	Inode inode = { 0 };

	if (!g_hash_table_add(reader->seen, g_memdup2(&number, sizeof number)))
		return TRUE;
	if (g_hash_table_size(reader->seen) > PROA_EROFS_MAX_FILES)
		return proa_fail(error, BAD, "there are too many inodes");
	if (!read_inode(reader, number, &inode, error))
		return FALSE;
	if (S_ISREG(inode.mode) && inode.size > 0)
		add_file(reader, path, &inode);
	if (!S_ISDIR(inode.mode))
		return TRUE;
	if (++reader->depth > MAX_DEPTH)
		return proa_fail(error, BAD, "directories are nested too deeply");
	gboolean ok = read_directory(reader, path, &inode, error);
	reader->depth--;
	return ok;
}

/* One block of directory entries, or the last bytes of a directory. */
static gboolean read_entries(
	Reader *reader, const char *folder, const guint8 *data, gsize size, GError **error)
{
	guint first = size >= DIRENT_SIZE ? proa_get_u16(data + 8) : 0;

	if (first < DIRENT_SIZE || first > size || first % DIRENT_SIZE != 0)
		return proa_fail(error, BAD, "directory \"%s\" is malformed", folder);
	guint n = first / DIRENT_SIZE;
	for (guint i = 0; i < n; i++) {
		const guint8 *entry = data + (gsize)i * DIRENT_SIZE;
		gsize from = proa_get_u16(entry + 8);
		gsize to = i + 1 < n ? proa_get_u16(entry + DIRENT_SIZE + 8) : size;
		if (from > to || to > size)
			return proa_fail(error, BAD, "directory \"%s\" is malformed", folder);
		/* Directories that share their blocks could have more of them than the image has bytes. */
		if (++reader->entries > MAX_ENTRIES)
			return proa_fail(error, BAD, "there are too many directory entries");
		g_autofree char *name = g_strndup((const char *)data + from, to - from);
		if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (!visit(reader, folder, name, proa_get_u64(entry), error))
			return FALSE;
	}
	return TRUE;
}

static gboolean read_directory(Reader *reader, const char *path, const Inode *inode, GError **error)
{
	for (guint64 at = 0; at < inode->size; at += BLOCK_SIZE) {
		gsize n = (gsize)MIN(BLOCK_SIZE, inode->size - at);
		guint64 where =
			at < inode->blocks ? inode->blocks_at + at : inode->tail_at + (at - inode->blocks);
		if (!read_entries(reader, path, reader->image + where, n, error))
			return FALSE;
	}
	return TRUE;
}

static int by_place(gconstpointer a, gconstpointer b)
{
	const ProaErofsFile *first = *(const ProaErofsFile *const *)a;
	const ProaErofsFile *second = *(const ProaErofsFile *const *)b;

	if (first->blocks_at != second->blocks_at)
		return first->blocks_at < second->blocks_at ? -1 : 1;
	return first->tail_at < second->tail_at ? -1 : first->tail_at > second->tail_at;
}

gboolean proa_erofs_is(const guint8 *image, gsize size)
{
	return size >= SUPERBLOCK_AT + 128 && proa_get_u32(image + SUPERBLOCK_AT) == MAGIC;
}

GPtrArray *proa_erofs_files(const guint8 *image, gsize size, GError **error)
{
	if (!proa_erofs_is(image, size)) {
		proa_fail(error, BAD, "it is not an EROFS image");
		return NULL;
	}
	const guint8 *super = image + SUPERBLOCK_AT;
	if (super[12] != BLOCK_BITS || proa_get_u32(super + 80) != 0) {
		proa_fail(error, BAD, "it is an EROFS image of another block size, or compressed");
		return NULL;
	}
	Reader reader = { .image = image,
		.size = size,
		.meta_at = (guint64)proa_get_u32(super + 40) << BLOCK_BITS,
		.files = g_ptr_array_new_with_free_func(proa_erofs_file_free),
		.seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL) };
	gboolean ok = visit(&reader, "", "", proa_get_u16(super + 14), error);
	g_hash_table_unref(reader.seen);
	if (!ok) {
		g_ptr_array_unref(reader.files);
		return NULL;
	}
	g_ptr_array_sort(reader.files, by_place);
	return reader.files;
}

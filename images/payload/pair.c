/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/pair.h"

#include "updater/payload/wire.h"

typedef struct {
	const guint8 *image;
	const GPtrArray *files;
	GHashTable *by_content; /* digest of a few bytes and the size -> file */
	GHashTable *by_path;
	/* Several files may have the same of these: a GPtrArray each. */
	GHashTable *by_plain_folder, *by_plain_path, *by_plain_name;
} Index;

char *proa_pair_without_version(const char *path)
{
	GString *plain = g_string_new(NULL);

	for (const char *c = path; *c;) {
		if (!g_ascii_isdigit(*c)) {
			g_string_append_c(plain, *c++);
			continue;
		}
		g_string_append_c(plain, '#');
		while (g_ascii_isdigit(*c) || (strchr(".-+~", *c) && *c && g_ascii_isdigit(c[1])))
			c++;
	}
	return g_string_free(plain, FALSE);
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where the byte @offset of a file lies in its image, and how many follow it there. */
static guint64 place_of(const ProaErofsFile *file, guint64 offset, guint64 *ret_length)
{
	if (offset < file->blocks) {
		*ret_length = file->blocks - offset;
		return file->blocks_at + offset;
	}
	*ret_length = file->blocks + file->tail - offset;
	return file->tail_at + (offset - file->blocks);
}

/* Whether the files have the same bytes, however each image has split its own. */
static gboolean same_content(const guint8 *old_image, const ProaErofsFile *old_file, const guint8 *new_image,
	const ProaErofsFile *new_file)
{
	guint64 size = old_file->blocks + old_file->tail, old_left, new_left;

	if (size != new_file->blocks + new_file->tail)
		return FALSE;
	for (guint64 at = 0, n; at < size; at += n) {
		guint64 old_at = place_of(old_file, at, &old_left),
			new_at = place_of(new_file, at, &new_left);
		n = MIN(old_left, new_left);
		if (memcmp(old_image + old_at, new_image + new_at, n) != 0)
			return FALSE;
	}
	return TRUE;
}

/* A cheap key: equal content gives equal keys; that keys are equal proves nothing. */
static guint64 content_key(const guint8 *image, const ProaErofsFile *file)
{
	guint64 size = file->blocks + file->tail, key = size * 0x9e3779b97f4a7c15u;

	for (guint64 i = 0; i < size; i += MAX(1, size / 64)) {
		guint64 left, at = place_of(file, i, &left);
		key ^= image[at];
		key = (key << 23 | key >> 41) * 0xff51afd7ed558ccdu;
	}
	return key;
}

/* @path with the versions of its folders left out, and its own name as it is: raid1.ko is not raid10.ko. */
static char *without_version_of_folders(const char *path)
{
	g_autofree char *folder = g_strndup(path, (gsize)(name_of(path) - path));
	g_autofree char *plain = proa_pair_without_version(folder);

	return g_strconcat(plain, name_of(path), NULL);
}

/* Takes @key. */
static void add_to(GHashTable *table, char *key, ProaErofsFile *file)
{
	GPtrArray *files = g_hash_table_lookup(table, key);

	if (files) {
		g_free(key);
	} else {
		files = g_ptr_array_new();
		g_hash_table_insert(table, key, files);
	}
	g_ptr_array_add(files, file);
}

static guint64 distance(const ProaErofsFile *a, const ProaErofsFile *b)
{
	return a->size > b->size ? a->size - b->size : b->size - a->size;
}

/* Of several the one whose size is nearest; the first of those. */
static const ProaErofsFile *nearest(GHashTable *table, const char *key, const ProaErofsFile *file)
{
	const GPtrArray *files = g_hash_table_lookup(table, key);
	const ProaErofsFile *best = NULL;

	for (guint i = 0; files && i < files->len; i++)
		if (!best || distance(files->pdata[i], file) < distance(best, file))
			best = files->pdata[i];
	return best;
}

static void index_add(Index *index, ProaErofsFile *file)
{
	guint64 key = content_key(index->image, file);
	char *plain = proa_pair_without_version(file->path);

	g_hash_table_insert(index->by_content, g_memdup2(&key, sizeof key), file);
	g_hash_table_insert(index->by_path, g_strdup(file->path), file);
	add_to(index->by_plain_folder, without_version_of_folders(file->path), file);
	add_to(index->by_plain_name, g_strdup(name_of(plain)), file);
	add_to(index->by_plain_path, plain, file);
}

static void find(const Index *index, const guint8 *new_image, ProaPair *pair)
{
	const ProaErofsFile *file = pair->new_file;
	guint64 key = content_key(new_image, file);
	g_autofree char *plain = proa_pair_without_version(file->path);
	g_autofree char *plain_folder = without_version_of_folders(file->path);
	const ProaErofsFile *of_path = g_hash_table_lookup(index->by_path, file->path);

	if (of_path && same_content(index->image, of_path, new_image, file)) {
		pair->old_file = of_path;
		pair->equal = TRUE;
		return;
	}
	const ProaErofsFile *of_content = g_hash_table_lookup(index->by_content, &key);
	if (of_content && same_content(index->image, of_content, new_image, file)) {
		pair->old_file = of_content;
		pair->equal = TRUE;
		return;
	}
	pair->old_file = of_path;
	if (!pair->old_file)
		pair->old_file = nearest(index->by_plain_folder, plain_folder, file);
	if (!pair->old_file)
		pair->old_file = nearest(index->by_plain_path, plain, file);
	if (!pair->old_file)
		pair->old_file = nearest(index->by_plain_name, name_of(plain), file);
}

static void list_free(gpointer list)
{
	g_ptr_array_unref(list);
}

static GHashTable *table_of_lists(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, list_free);
}

GArray *proa_pair_files(const guint8 *old_image, const GPtrArray *old_files, const guint8 *new_image,
	const GPtrArray *new_files)
{
	GArray *pairs = g_array_new(FALSE, TRUE, sizeof(ProaPair));
	Index index = { .image = old_image,
		.files = old_files,
		.by_content = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL),
		.by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.by_plain_folder = table_of_lists(),
		.by_plain_path = table_of_lists(),
		.by_plain_name = table_of_lists() };

	for (guint i = 0; i < old_files->len; i++)
		index_add(&index, old_files->pdata[i]);
	for (guint i = 0; i < new_files->len; i++) {
		ProaPair pair = { .new_file = new_files->pdata[i] };
		find(&index, new_image, &pair);
		g_array_append_val(pairs, pair);
	}
	g_hash_table_unref(index.by_content);
	g_hash_table_unref(index.by_path);
	g_hash_table_unref(index.by_plain_folder);
	g_hash_table_unref(index.by_plain_path);
	g_hash_table_unref(index.by_plain_name);
	return pairs;
}

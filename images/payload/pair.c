/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/pair.h"

#include "updater/payload/wire.h"

typedef struct {
	const guint8 *image;
	const GPtrArray *files;
	GHashTable *by_content; /* digest of a few bytes and the size -> file */
	GHashTable *by_path, *by_plain_path, *by_plain_name;
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

/* A cheap key: equal content gives equal keys; that keys are equal proves nothing. */
static guint64 content_key(const guint8 *image, const ProaErofsFile *file)
{
	guint64 key = file->size * 0x9e3779b97f4a7c15u;
	guint64 at[2] = { file->blocks_at, file->tail_at }, length[2] = { file->blocks, file->tail };

	for (guint part = 0; part < 2; part++)
		for (guint64 i = 0; i + 8 <= length[part]; i += MAX(8, (length[part] / 64) & ~(guint64)7)) {
			key ^= proa_get_u64(image + at[part] + i);
			key = (key << 23 | key >> 41) * 0xff51afd7ed558ccdu;
		}
	return key;
}

static gboolean same_content(const guint8 *old_image, const ProaErofsFile *old_file, const guint8 *new_image,
	const ProaErofsFile *new_file)
{
	return old_file->size == new_file->size && old_file->tail == new_file->tail &&
	       memcmp(old_image + old_file->blocks_at, new_image + new_file->blocks_at, new_file->blocks) ==
		       0 &&
	       memcmp(old_image + old_file->tail_at, new_image + new_file->tail_at, new_file->tail) == 0;
}

static void index_add(Index *index, ProaErofsFile *file)
{
	guint64 key = content_key(index->image, file);
	char *plain = proa_pair_without_version(file->path);

	g_hash_table_insert(index->by_content, g_memdup2(&key, sizeof key), file);
	g_hash_table_insert(index->by_path, g_strdup(file->path), file);
	g_hash_table_insert(index->by_plain_name, g_strdup(name_of(plain)), file);
	g_hash_table_insert(index->by_plain_path, plain, file);
}

static void find(const Index *index, const guint8 *new_image, ProaPair *pair)
{
	const ProaErofsFile *file = pair->new_file;
	guint64 key = content_key(new_image, file);
	g_autofree char *plain = proa_pair_without_version(file->path);
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
		pair->old_file = g_hash_table_lookup(index->by_plain_path, plain);
	if (!pair->old_file)
		pair->old_file = g_hash_table_lookup(index->by_plain_name, name_of(plain));
}

GArray *proa_pair_files(const guint8 *old_image, const GPtrArray *old_files, const guint8 *new_image,
	const GPtrArray *new_files)
{
	GArray *pairs = g_array_new(FALSE, TRUE, sizeof(ProaPair));
	Index index = { .image = old_image,
		.files = old_files,
		.by_content = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL),
		.by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.by_plain_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.by_plain_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };

	for (guint i = 0; i < old_files->len; i++)
		index_add(&index, old_files->pdata[i]);
	for (guint i = 0; i < new_files->len; i++) {
		ProaPair pair = { .new_file = new_files->pdata[i] };
		find(&index, new_image, &pair);
		g_array_append_val(pairs, pair);
	}
	g_hash_table_unref(index.by_content);
	g_hash_table_unref(index.by_path);
	g_hash_table_unref(index.by_plain_path);
	g_hash_table_unref(index.by_plain_name);
	return pairs;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pstore.h"

#include "base/file.h"

#include <string.h>

/* More than a firmware or a memory region for it holds. */
#define MAX_RECORD (1024 * 1024)
#define MAX_RECORDS 100

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *names_in(const char *folder)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && names->len < MAX_RECORDS && (name = g_dir_read_name(dir)))
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	return names;
}

/* The dumps of a folder, one after the other. */
static void add_dumps(const char *folder, GString *text)
{
	g_autoptr(GPtrArray) names = names_in(folder);

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_autofree char *record = g_str_has_prefix(name, "dmesg") && !g_str_has_suffix(name, ".enc.z")
						  ? proa_file_read(path, MAX_RECORD, NULL, NULL)
						  : NULL;
		if (record)
			g_string_append_printf(
				text, "%s%s", record, g_str_has_suffix(record, "\n") ? "" : "\n");
	}
}

char *proa_pstore_read(const char *root, gsize max)
{
	g_autofree char *kernel = g_strconcat(root, "/sys/fs/pstore", NULL);
	g_autofree char *kept = g_strconcat(root, "/var/lib/systemd/pstore", NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	add_dumps(kernel, text);
	if (text->len == 0)
		add_dumps(kept, text);
	/* systemd-pstore makes a folder a dump, named by its time. */
	g_autoptr(GPtrArray) folders = names_in(kept);
	for (guint i = folders->len; i-- > 0 && text->len == 0;) {
		g_autofree char *folder = g_build_filename(kept, g_ptr_array_index(folders, i), NULL);
		add_dumps(folder, text);
	}
	if (text->len == 0)
		return NULL;
	return g_utf8_make_valid(text->str + (text->len > max ? text->len - max : 0), -1);
}

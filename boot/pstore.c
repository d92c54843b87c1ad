/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pstore.h"

#include "base/file.h"

#include <string.h>
#include <sys/stat.h>

/* More than a firmware or a memory region for it holds. */
#define MAX_RECORD (1024 * 1024)
#define MAX_RECORDS 100
/* systemd-pstore makes a folder a dump, named by its time, for some backends with one a number in it. */
#define FOLDERS 2

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

/* A backend that knows no times leaves none, and is believed. */
static gboolean is_older(const char *path, gint64 since)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_mtim.tv_sec > 0 && st.st_mtim.tv_sec < since;
}

/* The dumps of a folder, one after the other. */
static void add_dumps(const char *folder, gint64 since, GString *text)
{
	g_autoptr(GPtrArray) names = names_in(folder);

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *path = g_build_filename(folder, name, NULL);
		gboolean wanted = g_str_has_prefix(name, "dmesg") && !g_str_has_suffix(name, ".enc.z") &&
				  !is_older(path, since);
		g_autofree char *record = wanted ? proa_file_read(path, MAX_RECORD, NULL, NULL) : NULL;
		if (record)
			g_string_append_printf(
				text, "%s%s", record, g_str_has_suffix(record, "\n") ? "" : "\n");
	}
}

/* The dumps of the folder, or of the newest one below it that has any. */
static void add_newest(const char *folder, guint depth, gint64 since, GString *text)
{
	g_autoptr(GPtrArray) names = names_in(folder);

	add_dumps(folder, since, text);
	for (guint i = depth > 0 ? names->len : 0; i-- > 0 && text->len == 0;) {
		g_autofree char *below = g_build_filename(folder, g_ptr_array_index(names, i), NULL);
		add_newest(below, depth - 1, since, text);
	}
}

char *proa_pstore_read(const char *root, gint64 since, gsize max)
{
	g_autofree char *kernel = g_strconcat(root, "/sys/fs/pstore", NULL);
	g_autofree char *kept = g_strconcat(root, "/var/lib/systemd/pstore", NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	add_dumps(kernel, since, text);
	if (text->len == 0)
		add_newest(kept, FOLDERS, since, text);
	if (text->len == 0)
		return NULL;
	return g_utf8_make_valid(text->str + (text->len > max ? text->len - max : 0), -1);
}

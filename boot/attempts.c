/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/attempts.h"

#include "base/digest.h"
#include "base/file.h"

#include <string.h>

#define NAME "attempts.json"
#define BEFORE_HASH "{\"root_hash\":\""
#define BEFORE_COUNT "\",\"attempts\":"

/* The one form that proa_attempts_format() makes; the initrd has no JSON library, and needs none for this. */
guint proa_attempts_parse(const char *content, gsize size, const char *root_hash)
{
	g_autofree char *text = g_strndup(content, size);
	g_autofree char *before = g_strconcat(BEFORE_HASH, root_hash, BEFORE_COUNT, NULL);

	if (!g_str_has_prefix(text, before) || !g_str_has_suffix(g_strchomp(text), "}"))
		return 0;
	char *digits = text + strlen(before);
	guint64 count = 0;
	digits[strlen(digits) - 1] = '\0';
	return g_ascii_string_to_unsigned(digits, 10, 0, 1000, &count, NULL) ? (guint)count : 0;
}

char *proa_attempts_format(const char *root_hash, guint attempts)
{
	return g_strdup_printf(BEFORE_HASH "%s" BEFORE_COUNT "%u}\n", root_hash, MIN(attempts, 1000));
}

guint proa_attempts_read(const char *dir, const char *root_hash)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	gsize size = 0;
	g_autofree char *content = proa_file_read(path, PROA_ATTEMPTS_MAX_SIZE, &size, NULL);

	return content ? proa_attempts_parse(content, size, root_hash) : 0;
}

gboolean proa_attempts_write(const char *dir, const char *root_hash, guint attempts, GError **error)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	g_autofree char *text = proa_attempts_format(root_hash, attempts);

	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

gboolean proa_attempts_clear(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);

	return proa_file_remove(path, error);
}

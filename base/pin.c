/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pin.h"

#include "base/file.h"
#include "base/json.h"
#include "base/version.h"

#include <string.h>

#define NAME "pin.json"
#define MAX_SIZE 4096

char *proa_pin_load(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_SIZE, &size, NULL);
	g_autoptr(JsonObject) top =
		text ? proa_json_parse(text, size, NAME, PROA_REASON_BAD_STATE, NULL) : NULL;
	const char *version = top ? proa_json_string_or(top, "version", "") : "";

	return proa_version_valid(version) ? g_strdup(version) : NULL;
}

gboolean proa_pin_save(const char *dir, const char *version, GError **error)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	g_autoptr(JsonObject) top = json_object_new();

	if (!version)
		return proa_file_remove(path, error);
	json_object_set_string_member(top, "version", version);
	json_object_set_int_member(top, "time", g_get_real_time() / G_USEC_PER_SEC);
	g_autofree char *text = proa_json_to_text(top);
	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/crashes.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>

#define NAME "crashes.json"
#define MAX_SIZE (64 * 1024)
/* Releases remembered, and times of each: the slots hold two, and no limit is over 100. */
#define MAX_RELEASES 8
#define MAX_TIMES 100

void proa_crash_clear(ProaCrash *crash)
{
	g_clear_pointer(&crash->root_hash, g_free);
}

/* The document, made anew where there is none that can be understood. */
static JsonObject *load(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_SIZE, &size, NULL);
	JsonObject *top = text ? proa_json_parse(text, size, NAME, PROA_REASON_BAD_STATE, NULL) : NULL;

	if (!top)
		top = json_object_new();
	if (!proa_json_object_or_null(top, "releases"))
		json_object_set_object_member(top, "releases", json_object_new());
	return top;
}

static gboolean save(const char *dir, JsonObject *top, GError **error)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	g_autofree char *text = proa_json_to_text(top);

	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

/* What is remembered of @root_hash; made, with @now as its first boot, if there is nothing. */
static JsonObject *release_of(JsonObject *top, const char *root_hash, gint64 now)
{
	JsonObject *releases = json_object_get_object_member(top, "releases");
	JsonObject *release = proa_json_object_or_null(releases, root_hash);

	if (release) {
		if (proa_json_int_or(release, "first_boot", 0) > now)
			json_object_set_int_member(release, "first_boot", now);
		/* To the end: members keep their order, and the first is the one that ran longest ago. */
		json_object_ref(release);
		json_object_remove_member(releases, root_hash);
		json_object_set_object_member(releases, root_hash, release);
		return release;
	}
	if (json_object_get_size(releases) >= MAX_RELEASES) {
		g_autoptr(GList) names = json_object_get_members(releases);
		json_object_remove_member(releases, names->data);
	}
	release = json_object_new();
	json_object_set_int_member(release, "first_boot", now);
	json_object_set_array_member(release, "unasked", json_array_new());
	json_object_set_object_member(releases, root_hash, release);
	return release;
}

/* Counts one more; returns how many there are. */
static guint count(JsonObject *release, gint64 now, gint64 within)
{
	JsonArray *unasked = proa_json_array_or_null(release, "unasked");

	if (!unasked) {
		unasked = json_array_new();
		json_object_set_array_member(release, "unasked", unasked);
	}
	if (now - proa_json_int_or(release, "first_boot", now) > within)
		return 0;
	if (json_array_get_length(unasked) < MAX_TIMES)
		json_array_add_int_element(unasked, now);
	return json_array_get_length(unasked);
}

gboolean proa_crashes_begin(const char *dir, const char *root_hash, const char *boot_id, gint64 now,
	gint64 within, gint64 hold, ProaCrash *ret_crash, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);
	JsonObject *running = proa_json_object_or_null(top, "running");
	const char *before = running ? proa_json_string_or(running, "root_hash", "") : "";

	*ret_crash = (ProaCrash){ 0 };
	if (running && strcmp(proa_json_string_or(running, "boot_id", ""), boot_id) == 0)
		return TRUE;
	if (running && proa_json_bool_or(running, "healthy", FALSE) && proa_sha256_hex_valid(before)) {
		ret_crash->count = count(release_of(top, before, now), now, within);
		ret_crash->root_hash = ret_crash->count > 0 ? g_strdup(before) : NULL;
	}
	running = json_object_new();
	json_object_set_string_member(running, "root_hash", root_hash);
	json_object_set_string_member(running, "boot_id", boot_id);
	json_object_set_boolean_member(running, "healthy", FALSE);
	json_object_set_object_member(top, "running", running);
	json_object_set_int_member(release_of(top, root_hash, now), "hold", hold);
	return save(dir, top, error);
}

gboolean proa_crashes_healthy(const char *dir, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);
	JsonObject *running = proa_json_object_or_null(top, "running");

	if (!running || proa_json_bool_or(running, "healthy", FALSE))
		return TRUE;
	json_object_set_boolean_member(running, "healthy", TRUE);
	return save(dir, top, error);
}

gboolean proa_crashes_asked(const char *dir, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);

	if (!proa_json_object_or_null(top, "running"))
		return TRUE;
	json_object_remove_member(top, "running");
	return save(dir, top, error);
}

gboolean proa_crashes_forget(const char *dir, const char *root_hash, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);

	json_object_remove_member(json_object_get_object_member(top, "releases"), root_hash);
	return save(dir, top, error);
}

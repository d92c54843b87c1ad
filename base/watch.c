/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include "base/file.h"
#include "base/json.h"

#define NAME "crashes.json"
#define MAX_SIZE (64 * 1024)
#define UPTIME "/proc/uptime"
#define MAX_UPTIME 128

gint64 proa_watch_uptime(const char *root)
{
	g_autofree char *path = g_strconcat(root, UPTIME, NULL);
	g_autofree char *text = proa_file_read(path, MAX_UPTIME, NULL, NULL);

	return text ? g_ascii_strtoll(text, NULL, 10) : 0;
}

gint64 proa_watch_ends(const char *dir, const char *root_hash, gboolean urgent, gint64 now, gint64 uptime)
{
	g_autofree char *path = g_build_filename(dir, NAME, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_SIZE, &size, NULL);
	g_autoptr(JsonObject) top =
		text ? proa_json_parse(text, size, NAME, PROA_REASON_BAD_STATE, NULL) : NULL;
	JsonObject *releases = top ? proa_json_object_or_null(top, "releases") : NULL;
	JsonObject *release = releases ? proa_json_object_or_null(releases, root_hash) : NULL;
	gint64 hold = release ? CLAMP(proa_json_int_or(release, "hold", 0), 0, PROA_WATCH_MAX) : 0;
	JsonArray *unasked = release ? proa_json_array_or_null(release, "unasked") : NULL;

	if (urgent && (!unasked || json_array_get_length(unasked) == 0))
		hold = MIN(hold, PROA_WATCH_URGENT);
	gint64 first = release ? proa_json_int_or(release, "first_boot", 0) : 0;
	gint64 left = hold - uptime;
	/* A first boot that is still to come is none to reckon from. */
	if (first <= now)
		left = MIN(left, first > 0 ? first + hold - now : 0);
	return left > 0 ? now + left : 0;
}

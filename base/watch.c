/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include "base/file.h"
#include "base/json.h"

#define NAME "crashes.json"
#define MAX_SIZE (64 * 1024)
#define UPTIME "/proc/uptime"
#define MAX_UPTIME 128
/* So that sums of what the file says stay sums. */
#define MAX_SECONDS (G_GINT64_CONSTANT(1) << 40)

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
	JsonObject *time = top ? proa_json_object_or_null(top, "time") : NULL;
	gint64 hold = release ? CLAMP(proa_json_int_or(release, "hold", 0), 0, PROA_WATCH_MAX) : 0;
	JsonArray *unasked = release ? proa_json_array_or_null(release, "unasked") : NULL;

	if (urgent && (!unasked || json_array_get_length(unasked) == 0))
		hold = MIN(hold, PROA_WATCH_URGENT);
	if (!time || !release || !json_object_has_member(release, "began"))
		return 0;
	gint64 noted = CLAMP(proa_json_int_or(time, "uptime", 0), 0, MAX_SECONDS);
	gint64 elapsed = CLAMP(proa_json_int_or(time, "elapsed", 0), 0, MAX_SECONDS);
	/* What was noted last may be of the boot before: one that has lasted for less than that. */
	elapsed += uptime >= noted ? uptime - noted : uptime;
	/* A first boot that is still to come is now. */
	gint64 began = CLAMP(proa_json_int_or(release, "began", 0), 0, elapsed);
	gint64 left = hold - MAX(elapsed - began, uptime);
	return left > 0 ? now + left : 0;
}

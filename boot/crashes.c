/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/crashes.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/watch.h"
#include "boot/settle.h"

#include <string.h>

#define NAME "crashes.json"
/* Apart, since another process writes it whenever it likes. */
#define LAST_NAME "uptime.json"
#define MAX_SIZE (64 * 1024)
/* Releases remembered, and times of each: the slots hold two, and no limit is over 100. */
#define MAX_RELEASES 8
#define MAX_TIMES 100
/* No clock and no count of this file goes beyond it: 34 thousand years, so sums of two stay sums. Seconds. */
#define MAX_SECONDS (G_GINT64_CONSTANT(1) << 40)

ProaMoment proa_moment_now(const char *root)
{
	g_autofree char *id = proa_boot_id();
	ProaMoment moment = { .clock = g_get_real_time() / G_USEC_PER_SEC,
		.uptime = proa_watch_uptime(root) };

	g_strlcpy(moment.boot_id, id, sizeof moment.boot_id);
	return moment;
}

void proa_crash_clear(ProaCrash *crash)
{
	g_clear_pointer(&crash->root_hash, g_free);
}

/* The document, made anew where there is none that can be understood. */
static JsonObject *load_file(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_SIZE, &size, NULL);
	JsonObject *top = text ? proa_json_parse(text, size, name, PROA_REASON_BAD_STATE, NULL) : NULL;

	return top ? top : json_object_new();
}

static JsonObject *load(const char *dir)
{
	JsonObject *top = load_file(dir, NAME);

	if (!proa_json_object_or_null(top, "releases"))
		json_object_set_object_member(top, "releases", json_object_new());
	return top;
}

static gboolean save(const char *dir, const char *name, JsonObject *top, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *text = proa_json_to_text(top);

	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

/* @object may be NULL. */
static gint64 seconds_of(JsonObject *object, const char *member)
{
	return object ? CLAMP(proa_json_int_or(object, member, 0), 0, MAX_SECONDS) : 0;
}

/*
 * The node's own time goes on to @moment; returns it. Of time within a boot the kernel's count of seconds
 * tells; of what lies between two, the clock, if it went forward.
 */
static gint64 tick(JsonObject *top, const ProaMoment *moment)
{
	JsonObject *before = proa_json_object_or_null(top, "time");
	gint64 uptime = CLAMP(moment->uptime, 0, MAX_SECONDS), clock = CLAMP(moment->clock, 0, MAX_SECONDS);
	gint64 elapsed = seconds_of(before, "elapsed");
	JsonObject *after = json_object_new();

	if (before && strcmp(proa_json_string_or(before, "boot_id", ""), moment->boot_id) == 0)
		elapsed += MAX(uptime - seconds_of(before, "uptime"), 0);
	else if (before)
		elapsed += uptime + MAX(clock - uptime - seconds_of(before, "clock"), 0);
	elapsed = MIN(elapsed, MAX_SECONDS);
	json_object_set_string_member(after, "boot_id", moment->boot_id);
	json_object_set_int_member(after, "elapsed", elapsed);
	json_object_set_int_member(after, "clock", clock);
	json_object_set_int_member(after, "uptime", uptime);
	json_object_set_object_member(top, "time", after);
	return elapsed;
}

/* To where the boot that was noted last is known to have come. */
static void tick_to_last(const char *dir, JsonObject *top)
{
	g_autoptr(JsonObject) last = load_file(dir, LAST_NAME);
	JsonObject *before = proa_json_object_or_null(top, "time");
	ProaMoment moment = { .clock = seconds_of(last, "clock"), .uptime = seconds_of(last, "uptime") };

	g_strlcpy(moment.boot_id, proa_json_string_or(last, "boot_id", ""), sizeof moment.boot_id);
	if (before && moment.uptime > seconds_of(before, "uptime") &&
		strcmp(moment.boot_id, proa_json_string_or(before, "boot_id", "")) == 0)
		tick(top, &moment);
}

/* How long ago, by the node's own time @elapsed, the release first booted here. One that is still to come is
 * now. */
static gint64 age_of(JsonObject *release, gint64 elapsed)
{
	return elapsed - CLAMP(proa_json_int_or(release, "began", elapsed), 0, elapsed);
}

/* What is remembered of @root_hash; made, with @elapsed as its first boot, if there is nothing. */
static JsonObject *release_of(JsonObject *top, const char *root_hash, gint64 elapsed)
{
	JsonObject *releases = json_object_get_object_member(top, "releases");
	JsonObject *release = proa_json_object_or_null(releases, root_hash);

	if (release) {
		json_object_set_int_member(release, "began", elapsed - age_of(release, elapsed));
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
	json_object_set_int_member(release, "began", elapsed);
	json_object_set_array_member(release, "unasked", json_array_new());
	json_object_set_object_member(releases, root_hash, release);
	return release;
}

/* Counts one more; returns how many there are. */
static guint count(JsonObject *release, gint64 elapsed, gint64 clock, gint64 within)
{
	JsonArray *unasked = proa_json_array_or_null(release, "unasked");

	if (!unasked) {
		unasked = json_array_new();
		json_object_set_array_member(release, "unasked", unasked);
	}
	if (age_of(release, elapsed) > within)
		return 0;
	if (json_array_get_length(unasked) < MAX_TIMES)
		json_array_add_int_element(unasked, clock);
	return json_array_get_length(unasked);
}

gboolean proa_crashes_begin(const char *dir, const char *root_hash, const ProaMoment *moment, gint64 within,
	gint64 hold, ProaCrash *ret_crash, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);
	JsonObject *running = proa_json_object_or_null(top, "running");
	const char *before = running ? proa_json_string_or(running, "root_hash", "") : "";

	*ret_crash = (ProaCrash){ 0 };
	if (running && strcmp(proa_json_string_or(running, "boot_id", ""), moment->boot_id) == 0)
		return TRUE;
	tick_to_last(dir, top);
	gint64 elapsed = tick(top, moment);
	if (running && proa_json_bool_or(running, "healthy", FALSE) && proa_sha256_hex_valid(before)) {
		ret_crash->count = count(release_of(top, before, elapsed), elapsed, moment->clock, within);
		ret_crash->root_hash = ret_crash->count > 0 ? g_strdup(before) : NULL;
	}
	running = json_object_new();
	json_object_set_string_member(running, "root_hash", root_hash);
	json_object_set_string_member(running, "boot_id", moment->boot_id);
	json_object_set_boolean_member(running, "healthy", FALSE);
	json_object_set_object_member(top, "running", running);
	json_object_set_int_member(release_of(top, root_hash, elapsed), "hold", hold);
	return save(dir, NAME, top, error);
}

gboolean proa_crashes_healthy(const char *dir, const ProaMoment *moment, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);
	JsonObject *running = proa_json_object_or_null(top, "running");

	if (!running || proa_json_bool_or(running, "healthy", FALSE))
		return TRUE;
	tick(top, moment);
	json_object_set_boolean_member(running, "healthy", TRUE);
	return save(dir, NAME, top, error);
}

gboolean proa_crashes_goes_on(const char *dir, const ProaMoment *moment, gint64 within, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);
	g_autoptr(JsonObject) last = json_object_new();
	JsonObject *running = proa_json_object_or_null(top, "running");
	JsonObject *releases = json_object_get_object_member(top, "releases");
	JsonObject *release =
		running ? proa_json_object_or_null(releases, proa_json_string_or(running, "root_hash", ""))
			: NULL;

	if (!release || strcmp(proa_json_string_or(running, "boot_id", ""), moment->boot_id) != 0)
		return TRUE;
	tick_to_last(dir, top);
	if (age_of(release, seconds_of(proa_json_object_or_null(top, "time"), "elapsed")) >
		MAX(within, proa_json_int_or(release, "hold", 0)))
		return TRUE;
	json_object_set_string_member(last, "boot_id", moment->boot_id);
	json_object_set_int_member(last, "clock", moment->clock);
	json_object_set_int_member(last, "uptime", moment->uptime);
	return save(dir, LAST_NAME, last, error);
}

gboolean proa_crashes_asked(const char *dir, const ProaMoment *moment, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);

	if (!proa_json_object_or_null(top, "running"))
		return TRUE;
	tick(top, moment);
	json_object_remove_member(top, "running");
	return save(dir, NAME, top, error);
}

gboolean proa_crashes_forget(const char *dir, const char *root_hash, GError **error)
{
	g_autoptr(JsonObject) top = load(dir);

	json_object_remove_member(json_object_get_object_member(top, "releases"), root_hash);
	return save(dir, NAME, top, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/inspect.h"

#include "agent/text.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE_SUFFIX ".txt"
#define MAX_METADATA (4 * 1024 * 1024)
/* Metadata that expires sooner is told of. */
#define SOON_DAYS 14

/* --- health
 * ----------------------------------------------------------------------------------------------------- */

JsonObject *proa_inspect_health(const ProaPaths *paths, GError **error)
{
	g_autofree char *path = g_build_filename(paths->run_dir, "health.json", NULL);
	gsize size = 0;
	g_autoptr(GError) inner = NULL;
	g_autofree char *text = proa_file_read(path, PROA_INSPECT_MAX_REPORT, &size, &inner);

	if (text)
		return proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, error);
	/* No name was wrong: it is too early in this boot. */
	if (proa_reason_of(inner) == PROA_REASON_NOT_FOUND)
		proa_fail(error, PROA_REASON_NOT_RUNNING,
			"the first round of health checks in this boot has not ended yet: wait some seconds, or look at "
			"`systemctl status proa-bootd`");
	else
		g_propagate_error(error, g_steal_pointer(&inner));
	return NULL;
}

static JsonObject *object_at(JsonArray *array, guint index)
{
	JsonNode *node = json_array_get_element(array, index);

	return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static char *safe_of(JsonObject *object, const char *member)
{
	return proa_text_safe(proa_json_string_or(object, member, ""));
}

char *proa_inspect_health_text(JsonObject *report)
{
	JsonArray *checks = proa_json_array_or_null(report, "checks");
	g_autoptr(GString) out = g_string_new(NULL);

	for (guint i = 0; checks && i < json_array_get_length(checks); i++) {
		JsonObject *check = object_at(checks, i);
		if (!check)
			continue;
		g_autofree char *name = safe_of(check, "check"), *verdict = safe_of(check, "verdict"),
				*reason = safe_of(check, "reason"), *detail = safe_of(check, "detail");
		gboolean elsewhere = strcmp(proa_json_string_or(check, "fault", ""), "elsewhere") == 0;
		g_string_append_printf(out, "%-11s %-8s%s%s%s%s%s%s\n", name, verdict, *reason ? " (" : "",
			reason, *reason ? ")" : "", *detail ? " " : "", detail,
			elsewhere ? "; not this node's fault" : "");
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

gboolean proa_inspect_health_bad(JsonObject *report)
{
	JsonArray *checks = proa_json_array_or_null(report, "checks");

	for (guint i = 0; checks && i < json_array_get_length(checks); i++) {
		JsonObject *check = object_at(checks, i);
		const char *verdict = check ? proa_json_string_or(check, "verdict", "") : "";
		if (strcmp(verdict, "waiting") == 0 || strcmp(verdict, "failing") == 0)
			return TRUE;
	}
	return FALSE;
}

/* --- black box
 * -------------------------------------------------------------------------------------------------- */

static int newest_first(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)b, *(const char *const *)a);
}

/* Names begin with the time in seconds, of equal length until the year 2286. */
static GPtrArray *page_names(const ProaPaths *paths, GError **error)
{
	g_autofree char *folder = g_build_filename(paths->state_dir, "blackbox", NULL);
	g_autoptr(GError) inner = NULL;
	g_autoptr(GDir) dir = g_dir_open(folder, 0, &inner);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	if (!dir && proa_reason_of(inner) != PROA_REASON_NOT_FOUND) {
		proa_fail(error, proa_reason_of(inner), "%s", inner->message);
		return NULL;
	}
	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_suffix(name, PAGE_SUFFIX) && g_ascii_isdigit(*name))
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, newest_first);
	return g_steal_pointer(&names);
}

JsonArray *proa_inspect_pages(const ProaPaths *paths, GError **error)
{
	g_autoptr(GPtrArray) names = page_names(paths, error);
	JsonArray *array = names ? json_array_new() : NULL;

	for (guint i = 0; names && i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		JsonObject *object = json_object_new();
		char *after = NULL;
		gint64 time = g_ascii_strtoll(name, &after, 10);
		g_autofree char *version = g_strndup(*after ? after + 1 : after,
			strlen(after) - MIN(strlen(after), strlen("-" PAGE_SUFFIX)));
		json_object_set_string_member(object, "name", name);
		json_object_set_int_member(object, "time", time);
		json_object_set_string_member(object, "version", version);
		json_array_add_object_element(array, object);
	}
	return array;
}

char *proa_inspect_last_page(const ProaPaths *paths, GError **error)
{
	g_autoptr(GPtrArray) names = page_names(paths, error);

	if (!names)
		return NULL;
	if (names->len == 0) {
		proa_fail(
			error, PROA_REASON_NOT_FOUND, "no release has failed here, as far as is remembered");
		return NULL;
	}
	g_autofree char *path =
		g_build_filename(paths->state_dir, "blackbox", g_ptr_array_index(names, 0), NULL);
	g_autofree char *text = proa_file_read(path, PROA_INSPECT_MAX_PAGE, NULL, error);
	g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
	for (char **line = lines; line && *line; line++) {
		char *safe = proa_text_safe(*line);
		g_free(*line);
		*line = safe;
	}
	return lines ? g_strjoinv("\n", lines) : NULL;
}

/* --- doctor
 * ----------------------------------------------------------------------------------------------------- */

static void add(JsonArray *checks, const char *check, const char *verdict, const char *reason,
	const char *message, const char *hint)
{
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "check", check);
	json_object_set_string_member(object, "verdict", verdict);
	proa_json_set_string(object, "reason", reason);
	json_object_set_string_member(object, "message", message);
	proa_json_set_string(object, "hint", hint);
	json_array_add_object_element(checks, object);
}

static void add_error(JsonArray *checks, const char *check, const char *verdict, const GError *error)
{
	ProaReason reason = proa_reason_of(error);

	add(checks, check, verdict, proa_reason_to_string(reason), error->message, proa_reason_hint(reason));
}

static void ask_bootd(const ProaPaths *paths, JsonArray *checks)
{
	g_auto(GStrv) argv = proa_paths_command(paths, "proa-bootd", "doctor", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	if (geteuid() != 0) {
		add(checks, "boot", "warning", proa_reason_to_string(PROA_REASON_PERMISSION),
			"only root may look at disk and boot entries", "Run it as root.");
		return;
	}
	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &text, NULL, NULL, &error)) {
		add_error(checks, "boot", "problem", error);
		return;
	}
	g_autoptr(JsonObject) top =
		proa_json_parse(text, strlen(text), "the answer of proa-bootd", PROA_REASON_INTERNAL, &error);
	JsonArray *answer = top ? proa_json_array_or_null(top, "checks") : NULL;
	if (!answer)
		add(checks, "boot", "problem",
			top ? proa_json_string_or(top, "reason", NULL)
			    : proa_reason_to_string(PROA_REASON_INTERNAL),
			top ? proa_json_string_or(top, "message", "proa-bootd gave no answer")
			    : error->message,
			top ? proa_json_string_or(top, "hint", NULL) : NULL);
	for (guint i = 0; answer && i < json_array_get_length(answer); i++) {
		JsonObject *check = object_at(answer, i);
		if (check)
			json_array_add_object_element(checks, json_object_ref(check));
	}
}

/* The day on which a role's metadata expires, as it says itself: proa-install has verified it. */
static GDateTime *expiry_of(const ProaPaths *paths, const char *role)
{
	g_autofree char *name = g_strconcat(role, ".json", NULL);
	g_autofree char *path = g_build_filename(paths->state_dir, "trust", name, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_METADATA, &size, NULL);
	g_autoptr(JsonObject) top =
		text ? proa_json_parse(text, size, path, PROA_REASON_BAD_METADATA, NULL) : NULL;
	JsonObject *body = top ? proa_json_object_or_null(top, "signed") : NULL;
	const char *expires = body ? proa_json_string_or(body, "expires", NULL) : NULL;

	return expires ? g_date_time_new_from_iso8601(expires, NULL) : NULL;
}

static void look_at_trust(const ProaPaths *paths, JsonArray *checks)
{
	static const char *const roles[] = { "root", "targets" };
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();

	for (gsize i = 0; i < G_N_ELEMENTS(roles); i++) {
		g_autoptr(GDateTime) expires = expiry_of(paths, roles[i]);
		g_autofree char *name = g_strdup_printf("trust-%s", roles[i]);
		if (!expires) {
			add(checks, name, "warning", proa_reason_to_string(PROA_REASON_NO_TRUST),
				"no verified metadata of that role is stored yet",
				"`proa check` asks the feed, and stores what it verifies.");
			continue;
		}
		gint64 days = g_date_time_difference(expires, now) / G_TIME_SPAN_DAY;
		gboolean expired = g_date_time_compare(expires, now) <= 0;
		g_autofree char *day = g_date_time_format(expires, "%Y-%m-%d");
		g_autofree char *message = g_strdup_printf(
			"the feed's %s metadata %s on %s", roles[i], expired ? "expired" : "expires", day);
		add(checks, name,
			expired            ? "problem"
			: days < SOON_DAYS ? "warning"
					   : "ok",
			expired            ? proa_reason_to_string(PROA_REASON_STALE_FEED)
			: days < SOON_DAYS ? proa_reason_to_string(PROA_REASON_EXPIRES_SOON)
					   : NULL,
			message,
			expired || days < SOON_DAYS ? proa_reason_hint(PROA_REASON_EXPIRES_SOON) : NULL);
	}
}

static void look_at_feed(JsonObject *feed, JsonArray *checks)
{
	if (!feed)
		return;
	const char *reason = proa_json_string_or(feed, "reason", "");
	const char *version = proa_json_string_or(feed, "version", NULL);
	if (proa_json_bool_or(feed, "ok", FALSE)) {
		g_autofree char *message =
			g_strdup_printf("the feed answers, and offers %s", version ? version : "?");
		add(checks, "feed", "ok", NULL, message, NULL);
	} else if (strcmp(reason, proa_reason_to_string(PROA_REASON_NO_UPDATE)) == 0) {
		add(checks, "feed", "ok", NULL, "the feed answers, is fresh, and offers nothing newer", NULL);
	} else {
		add(checks, "feed", "problem", *reason ? reason : NULL,
			proa_json_string_or(feed, "message", "it could not be asked"),
			proa_json_string_or(feed, "hint", NULL));
	}
}

/* A number beside one of the checks; 0: it is not there. */
static gint64 number_of(JsonArray *checks, const char *check, const char *member)
{
	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *object = object_at(checks, i);
		if (object && strcmp(proa_json_string_or(object, "check", ""), check) == 0)
			return proa_json_int_or(object, member, 0);
	}
	return 0;
}

/* Whether the release that the feed offers goes onto this disk: proa-install would refuse it. */
static void look_at_fit(JsonObject *feed, JsonArray *checks)
{
	static const struct {
		const char *needs, *check, *has, *where;
		ProaReason reason;
	} fits[] = {
		{ "root_size", "slots", "data_size", "a slot", PROA_REASON_SLOT_TOO_SMALL },
		{ "tree_size", "slots", "tree_size", "a slot's hash tree", PROA_REASON_SLOT_TOO_SMALL },
		{ "uki_size", "esp", "room", "the boot image on the ESP", PROA_REASON_ESP_FULL },
	};

	for (gsize i = 0; feed && i < G_N_ELEMENTS(fits); i++) {
		gint64 needs = proa_json_int_or(feed, fits[i].needs, 0);
		gint64 has = number_of(checks, fits[i].check, fits[i].has);
		if (has == 0 || needs <= has)
			continue;
		g_autofree char *message = g_strdup_printf("release %s needs %" G_GINT64_FORMAT
							   " bytes for %s, and there are %" G_GINT64_FORMAT,
			proa_json_string_or(feed, "version", "?"), needs, fits[i].where, has);
		add(checks, "offer", "problem", proa_reason_to_string(fits[i].reason), message,
			proa_reason_hint(fits[i].reason));
	}
}

JsonArray *proa_inspect_doctor(const ProaPaths *paths, JsonObject *feed)
{
	JsonArray *checks = json_array_new();

	ask_bootd(paths, checks);
	look_at_trust(paths, checks);
	look_at_feed(feed, checks);
	look_at_fit(feed, checks);
	return checks;
}

char *proa_inspect_doctor_text(JsonArray *checks)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *check = object_at(checks, i);
		if (!check)
			continue;
		g_autofree char *name = safe_of(check, "check"), *verdict = safe_of(check, "verdict"),
				*message = safe_of(check, "message"), *hint = safe_of(check, "hint");
		g_string_append_printf(out, "%-8s %-13s %s\n", verdict, name, message);
		if (*hint)
			g_string_append_printf(out, "%-22s -> %s\n", "", hint);
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

gboolean proa_inspect_doctor_bad(JsonArray *checks)
{
	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *check = object_at(checks, i);
		if (check && strcmp(proa_json_string_or(check, "verdict", ""), "problem") == 0)
			return TRUE;
	}
	return FALSE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/print.h"

#include "agent/text.h"
#include "base/json.h"
#include "base/reason.h"

#include <string.h>

/* A string member made safe; @fallback (may be NULL) if it is missing. */
static char *text_of(JsonObject *object, const char *member, const char *fallback)
{
	const char *text = object ? proa_json_string_or(object, member, fallback) : fallback;

	return text ? proa_text_safe(text) : NULL;
}

/* The year 9999: arithmetic with times below stays far from overflow. Seconds. */
#define MAX_TIME G_GINT64_CONSTANT(253402300799)

/* A time in seconds since 1970; 0 if it is missing or cannot be one. */
static gint64 time_of(JsonObject *object, const char *member)
{
	gint64 time = object ? proa_json_int_or(object, member, 0) : 0;

	return time > 0 && time <= MAX_TIME ? time : 0;
}

/* A number of bytes; 0 if it is missing or cannot be one. */
static guint64 bytes_of(JsonObject *object, const char *member)
{
	return (guint64)MAX(proa_json_int_or(object, member, 0), 0);
}

/* The object at @index, or NULL if something else stands there. */
static JsonObject *object_at(JsonArray *array, guint index)
{
	JsonNode *node = json_array_get_element(array, index);

	return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void line(GString *out, const char *label, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void line(GString *out, const char *label, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_string_append_printf(out, "%-11s %s\n", label, text);
}

/* --- status
 * ------------------------------------------------------------------------------------------------------- */

/* Whether a member that may be null says yes; @unknown if it says nothing. */
static gboolean says(JsonObject *object, const char *member, gboolean unknown)
{
	return proa_json_bool_or(object, member, unknown);
}

static void print_booted(GString *out, JsonObject *status, gint64 now)
{
	JsonObject *booted = proa_json_object_or_null(status, "booted");

	if (!booted) {
		line(out, "running", "unknown");
		return;
	}
	g_autofree char *version = text_of(booted, "version", "an unknown release");
	g_autofree char *slot = text_of(booted, "slot", "an unknown slot");
	g_autofree char *hash = text_of(booted, "root_hash", "unknown");
	gint64 since = time_of(booted, "boot_time");
	g_autofree char *when = proa_text_time_from(since, now);

	line(out, "running", "%s in %s%s%s", version, slot, since > 0 ? ", since " : "",
		since > 0 ? when : "");
	line(out, "root hash", "%s", hash);
	if (!json_object_has_member(booted, "verified"))
		return;
	gint64 left = proa_json_int_or(booted, "tries_left", -1);
	gboolean blessed = says(booted, "blessed", FALSE);
	g_autofree char *tries =
		left >= 0 && !blessed ? g_strdup_printf(", %d tries left", (int)left) : g_strdup("");
	line(out, "verified", "%s; %s%s",
		says(booted, "verified", FALSE)
			? "yes: every block is checked against the root hash (dm-verity)"
			: "NO: this root is not under dm-verity",
		blessed ? "blessed" : "not blessed yet", tries);
}

static void print_state(GString *out, JsonObject *status, gint64 now)
{
	g_autofree char *state = text_of(status, "state", "unknown");
	gint64 since = time_of(status, "since");
	g_autofree char *when = proa_text_time_from(since, now);
	static const struct {
		const char *state, *meaning;
	} meanings[] = {
		{ "idle", "runs the release that it was installed with" },
		{ "staging", "an update is being written to the other slot" },
		{ "staged", "an update is ready: the next boot tries it" },
		{ "trial", "a new release runs and is not blessed yet" },
		{ "good", "the running release passed its health checks" },
		{ "fallen-back", "the last update failed its trial: the release before it runs" },
	};
	const char *meaning = "";

	for (gsize i = 0; i < G_N_ELEMENTS(meanings); i++)
		if (strcmp(state, meanings[i].state) == 0)
			meaning = meanings[i].meaning;
	line(out, "state", "%s%s%s", state, *meaning ? ": " : "", meaning);
	if (since > 0)
		line(out, "", "since %s", when);
}

/* Whether the other slot was read as a whole, and what came of it. */
static char *describe_scrub(JsonObject *scrub, gint64 now)
{
	if (!scrub)
		return g_strdup("not scrubbed yet");
	g_autofree char *when = proa_text_time_from(time_of(scrub, "time"), now);
	if (says(scrub, "sound", FALSE))
		return g_strdup_printf("sound, scrubbed %s", when);
	return g_strdup_printf("DAMAGED: %" G_GINT64_FORMAT " bad blocks, scrubbed %s",
		proa_json_int_or(scrub, "bad", 0), when);
}

static void print_other(GString *out, JsonObject *status, gint64 now)
{
	JsonObject *other = proa_json_object_or_null(status, "other");

	if (!other)
		return;
	g_autofree char *slot = text_of(other, "slot", "unknown");
	g_autofree char *version = text_of(other, "version", NULL);
	g_autofree char *hash = text_of(other, "root_hash", NULL);

	if (!version && !hash) {
		line(out, "other slot", "%s: empty", slot);
		return;
	}
	g_autofree char *sound = describe_scrub(proa_json_object_or_null(other, "scrub"), now);
	line(out, "other slot", "%s: %s, %s; %s", slot, version ? version : hash,
		says(other, "bootable", FALSE) ? "can be booted" : "cannot be booted", sound);
}

static void print_release(
	GString *out, JsonObject *status, const char *member, const char *label, const char *advice)
{
	JsonObject *release = proa_json_object_or_null(status, member);
	g_autofree char *version = text_of(release, "version", "?");
	g_autofree char *slot = text_of(release, "slot", NULL);

	if (release)
		line(out, label, "%s%s%s%s", version, slot ? " in " : "", slot ? slot : "", advice);
	else
		line(out, label, "none");
}

static char *describe_rejected(JsonObject *entry)
{
	g_autofree char *version = text_of(entry, "version", "?");
	g_autofree char *reason = text_of(entry, "reason", "?");
	g_autofree char *detail = text_of(entry, "detail", "");
	g_autofree char *when = proa_text_time(time_of(entry, "time"));

	return g_strdup_printf("%s: %s, %s%s%s", version, reason, when, *detail ? ": " : "", detail);
}

/* How many rejected releases fit on one screen. */
#define SHOWN_REJECTED 3

static void print_rejections(GString *out, JsonObject *status)
{
	JsonArray *rejected = proa_json_array_or_null(status, "rejected");
	guint count = rejected ? json_array_get_length(rejected) : 0;

	if (count == 0)
		line(out, "rejected", "none");
	for (guint shown = 0; shown < MIN(count, SHOWN_REJECTED); shown++) {
		JsonObject *entry = object_at(rejected, count - 1 - shown);
		g_autofree char *text = entry ? describe_rejected(entry) : NULL;
		if (text)
			line(out, shown == 0 ? "rejected" : "", "%s", text);
	}
	if (count > SHOWN_REJECTED)
		line(out, "", "and %u more: proa history --rejected", count - SHOWN_REJECTED);
}

static void print_checks(GString *out, JsonObject *status, gint64 now)
{
	JsonObject *check = proa_json_object_or_null(status, "last_check");
	g_autofree char *when = proa_text_time_from(time_of(check, "time"), now);
	g_autofree char *result = text_of(check, "result", "");
	g_autofree char *offered = text_of(check, "offered", NULL);
	gint64 next = time_of(status, "next_check");
	g_autofree char *next_when = proa_text_time_from(next, now);
	gint64 reboot = time_of(status, "next_reboot");
	g_autofree char *reboot_when = proa_text_time_from(reboot, now);

	line(out, "last check", "%s%s%s%s%s", when, *result ? ": " : "",
		strcmp(result, "no-update") == 0 ? "up to date" : result, offered ? ", offered " : "",
		offered ? offered : "");
	line(out, "next check", "%s", next > 0 ? next_when : "not planned");
	gint64 waits = time_of(status, "waits_until");
	g_autofree char *waits_when = proa_text_time_from(waits, now);
	if (waits > 0)
		line(out, "held back",
			"until %s: what runs is new and watched for crashes, the other slot is the way back",
			waits_when);
	if (reboot > 0)
		line(out, "reboot", "%s", reboot_when);
}

static void print_policy(GString *out, JsonObject *status)
{
	JsonObject *feed = proa_json_object_or_null(status, "feed");
	JsonObject *update = proa_json_object_or_null(status, "update");
	g_autofree char *url = text_of(feed, "url", "none: set [feed] url in /etc/proa/update.conf");
	g_autofree char *channel = text_of(feed, "channel", "?");
	g_autofree char *automatic = text_of(update, "automatic", "?");
	g_autofree char *reboot = text_of(update, "reboot", "?");
	g_autofree char *window = text_of(update, "reboot_window", NULL);

	line(out, "feed", "%s, channel %s", url, channel);
	line(out, "updates", "automatic: %s; reboot: %s%s%s", automatic, reboot, window ? ", window " : "",
		window ? window : "");
}

static void print_operation(GString *out, JsonObject *status, gint64 now)
{
	JsonObject *operation = proa_json_object_or_null(status, "operation");

	if (!operation)
		return;
	g_autofree char *name = text_of(operation, "name", "?");
	g_autofree char *phase = text_of(operation, "phase", "starting");
	guint64 done = bytes_of(operation, "done"), total = bytes_of(operation, "total");
	g_autofree char *span = proa_text_span(now - time_of(operation, "started"));
	g_autofree char *have = proa_text_bytes(done);
	g_autofree char *all = proa_text_bytes(total);

	if (total > 0)
		line(out, "under way", "%s: %s, %s of %s, for %s", name, phase, have, all, span);
	else
		line(out, "under way", "%s: %s, for %s", name, phase, span);
}

/* How many paths fit on one screen. */
#define SHOWN_CONFLICTS 3

/* Files of /etc that both the operator and the release had changed: the operator should look. */
static void print_conflicts(GString *out, JsonObject *status)
{
	JsonArray *conflicts = proa_json_array_or_null(status, "conflicts");
	guint count = conflicts ? json_array_get_length(conflicts) : 0;

	for (guint i = 0; i < MIN(count, SHOWN_CONFLICTS); i++) {
		JsonNode *node = json_array_get_element(conflicts, i);
		g_autofree char *path = proa_text_safe(
			JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				? json_node_get_string(node)
				: "?");
		line(out, i == 0 ? "conflicts" : "",
			"/etc/%s: changed here and by the release; yours is kept", path);
	}
	if (count > SHOWN_CONFLICTS)
		line(out, "", "and %u more: proa status --json", count - SHOWN_CONFLICTS);
}

static void print_problems(GString *out, JsonObject *status)
{
	JsonArray *problems = proa_json_array_or_null(status, "problems");
	g_autofree char *agent = text_of(status, "agent", "");

	if (strcmp(agent, "not-running") == 0)
		line(out, "agent",
			"proad does not answer: nothing is checked by itself; see `systemctl status proad`");
	for (guint i = 0; problems && i < json_array_get_length(problems); i++) {
		JsonNode *node = json_array_get_element(problems, i);
		g_autofree char *text = proa_text_safe(
			JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				? json_node_get_string(node)
				: "");
		line(out, "problem", "%s", text);
	}
}

char *proa_print_status(JsonObject *status, gint64 now)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autofree char *next = text_of(status, "next", NULL);

	print_booted(out, status, now);
	print_state(out, status, now);
	print_operation(out, status, now);
	print_other(out, status, now);
	if (next)
		line(out, "next boot", "%s", next);
	print_release(out, status, "staged", "staged", ": `proa reboot` tries it");
	print_release(out, status, "good", "last good", "");
	g_autofree char *pinned = text_of(status, "pinned", NULL);
	if (pinned)
		line(out, "pinned", "to %s: `proa unpin` lets it go", pinned);
	g_autofree char *planned = text_of(status, "planned_rollback", NULL);
	if (planned)
		line(out, "rollback", "planned: %s; `systemctl stop proa-rollback.timer` drops it", planned);
	print_rejections(out, status);
	print_checks(out, status, now);
	print_policy(out, status);
	print_conflicts(out, status);
	print_problems(out, status);
	return g_string_free(g_steal_pointer(&out), FALSE);
}

/* --- history
 * ------------------------------------------------------------------------------------------------------ */

char *proa_print_history(JsonArray *entries)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(entries); i++) {
		JsonObject *entry = object_at(entries, i);
		if (!entry)
			continue;
		g_autofree char *when = proa_text_time(time_of(entry, "time"));
		g_autofree char *event = text_of(entry, "event", "?");
		g_autofree char *version = text_of(entry, "version", "-");
		g_autofree char *slot = text_of(entry, "slot", "-");
		g_autofree char *reason = text_of(entry, "reason", "");
		g_autofree char *detail = text_of(entry, "detail", "");
		g_autofree char *row = g_strdup_printf("%s  %-12s %-12s %-7s %s%s%s", when, event, version,
			slot, reason, *reason && *detail ? ": " : "", detail);
		g_string_append_printf(out, "%s\n", g_strchomp(row));
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

char *proa_print_rejected(JsonArray *rejected)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(rejected); i++) {
		JsonObject *entry = object_at(rejected, i);
		if (!entry)
			continue;
		g_autofree char *text = describe_rejected(entry);
		g_autofree char *hash = text_of(entry, "root_hash", "?");
		g_string_append_printf(out, "%s\n  root hash %s\n", text, hash);
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

char *proa_print_pages(JsonArray *pages)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(pages); i++) {
		JsonObject *page = object_at(pages, i);
		g_autofree char *when = proa_text_time(page ? time_of(page, "time") : 0);
		g_autofree char *version = text_of(page, "version", "?"), *name = text_of(page, "name", "?");
		g_string_append_printf(out, "%s  %-12s %s\n", when, version, name);
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

/* --- outcomes
 * ----------------------------------------------------------------------------------------------------- */

/* What an operator said of a release, and what it leads to. */
static const struct {
	const char *operation, *before, *after;
} decisions[] = {
	{ "check-rollback", "would work", "; every block of it is sound" },
	{ "bless", "blessed", " is good because you say so" },
	{ "reject", "rejected", " is neither booted nor installed by itself any more" },
	{ "unreject", "no longer rejected", "; `proa update` or `proa rollback` may bring it" },
	{ "pin", "pinned", " and no other is installed until `proa unpin`" },
	{ "unpin", "no longer pinned", " is not held to any more" },
};

static char *print_what_was_done(JsonObject *outcome)
{
	g_autofree char *operation = text_of(outcome, "operation", "");
	g_autofree char *result = text_of(outcome, "result", "");
	g_autofree char *version = text_of(outcome, "version", "?");
	g_autofree char *slot = text_of(outcome, "slot", "the other slot");
	g_autofree char *bytes = proa_text_bytes(bytes_of(outcome, "bytes"));

	if (strcmp(result, "started") == 0)
		return g_strdup("started: `proa status` shows how far it is\n");
	if (strcmp(operation, "check") == 0)
		return g_strdup_printf(
			"offered: release %s, %s to download; `proa update` brings it\n", version, bytes);
	if (strcmp(operation, "update") == 0)
		return g_strdup_printf("staged: release %s in %s; `proa reboot` tries it\n", version, slot);
	if (strcmp(result, "planned") == 0)
		return g_strdup_printf(
			"planned: release %s; `systemctl status proa-rollback.timer` shows when\n", version);
	if (strcmp(operation, "rollback") == 0)
		return g_strdup_printf(
			"next boot: release %s from %s; `proa reboot` starts it\n", version, slot);
	if (strcmp(operation, "reboot") == 0)
		return g_strdup("rebooting\n");
	for (gsize i = 0; i < G_N_ELEMENTS(decisions); i++)
		if (strcmp(operation, decisions[i].operation) == 0)
			return g_strdup_printf(
				"%s: release %s%s\n", decisions[i].before, version, decisions[i].after);
	return g_strdup("done\n");
}

char *proa_print_done(JsonObject *outcome)
{
	g_autofree char *done = print_what_was_done(outcome);
	g_autofree char *note = text_of(outcome, "note", NULL);

	return note ? g_strdup_printf("%snote: %s\n", done, note) : g_steal_pointer(&done);
}

char *proa_print_not_done(JsonObject *outcome)
{
	g_autofree char *reason = text_of(outcome, "reason", "internal");
	g_autofree char *message = text_of(outcome, "message", "");
	g_autofree char *hint = text_of(outcome, "hint", "");
	gint64 status = proa_json_int_or(outcome, "exit", PROA_EXIT_FAILED);

	if (status == PROA_EXIT_NOTHING)
		return g_strdup_printf("proa: nothing to do (%s): %s\n", reason, message);
	return g_strdup_printf("proa: %s (%s): %s%s%s\n",
		status == PROA_EXIT_REFUSED || status == PROA_EXIT_USAGE ? "refused" : "failed", reason,
		message, *hint ? "\nhint: " : "", hint);
}

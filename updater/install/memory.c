/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/memory.h"

#include "base/file.h"
#include "base/json.h"
#include "base/version.h"
#include "updater/install/report.h"

#include <string.h>
#include <syslog.h>

#define MAX_FLOOR_FILE 4096

ProaState *proa_memory_load(const char *state_dir)
{
	g_autoptr(GError) error = NULL;
	ProaState *state = proa_state_load(state_dir, &error);

	if (state)
		return state;
	proa_report_warning("%s; going on without it", error->message);
	return proa_state_new();
}

GPtrArray *proa_memory_rejected(const char *state_dir)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *rejected = proa_rejected_load(state_dir, &error);

	if (rejected)
		return rejected;
	proa_report_warning("%s; going on without it", error->message);
	return g_ptr_array_new();
}

static char *floor_path(const char *state_dir)
{
	return g_build_filename(state_dir, "floor.json", NULL);
}

char *proa_memory_floor(const char *state_dir)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = floor_path(state_dir);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_FLOOR_FILE, &size, &error);

	if (!text) {
		if (proa_reason_of(error) != PROA_REASON_NOT_FOUND)
			proa_report_warning("%s; going on without it", error->message);
		return NULL;
	}
	g_autoptr(JsonObject) object = proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, NULL);
	const char *version = object ? proa_json_string_or(object, "version", "") : "";
	if (!proa_version_valid(version)) {
		proa_report_warning("%s cannot be understood; going on without it", path);
		return NULL;
	}
	return g_strdup(version);
}

void proa_memory_raise_floor(const char *state_dir, const char *version)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = floor_path(state_dir);
	g_autofree char *now = proa_memory_floor(state_dir);

	if (now && proa_version_compare(version, now) <= 0)
		return;
	g_autoptr(JsonObject) object = json_object_new();
	json_object_set_string_member(object, "version", version);
	g_autofree char *text = proa_json_to_text(object);
	if (!proa_file_replace(path, text, strlen(text), 0644, &error))
		proa_report_warning("raising the floor to %s: %s", version, error->message);
}

static gboolean update(const char *state_dir, ProaStateChange change, gpointer data)
{
	g_autoptr(GError) error = NULL;

	if (proa_state_update(state_dir, change, data, &error))
		return TRUE;
	proa_report_warning("writing the state: %s", error->message);
	return FALSE;
}

static void tell_detail(const char *state_dir, const char *event, const ProaStateRelease *release,
	const char *reason, const char *detail)
{
	g_autoptr(GError) error = NULL;

	if (!proa_history_append(state_dir, event, release, reason, detail, &error))
		proa_report_warning("writing the history: %s", error->message);
}

static void tell(const char *state_dir, const char *event, const ProaStateRelease *release, const GError *why)
{
	tell_detail(state_dir, event, release, why ? proa_reason_to_string(proa_reason_of(why)) : NULL,
		why ? why->message : NULL);
}

void proa_memory_fetched(
	const char *state_dir, const ProaManifest *release, const char *type, guint64 bytes, guint64 from)
{
	g_autofree char *already =
		from > 0 ? g_strdup_printf("; %.1f MB of the image were there already", (double)from / 1e6)
			 : g_strdup("");
	g_autofree char *detail = g_strdup_printf("payload %s: %.1f MB fetched for an image of %.1f MB%s",
		type, (double)bytes / 1e6, (double)release->root_size / 1e6, already);
	const ProaStateRelease what = { release->version, release->root_hash, NULL };

	tell_detail(state_dir, "fetched", &what, NULL, detail);
}

void proa_memory_payload_failed(
	const char *state_dir, const ProaManifest *release, const char *type, const GError *why)
{
	g_autofree char *detail = g_strdup_printf("payload %s: %s", type, why->message);
	const ProaStateRelease what = { release->version, release->root_hash, NULL };

	tell_detail(state_dir, "payload-failed", &what, proa_reason_to_string(proa_reason_of(why)), detail);
}

static void copy_release(ProaStateRelease *to, const ProaStateRelease *from)
{
	proa_state_set_release(to, from->version, from->root_hash, from->slot);
}

static void begin(ProaState *state, gpointer release)
{
	state->kind = PROA_STATE_STAGING;
	copy_release(&state->staged, release);
}

void proa_memory_begin(const char *state_dir, const ProaStateRelease *release)
{
	ProaStateRelease copy = *release;

	update(state_dir, begin, &copy);
}

static void staged(ProaState *state, gpointer release)
{
	state->kind = PROA_STATE_STAGED;
	copy_release(&state->staged, release);
}

void proa_memory_staged(const char *state_dir, const ProaStateRelease *release)
{
	ProaStateRelease copy = *release;

	update(state_dir, staged, &copy);
	tell(state_dir, "staged", release, NULL);
}

/* Nothing is staged any more: good if what runs has been blessed. */
static void rest(ProaState *state, gpointer data)
{
	gboolean good =
		state->good.root_hash && g_strcmp0(state->good.root_hash, state->booted.root_hash) == 0;

	state->kind = good ? PROA_STATE_GOOD : PROA_STATE_IDLE;
	proa_state_set_release(&state->staged, NULL, NULL, NULL);
}

void proa_memory_failed(const char *state_dir, const ProaStateRelease *release, const GError *error)
{
	update(state_dir, rest, NULL);
	tell(state_dir, "failed", release, error);
}

typedef struct {
	const char *offered;
	const char *result;
	gboolean changed;
} Checked;

static void checked(ProaState *state, gpointer data)
{
	Checked *check = data;

	check->changed = g_strcmp0(state->last_check_result, check->result) != 0;
	state->last_check = g_get_real_time() / G_USEC_PER_SEC;
	g_set_str(&state->last_check_result, check->result);
	g_set_str(&state->last_check_offered, check->offered);
}

void proa_memory_checked(const char *state_dir, const char *offered, const GError *error)
{
	Checked check = { .offered = offered,
		.result = error ? proa_reason_to_string(proa_reason_of(error)) : "ok" };

	update(state_dir, checked, &check);
	if (!error || !check.changed || proa_reason_exit(proa_reason_of(error)) != PROA_EXIT_REFUSED)
		return;
	ProaStateRelease release = { 0 };
	proa_state_set_release(&release, offered, NULL, NULL);
	tell(state_dir, "refused", &release, error);
	proa_state_set_release(&release, NULL, NULL, NULL);
}

void proa_memory_decided(const char *state_dir, const char *event, const char *version, const char *detail)
{
	g_autoptr(GError) error = NULL;
	ProaStateRelease release = { 0 };

	proa_report_warning("%s%s%s: %s", event, version ? " " : "", version ? version : "", detail);
	/* Standard error may be a terminal; syslog(3) is the journal in any case. */
	syslog(LOG_WARNING | LOG_AUTHPRIV, "proa-install: %s%s%s: %s", event, version ? " " : "",
		version ? version : "", detail);
	proa_state_set_release(&release, version, NULL, NULL);
	if (!proa_history_append(state_dir, event, &release, NULL, detail, &error))
		proa_report_warning("writing the history: %s", error->message);
	proa_state_set_release(&release, NULL, NULL, NULL);
}

typedef struct {
	gboolean was_staging;
	ProaStateRelease release;
} Recovery;

static void recover(ProaState *state, gpointer data)
{
	Recovery *recovery = data;

	recovery->was_staging = state->kind == PROA_STATE_STAGING;
	if (!recovery->was_staging)
		return;
	copy_release(&recovery->release, &state->staged);
	rest(state, NULL);
}

void proa_memory_recover(const char *state_dir)
{
	g_autoptr(ProaState) state = proa_memory_load(state_dir);
	g_autoptr(GError) why = NULL;
	Recovery recovery = { 0 };

	/* The common case writes nothing. */
	if (state->kind != PROA_STATE_STAGING)
		return;
	update(state_dir, recover, &recovery);
	if (recovery.was_staging) {
		proa_fail(&why, PROA_REASON_CANCELLED, "the transaction was interrupted; nothing was armed");
		tell(state_dir, "failed", &recovery.release, why);
	}
	proa_state_set_release(&recovery.release, NULL, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/report.h"

#include "base/json.h"

#include <stdio.h>

static void say(JsonObject *object)
{
	g_autofree char *line = proa_json_to_line(object);

	fputs(line, stdout);
	fputc('\n', stdout);
	fflush(stdout);
}

static JsonObject *event(const char *name)
{
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "event", name);
	return object;
}

void proa_report_phase(const char *phase)
{
	g_autoptr(JsonObject) object = event("phase");

	json_object_set_string_member(object, "phase", phase);
	say(object);
}

void proa_report_offer(const char *version, const char *root_hash, guint64 bytes, guint64 root_size,
	guint64 tree_size, guint64 uki_size)
{
	g_autoptr(JsonObject) object = event("offer");

	json_object_set_string_member(object, "version", version);
	json_object_set_string_member(object, "root_hash", root_hash);
	json_object_set_int_member(object, "bytes", (gint64)bytes);
	json_object_set_int_member(object, "root_size", (gint64)root_size);
	json_object_set_int_member(object, "tree_size", (gint64)tree_size);
	json_object_set_int_member(object, "uki_size", (gint64)uki_size);
	say(object);
}

void proa_report_payload(const char *type, guint64 bytes, guint64 from)
{
	g_autoptr(JsonObject) object = event("payload");

	json_object_set_string_member(object, "payload", type);
	json_object_set_int_member(object, "bytes", (gint64)bytes);
	json_object_set_int_member(object, "from", (gint64)from);
	say(object);
}

void proa_report_boot_image(const char *type, guint64 bytes)
{
	g_autoptr(JsonObject) object = event("boot-image");

	json_object_set_string_member(object, "payload", type);
	json_object_set_int_member(object, "bytes", (gint64)bytes);
	say(object);
}

/* What a server sent may be in a message. */
static void set_error(JsonObject *object, const GError *error)
{
	g_autofree char *message = g_utf8_make_valid(error->message, -1);

	json_object_set_string_member(object, "reason", proa_reason_to_string(proa_reason_of(error)));
	json_object_set_string_member(object, "message", message);
}

void proa_report_fallback(const char *type, const GError *error)
{
	g_autoptr(JsonObject) object = event("fallback");

	json_object_set_string_member(object, "payload", type);
	set_error(object, error);
	say(object);
	proa_report_warning("payload %s: %s; trying another", type, error->message);
}

void proa_report_progress(const char *phase, guint64 done, guint64 total)
{
	static gint64 last;
	gint64 now = g_get_monotonic_time();

	if (done < total && now - last < PROA_REPORT_INTERVAL)
		return;
	last = now;
	g_autoptr(JsonObject) object = event("progress");
	json_object_set_string_member(object, "phase", phase);
	json_object_set_int_member(object, "done", (gint64)done);
	json_object_set_int_member(object, "total", (gint64)total);
	say(object);
}

void proa_report_done(const char *version, const char *root_hash, const char *slot)
{
	g_autoptr(JsonObject) object = event("done");

	json_object_set_string_member(object, "result", "staged");
	json_object_set_string_member(object, "version", version);
	json_object_set_string_member(object, "root_hash", root_hash);
	json_object_set_string_member(object, "slot", slot);
	say(object);
}

void proa_report_wait(const char *reason, gint64 until)
{
	g_autoptr(JsonObject) object = event("wait");

	json_object_set_string_member(object, "reason", reason);
	json_object_set_int_member(object, "until", until);
	say(object);
}

void proa_report_error(const GError *error)
{
	g_autoptr(JsonObject) object = event("error");

	set_error(object, error);
	json_object_set_string_member(object, "hint", proa_reason_hint(proa_reason_of(error)));
	say(object);
}

void proa_report_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "proa-install: %s\n", text);
}

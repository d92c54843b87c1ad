/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: small helpers over json-glib that read with types checked and name the member that is wrong.
 * All readers leave their output untouched on failure and set an error of the reason given to
 * proa_json_parse() or BAD_STATE.
 */
#pragma once

#include "base/reason.h"

#include <json-glib/json-glib.h>

/* No document of ours nests deeper; a deeper one is refused before json-glib's recursive parser sees it. */
#define PROA_JSON_MAX_DEPTH 32

/*
 * Parses @size bytes of UTF-8 JSON whose top level is an object. @what names the document in errors, @reason
 * is their code. Refuses nesting over PROA_JSON_MAX_DEPTH, NUL bytes, invalid UTF-8, integers outside of 64
 * bits and numbers that no finite double holds. The object is unref'd with json_object_unref().
 */
JsonObject *proa_json_parse(const char *text, gsize size, const char *what, ProaReason reason,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A string member; NULL with an error if it is missing or not a string. Owned by @object. */
const char *proa_json_string(JsonObject *object, const char *member, ProaReason reason, GError **error);

/* An integer member from @min to @max. */
gboolean proa_json_int(JsonObject *object, const char *member, gint64 min, gint64 max, gint64 *ret_value,
	ProaReason reason, GError **error);

/* A member that is true or false; one that is missing or null is @fallback, one of another type an error. */
gboolean proa_json_bool(JsonObject *object, const char *member, gboolean fallback, gboolean *ret_value,
	ProaReason reason, GError **error);

/* An object or array member; NULL with an error if it is missing or of another type. Owned by @object. */
JsonObject *proa_json_object(JsonObject *object, const char *member, ProaReason reason, GError **error);
JsonArray *proa_json_array(JsonObject *object, const char *member, ProaReason reason, GError **error);

/* The same, but a missing (or null) or mistyped member is quietly the default. */
const char *proa_json_string_or(JsonObject *object, const char *member, const char *fallback);
gint64 proa_json_int_or(JsonObject *object, const char *member, gint64 fallback);
gboolean proa_json_bool_or(JsonObject *object, const char *member, gboolean fallback);
JsonObject *proa_json_object_or_null(JsonObject *object, const char *member);
JsonArray *proa_json_array_or_null(JsonObject *object, const char *member);

/* The object as text: one line, or indented by two spaces with a newline at the end; free with g_free(). */
char *proa_json_to_line(JsonObject *object);
char *proa_json_to_text(JsonObject *object);

/* Sets a string member, or null when @value is NULL. */
void proa_json_set_string(JsonObject *object, const char *member, const char *value);

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Whether the number at @token, of @length bytes, can be held: an integer in 64 bits, another as a finite
 * double. */
static gboolean number_fits(const char *token, gsize length)
{
	g_autofree char *number = g_strndup(token, length);

	if (strpbrk(number, ".eE"))
		return isfinite(g_ascii_strtod(number, NULL));
	errno = 0;
	(void)g_ascii_strtoll(number, NULL, 10);
	return errno != ERANGE;
}

/* The bytes of the number whose first digit is at @at, its sign included. What is no number is the parser's
 * to judge. */
static const char *number_at(const char *text, gsize size, gsize at, gsize *ret_length)
{
	gsize start = at > 0 && text[at - 1] == '-' ? at - 1 : at;
	gsize end = at;

	while (end < size && text[end] && strchr("0123456789.eE+-", text[end]))
		end++;
	*ret_length = end - start;
	return text + start;
}

/*
 * Refuses what json-glib would take and must not: its parser recurses without a limit, wraps integers that
 * are too large and makes infinities of other numbers. It judges all else.
 */
static gboolean screen(const char *text, gsize size, const char *what, ProaReason reason, GError **error)
{
	guint depth = 0;
	gboolean in_string = FALSE;

	for (gsize i = 0; i < size; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = FALSE;
			continue;
		}
		if (text[i] == '"')
			in_string = TRUE;
		else if ((text[i] == '{' || text[i] == '[') && ++depth > PROA_JSON_MAX_DEPTH)
			return proa_fail(
				error, reason, "%s nests deeper than %d levels", what, PROA_JSON_MAX_DEPTH);
		else if ((text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (!g_ascii_isdigit(text[i]))
			continue;
		gsize length = 0;
		const char *number = number_at(text, size, i, &length);
		if (!number_fits(number, length))
			return proa_fail(error, reason, "%s holds a number that is too large: %.*s", what,
				(int)MIN(length, 40), number);
		i = (gsize)(number - text) + length - 1;
	}
	return TRUE;
}

JsonObject *proa_json_parse(const char *text, gsize size, const char *what, ProaReason reason, GError **error)
{
	g_autoptr(GError) inner = NULL;

	if (size > G_MAXINT32 || !g_utf8_validate(text, (gssize)size, NULL)) {
		proa_fail(error, reason, "%s is not UTF-8 text", what);
		return NULL;
	}
	if (!screen(text, size, what, reason, error))
		return NULL;
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	json_parser_set_strict(parser, TRUE);
	if (!json_parser_load_from_data(parser, text, (gssize)size, &inner)) {
		proa_fail(error, reason, "%s is not JSON: %s", what, inner->message);
		return NULL;
	}
	JsonNode *node = json_parser_get_root(parser);
	if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
		proa_fail(error, reason, "%s is not a JSON object", what);
		return NULL;
	}
	return json_object_ref(json_node_get_object(node));
}

static JsonNode *member_of(JsonObject *object, const char *member)
{
	JsonNode *node = json_object_get_member(object, member);

	return node && !JSON_NODE_HOLDS_NULL(node) ? node : NULL;
}

static JsonNode *value_of(JsonObject *object, const char *member, GType type)
{
	JsonNode *node = member_of(object, member);

	if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type)
		return NULL;
	return node;
}

const char *proa_json_string_or(JsonObject *object, const char *member, const char *fallback)
{
	JsonNode *node = value_of(object, member, G_TYPE_STRING);

	return node ? json_node_get_string(node) : fallback;
}

gint64 proa_json_int_or(JsonObject *object, const char *member, gint64 fallback)
{
	JsonNode *node = value_of(object, member, G_TYPE_INT64);

	return node ? json_node_get_int(node) : fallback;
}

gboolean proa_json_bool_or(JsonObject *object, const char *member, gboolean fallback)
{
	JsonNode *node = value_of(object, member, G_TYPE_BOOLEAN);

	return node ? json_node_get_boolean(node) : fallback;
}

JsonObject *proa_json_object_or_null(JsonObject *object, const char *member)
{
	JsonNode *node = member_of(object, member);

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *proa_json_array_or_null(JsonObject *object, const char *member)
{
	JsonNode *node = member_of(object, member);

	return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

const char *proa_json_string(JsonObject *object, const char *member, ProaReason reason, GError **error)
{
	const char *value = proa_json_string_or(object, member, NULL);

	if (!value)
		proa_fail(error, reason, "member \"%s\" is missing or not a string", member);
	return value;
}

gboolean proa_json_int(JsonObject *object, const char *member, gint64 min, gint64 max, gint64 *ret_value,
	ProaReason reason, GError **error)
{
	JsonNode *node = value_of(object, member, G_TYPE_INT64);

	if (!node)
		return proa_fail(error, reason, "member \"%s\" is missing or not an integer", member);
	gint64 value = json_node_get_int(node);
	if (value < min || value > max)
		return proa_fail(error, reason,
			"member \"%s\" is %" G_GINT64_FORMAT ", not from %" G_GINT64_FORMAT
			" to %" G_GINT64_FORMAT,
			member, value, min, max);
	*ret_value = value;
	return TRUE;
}

gboolean proa_json_bool(JsonObject *object, const char *member, gboolean fallback, gboolean *ret_value,
	ProaReason reason, GError **error)
{
	if (member_of(object, member) && !value_of(object, member, G_TYPE_BOOLEAN))
		return proa_fail(error, reason, "member \"%s\" is not true or false", member);
	*ret_value = proa_json_bool_or(object, member, fallback);
	return TRUE;
}

JsonObject *proa_json_object(JsonObject *object, const char *member, ProaReason reason, GError **error)
{
	JsonObject *value = proa_json_object_or_null(object, member);

	if (!value)
		proa_fail(error, reason, "member \"%s\" is missing or not an object", member);
	return value;
}

JsonArray *proa_json_array(JsonObject *object, const char *member, ProaReason reason, GError **error)
{
	JsonArray *value = proa_json_array_or_null(object, member);

	if (!value)
		proa_fail(error, reason, "member \"%s\" is missing or not an array", member);
	return value;
}

static char *to_text(JsonObject *object, gboolean pretty)
{
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);

	return json_to_string(node, pretty);
}

char *proa_json_to_line(JsonObject *object)
{
	return to_text(object, FALSE);
}

char *proa_json_to_text(JsonObject *object)
{
	g_autofree char *text = to_text(object, TRUE);

	return g_strconcat(text, "\n", NULL);
}

void proa_json_set_string(JsonObject *object, const char *member, const char *value)
{
	if (value)
		json_object_set_string_member(object, member, value);
	else
		json_object_set_null_member(object, member);
}

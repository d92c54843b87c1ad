/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/canonical.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	const char *at;
	const char *end;
	guint depth;
	guint values;
	const char *wanted; /* top-level member whose canonical form is kept; NULL: none */
	GString *kept;
	GError **error;
} Reader;

/* A member read, before its object sorts it. */
typedef struct {
	char *name;
	GString *canonical;
} Member;

static gboolean read_value(Reader *reader, JsonNode **ret_node, GString *canonical);

static void member_clear(gpointer data)
{
	Member *member = data;

	g_free(member->name);
	if (member->canonical)
		g_string_free(member->canonical, TRUE);
}

static int member_compare(gconstpointer a, gconstpointer b)
{
	/* Order by code point; for UTF-8 that is the order of the bytes. */
	return strcmp(((const Member *)a)->name, ((const Member *)b)->name);
}

static gboolean refuse(Reader *reader, const char *why)
{
	return proa_fail(reader->error, PROA_REASON_BAD_METADATA, "%s", why);
}

static void skip_space(Reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

/* Takes @c if it comes next. */
static gboolean take(Reader *reader, char c)
{
	if (reader->at >= reader->end || *reader->at != c)
		return FALSE;
	reader->at++;
	return TRUE;
}

static gboolean read_hex4(Reader *reader, gunichar *ret_unit)
{
	gunichar unit = 0;

	if (reader->end - reader->at < 4)
		return FALSE;
	for (int i = 0; i < 4; i++) {
		int digit = g_ascii_xdigit_value(*reader->at++);
		if (digit < 0)
			return FALSE;
		unit = unit << 4 | (gunichar)digit;
	}
	*ret_unit = unit;
	return TRUE;
}

static gboolean read_unicode_escape(Reader *reader, GString *text)
{
	gunichar unit, low;

	if (!read_hex4(reader, &unit))
		return refuse(reader, "broken \\u escape");
	if (unit >= 0xD800 && unit <= 0xDBFF) {
		if (!take(reader, '\\') || !take(reader, 'u') || !read_hex4(reader, &low) || low < 0xDC00 ||
			low > 0xDFFF)
			return refuse(reader, "lone surrogate in a string");
		unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
	} else if (unit >= 0xDC00 && unit <= 0xDFFF) {
		return refuse(reader, "lone surrogate in a string");
	}
	if (unit == 0)
		return refuse(reader, "NUL in a string");
	g_string_append_unichar(text, unit);
	return TRUE;
}

static gboolean read_escape(Reader *reader, GString *text)
{
	static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";

	if (reader->at >= reader->end)
		return refuse(reader, "string without an end");
	char c = *reader->at++;
	if (c == 'u')
		return read_unicode_escape(reader, text);
	const char *found = c ? strchr(escapes, c) : NULL;
	if (!found)
		return refuse(reader, "unknown escape in a string");
	g_string_append_c(text, meanings[found - escapes]);
	return TRUE;
}

/* Reads a string whose opening quote comes next. The text is known to be UTF-8 as a whole. */
static gboolean read_string(Reader *reader, char **ret_text)
{
	if (!take(reader, '"'))
		return refuse(reader, "string expected");
	g_autoptr(GString) text = g_string_new(NULL);
	for (;;) {
		if (reader->at >= reader->end)
			return refuse(reader, "string without an end");
		char c = *reader->at++;
		if (c == '"')
			break;
		if ((guchar)c < 0x20)
			return refuse(reader, "control character in a string");
		if (c != '\\')
			g_string_append_c(text, c);
		else if (!read_escape(reader, text))
			return FALSE;
	}
	*ret_text = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

/* Canonical strings escape the quote and the backslash and nothing else. */
static void append_string(GString *canonical, const char *text)
{
	g_string_append_c(canonical, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			g_string_append_c(canonical, '\\');
		g_string_append_c(canonical, *p);
	}
	g_string_append_c(canonical, '"');
}

static gboolean read_number(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	const char *start = reader->at;

	take(reader, '-');
	const char *digits = reader->at;
	while (reader->at < reader->end && g_ascii_isdigit(*reader->at))
		reader->at++;
	if (reader->at == digits)
		return refuse(reader, "unexpected character");
	if (*digits == '0' && reader->at - digits > 1)
		return refuse(reader, "number with a leading zero");
	if (reader->at < reader->end && strchr(".eE", *reader->at) && *reader->at)
		return refuse(reader, "number that is no integer");

	g_autofree char *text = g_strndup(start, (gsize)(reader->at - start));
	if (strcmp(text, "-0") == 0)
		strcpy(text, "0");
	g_string_append(canonical, text);

	gint64 value;
	JsonNode *node = json_node_new(JSON_NODE_VALUE);
	if (g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value, NULL))
		json_node_set_int(node, value);
	else
		json_node_set_double(
			node, g_ascii_strtod(text, NULL)); /* refused by whoever wants an integer */
	*ret_node = node;
	return TRUE;
}

static gboolean read_word(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	static const char *const words[] = { "true", "false", "null" };

	for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
		gsize length = strlen(words[i]);
		if ((gsize)(reader->end - reader->at) < length || memcmp(reader->at, words[i], length) != 0)
			continue;
		reader->at += length;
		g_string_append(canonical, words[i]);
		if (i == 2)
			*ret_node = json_node_new(JSON_NODE_NULL);
		else
			*ret_node = json_node_init_boolean(json_node_alloc(), i == 0);
		return TRUE;
	}
	return refuse(reader, "unexpected character");
}

static gboolean read_array(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	g_autoptr(JsonArray) array = json_array_new();

	reader->at++;
	g_string_append_c(canonical, '[');
	skip_space(reader);
	if (!take(reader, ']')) {
		for (;;) {
			JsonNode *element = NULL;
			if (!read_value(reader, &element, canonical))
				return FALSE;
			json_array_add_element(array, element);
			if (take(reader, ']'))
				break;
			if (!take(reader, ','))
				return refuse(reader, "',' or ']' expected");
			g_string_append_c(canonical, ',');
		}
	}
	g_string_append_c(canonical, ']');
	*ret_node = json_node_init_array(json_node_alloc(), array);
	return TRUE;
}

static gboolean read_member(Reader *reader, JsonObject *object, GArray *members)
{
	g_autofree char *name = NULL;
	JsonNode *node = NULL;

	skip_space(reader);
	if (!read_string(reader, &name))
		return FALSE;
	if (json_object_has_member(object, name))
		return proa_fail(reader->error, PROA_REASON_BAD_METADATA, "member \"%s\" comes twice", name);
	skip_space(reader);
	if (!take(reader, ':'))
		return refuse(reader, "':' expected");

	GString *canonical = g_string_new(NULL);
	if (!read_value(reader, &node, canonical)) {
		g_string_free(canonical, TRUE);
		return FALSE;
	}
	if (reader->depth == 1 && g_strcmp0(name, reader->wanted) == 0)
		reader->kept = g_string_new_len(canonical->str, (gssize)canonical->len);
	json_object_set_member(object, name, node);
	Member member = { g_steal_pointer(&name), canonical };
	g_array_append_val(members, member);
	return TRUE;
}

static gboolean read_object(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(GArray) members = g_array_new(FALSE, FALSE, sizeof(Member));

	g_array_set_clear_func(members, member_clear);
	reader->at++;
	skip_space(reader);
	if (!take(reader, '}')) {
		for (;;) {
			if (!read_member(reader, object, members))
				return FALSE;
			if (take(reader, '}'))
				break;
			if (!take(reader, ','))
				return refuse(reader, "',' or '}' expected");
		}
	}

	g_array_sort(members, member_compare);
	g_string_append_c(canonical, '{');
	for (guint i = 0; i < members->len; i++) {
		const Member *member = &g_array_index(members, Member, i);
		if (i > 0)
			g_string_append_c(canonical, ',');
		append_string(canonical, member->name);
		g_string_append_c(canonical, ':');
		g_string_append_len(canonical, member->canonical->str, (gssize)member->canonical->len);
	}
	g_string_append_c(canonical, '}');
	*ret_node = json_node_init_object(json_node_alloc(), object);
	return TRUE;
}

/* Reads one value and the space around it; appends its canonical form. */
static gboolean read_value(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	g_autofree char *text = NULL;
	gboolean ok;

	skip_space(reader);
	if (reader->at >= reader->end)
		return refuse(reader, "the text ends early");
	if (++reader->values > PROA_CANONICAL_MAX_VALUES)
		return refuse(reader, "too many values");
	switch (*reader->at) {
	case '{':
	case '[':
		if (++reader->depth > PROA_CANONICAL_MAX_DEPTH)
			return refuse(reader, "nests too deep");
		ok = *reader->at == '{' ? read_object(reader, ret_node, canonical)
					: read_array(reader, ret_node, canonical);
		reader->depth--;
		break;
	case '"':
		ok = read_string(reader, &text);
		if (ok && text) {
			append_string(canonical, text);
			*ret_node = json_node_init_string(json_node_alloc(), text);
		}
		break;
	case 't':
	case 'f':
	case 'n':
		ok = read_word(reader, ret_node, canonical);
		break;
	default:
		ok = read_number(reader, ret_node, canonical);
	}
	if (ok)
		skip_space(reader);
	return ok;
}

static gboolean read_document(Reader *reader, JsonNode **ret_node, GString *canonical)
{
	if (!read_value(reader, ret_node, canonical))
		return FALSE;
	if (reader->at != reader->end)
		return refuse(reader, "something follows the value");
	if (!JSON_NODE_HOLDS_OBJECT(*ret_node))
		return refuse(reader, "not a JSON object");
	if (reader->wanted && !reader->kept)
		return proa_fail(
			reader->error, PROA_REASON_BAD_METADATA, "member \"%s\" is missing", reader->wanted);
	return TRUE;
}

gboolean proa_canonical_parse(const char *text, gsize size, const char *what, const char *member,
	JsonObject **ret_object, GBytes **ret_canonical, GError **error)
{
	g_autoptr(GError) inner = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GString) canonical = g_string_new(NULL);
	Reader reader = { .at = text, .end = text + size, .wanted = member, .error = &inner };

	if (size > G_MAXSSIZE || !g_utf8_validate(text, (gssize)size, NULL))
		return proa_fail(error, PROA_REASON_BAD_METADATA, "%s is not UTF-8 text", what);
	if (!read_document(&reader, &node, canonical)) {
		if (reader.kept)
			g_string_free(reader.kept, TRUE);
		return proa_fail(error, PROA_REASON_BAD_METADATA, "%s: %s (at byte %zu)", what,
			inner->message, (size_t)(reader.at - text));
	}

	GString *wanted = reader.kept ? reader.kept : g_steal_pointer(&canonical);
	g_autoptr(GBytes) bytes = g_string_free_to_bytes(wanted);
	if (ret_canonical)
		*ret_canonical = g_steal_pointer(&bytes);
	*ret_object = json_object_ref(json_node_get_object(node));
	return TRUE;
}

GBytes *proa_canonical_encode(JsonObject *object, GError **error)
{
	g_autoptr(JsonObject) again = NULL;
	g_autofree char *text = proa_json_to_line(object);
	GBytes *canonical = NULL;

	if (!proa_canonical_parse(text, strlen(text), "the object", NULL, &again, &canonical, error))
		return NULL;
	return canonical;
}

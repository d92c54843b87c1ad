/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/jsonl.h"

#include "base/json.h"

#include <string.h>

struct ProaJsonl {
	ProaJsonlLine line;
	gpointer data;
	GString *pending;
	gboolean overlong; /* the rest of this line is thrown away */
	guint dropped;
};

ProaJsonl *proa_jsonl_new(ProaJsonlLine line, gpointer data)
{
	ProaJsonl *jsonl = g_new0(ProaJsonl, 1);

	jsonl->line = line;
	jsonl->data = data;
	jsonl->pending = g_string_new(NULL);
	return jsonl;
}

void proa_jsonl_free(ProaJsonl *jsonl)
{
	g_string_free(jsonl->pending, TRUE);
	g_free(jsonl);
}

static void add(ProaJsonl *jsonl, const char *bytes, gsize size)
{
	if (jsonl->overlong || size > PROA_JSONL_MAX_LINE - jsonl->pending->len)
		jsonl->overlong = TRUE;
	else
		g_string_append_len(jsonl->pending, bytes, (gssize)size);
}

static void end_line(ProaJsonl *jsonl)
{
	gboolean empty = jsonl->pending->len == 0 && !jsonl->overlong;
	g_autoptr(JsonObject) object = NULL;

	if (!empty && !jsonl->overlong)
		object = proa_json_parse(
			jsonl->pending->str, jsonl->pending->len, "a line", PROA_REASON_INTERNAL, NULL);
	if (!empty && !object)
		jsonl->dropped++;
	g_string_truncate(jsonl->pending, 0);
	jsonl->overlong = FALSE;
	if (object)
		jsonl->line(object, jsonl->data);
}

void proa_jsonl_feed(ProaJsonl *jsonl, const char *bytes, gsize size)
{
	while (size > 0) {
		const char *newline = memchr(bytes, '\n', size);
		gsize length = newline ? (gsize)(newline - bytes) : size;

		add(jsonl, bytes, length);
		if (!newline)
			return;
		end_line(jsonl);
		bytes += length + 1;
		size -= length + 1;
	}
}

void proa_jsonl_end(ProaJsonl *jsonl)
{
	end_line(jsonl);
}

guint proa_jsonl_dropped(const ProaJsonl *jsonl)
{
	return jsonl->dropped;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/query.h"

#include "agent/child.h"
#include "agent/text.h"
#include "base/json.h"

#include <signal.h>
#include <string.h>

#define TIME_LIMIT 30

struct ProaQuery {
	ProaChild *child;
	GString *text;
	gboolean too_large;
	ProaQueryAnswer answer;
	gpointer data;
};

static void on_output(const char *bytes, gsize size, gpointer data)
{
	ProaQuery *query = data;

	if (size > PROA_QUERY_MAX_SIZE - query->text->len)
		query->too_large = TRUE;
	else
		g_string_append_len(query->text, bytes, (gssize)size);
}

/* A bootd that cannot tell says so in an error line, as in its other verbs. */
static JsonObject *judge(ProaQuery *query, int code, int status, const char *last_words, GError **error)
{
	if (query->too_large) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "proa-bootd status: the answer is over %d bytes",
			PROA_QUERY_MAX_SIZE);
		return NULL;
	}
	g_autoptr(JsonObject) object =
		proa_json_parse(query->text->str, query->text->len, "the answer", PROA_REASON_INTERNAL, NULL);
	if (object && strcmp(proa_json_string_or(object, "event", ""), "error") == 0) {
		ProaReason reason = proa_reason_from_string(proa_json_string_or(object, "reason", NULL));
		g_autofree char *message =
			proa_text_safe(proa_json_string_or(object, "message", "no message"));
		proa_fail(error, reason < PROA_REASON_MAX ? reason : PROA_REASON_INTERNAL, "%s", message);
		return NULL;
	}
	if (!object) {
		g_autofree char *words = proa_text_safe(last_words);
		proa_fail(error, PROA_REASON_INTERNAL, "proa-bootd status gave no answer (%s %d)%s%s",
			code == CLD_EXITED ? "exit status" : "signal", status, *words ? ": " : "", words);
	}
	return g_steal_pointer(&object);
}

static void on_ended(int code, int status, const char *last_words, gpointer data)
{
	ProaQuery *query = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) object = judge(query, code, status, last_words, &error);

	query->answer(object, error, query->data);
}

static const ProaChildWatcher child_watcher = { on_output, on_ended };

ProaQuery *proa_query_start(
	sd_event *event, const ProaPaths *paths, ProaQueryAnswer answer, gpointer data, GError **error)
{
	g_auto(GStrv) argv = proa_paths_command(paths, "proa-bootd", "status", NULL);
	g_autoptr(ProaQuery) query = g_new0(ProaQuery, 1);

	query->text = g_string_new(NULL);
	query->answer = answer;
	query->data = data;
	query->child =
		proa_child_start(event, (const char *const *)argv, TIME_LIMIT, &child_watcher, query, error);
	return query->child ? g_steal_pointer(&query) : NULL;
}

void proa_query_free(ProaQuery *query)
{
	g_clear_pointer(&query->child, proa_child_free);
	g_string_free(query->text, TRUE);
	g_free(query);
}

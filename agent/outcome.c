/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outcome.h"

#include "agent/text.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/version.h"

#include <signal.h>
#include <string.h>

#define MAX_WORD_LENGTH 32

ProaOutcome *proa_outcome_new(void)
{
	return g_new0(ProaOutcome, 1);
}

void proa_outcome_free(ProaOutcome *outcome)
{
	g_free(outcome->phase);
	g_free(outcome->version);
	g_free(outcome->root_hash);
	g_free(outcome->slot);
	g_free(outcome->result);
	g_free(outcome->note);
	g_free(outcome->message);
	g_free(outcome->hint);
	g_free(outcome);
}

static gboolean is_word(const char *text)
{
	gsize length = text ? strlen(text) : 0;

	if (length == 0 || length > MAX_WORD_LENGTH)
		return FALSE;
	for (gsize i = 0; i < length; i++)
		if (!g_ascii_islower(text[i]) && !g_ascii_isdigit(text[i]) && text[i] != '-')
			return FALSE;
	return TRUE;
}

static void take_word(char **field, JsonObject *line, const char *member)
{
	const char *word = proa_json_string_or(line, member, NULL);

	if (is_word(word))
		g_set_str(field, word);
}

static void take_release(ProaOutcome *outcome, JsonObject *line)
{
	const char *version = proa_json_string_or(line, "version", NULL);
	const char *root_hash = proa_json_string_or(line, "root_hash", NULL);

	if (version && proa_version_valid(version))
		g_set_str(&outcome->version, version);
	if (root_hash && proa_sha256_hex_valid(root_hash))
		g_set_str(&outcome->root_hash, root_hash);
}

static void take_note(ProaOutcome *outcome, JsonObject *line)
{
	const char *note = proa_json_string_or(line, "note", NULL);

	if (!note)
		return;
	g_free(outcome->note);
	outcome->note = proa_text_safe(note);
}

static ProaChange take_phase(ProaOutcome *outcome, JsonObject *line)
{
	if (!is_word(proa_json_string_or(line, "phase", NULL)))
		return PROA_CHANGE_NOTHING;
	take_word(&outcome->phase, line, "phase");
	outcome->done = outcome->total = 0;
	return PROA_CHANGE_PHASE;
}

static ProaChange take_progress(ProaOutcome *outcome, JsonObject *line)
{
	gint64 done = proa_json_int_or(line, "done", -1);
	gint64 total = proa_json_int_or(line, "total", -1);

	if (done < 0 || total < 0)
		return PROA_CHANGE_NOTHING;
	take_word(&outcome->phase, line, "phase");
	outcome->total = (guint64)total;
	outcome->done = (guint64)MIN(done, total);
	return PROA_CHANGE_PROGRESS;
}

static ProaChange take_error(ProaOutcome *outcome, JsonObject *line)
{
	ProaReason reason = proa_reason_from_string(proa_json_string_or(line, "reason", NULL));
	const char *hint = proa_json_string_or(line, "hint", NULL);

	outcome->has_error = TRUE;
	outcome->reason = reason < PROA_REASON_MAX ? reason : PROA_REASON_INTERNAL;
	g_free(outcome->message);
	outcome->message = proa_text_safe(proa_json_string_or(line, "message", "it gave no message"));
	g_free(outcome->hint);
	outcome->hint = hint && *hint ? proa_text_safe(hint) : g_strdup(proa_reason_hint(outcome->reason));
	return PROA_CHANGE_ERROR;
}

ProaChange proa_outcome_take(ProaOutcome *outcome, JsonObject *line)
{
	const char *event = proa_json_string_or(line, "event", "");

	if (strcmp(event, "phase") == 0)
		return take_phase(outcome, line);
	if (strcmp(event, "progress") == 0)
		return take_progress(outcome, line);
	if (strcmp(event, "offer") == 0) {
		take_release(outcome, line);
		outcome->bytes = (guint64)MAX(proa_json_int_or(line, "bytes", 0), 0);
		outcome->root_size = MAX(proa_json_int_or(line, "root_size", 0), 0);
		outcome->tree_size = MAX(proa_json_int_or(line, "tree_size", 0), 0);
		outcome->uki_size = MAX(proa_json_int_or(line, "uki_size", 0), 0);
		outcome->has_offer = TRUE;
		return PROA_CHANGE_OFFER;
	}
	if (strcmp(event, "wait") == 0) {
		outcome->until = MAX(proa_json_int_or(line, "until", 0), 0);
		return PROA_CHANGE_NOTHING;
	}
	if (strcmp(event, "done") == 0) {
		take_release(outcome, line);
		take_word(&outcome->slot, line, "slot");
		take_word(&outcome->result, line, "result");
		take_note(outcome, line);
		outcome->has_done = TRUE;
		return PROA_CHANGE_DONE;
	}
	if (strcmp(event, "error") == 0)
		return take_error(outcome, line);
	return PROA_CHANGE_NOTHING;
}

static char *last_seen(const ProaOutcome *outcome, const char *last_words)
{
	g_autofree char *words = proa_text_safe(last_words);

	return g_strdup_printf("%s%s%s%s", outcome->phase ? " in phase " : "",
		outcome->phase ? outcome->phase : "", *words ? "; its last words: " : "", words);
}

void proa_outcome_close(ProaOutcome *outcome, ProaExpect expect, const char *program, int code, int status,
	gboolean cancelled, const char *last_words)
{
	/* "done" stands even if the child was killed right after it: the rename that arms had happened by
	 * then. */
	outcome->ok = outcome->has_done ||
		      (expect == PROA_EXPECT_OFFER && outcome->has_offer && !outcome->has_error);
	if (outcome->ok || outcome->has_error)
		return;

	g_autofree char *seen = last_seen(outcome, last_words);
	outcome->reason = cancelled ? PROA_REASON_CANCELLED : PROA_REASON_INTERNAL;
	g_free(outcome->message);
	if (cancelled)
		outcome->message = g_strdup_printf("%s was told to stop%s", program, seen);
	else if (code == CLD_EXITED)
		outcome->message =
			g_strdup_printf("%s ended with status %d and no last line%s", program, status, seen);
	else
		outcome->message = g_strdup_printf(
			"%s was killed by signal %d (%s)%s", program, status, strsignal(status), seen);
	g_set_str(&outcome->hint, proa_reason_hint(outcome->reason));
}

void proa_outcome_fail(ProaOutcome *outcome, const GError *error)
{
	outcome->ok = FALSE;
	outcome->has_error = TRUE;
	outcome->reason = proa_reason_of(error);
	g_free(outcome->message);
	outcome->message = proa_text_safe(error->message);
	g_set_str(&outcome->hint, proa_reason_hint(outcome->reason));
}

ProaExit proa_outcome_exit(const ProaOutcome *outcome)
{
	return outcome->ok ? PROA_EXIT_OK : proa_reason_exit(outcome->reason);
}

JsonObject *proa_outcome_to_json(const ProaOutcome *outcome, const char *operation)
{
	JsonObject *object = json_object_new();

	json_object_set_boolean_member(object, "ok", outcome->ok);
	json_object_set_string_member(object, "operation", operation);
	if (!outcome->ok) {
		json_object_set_string_member(object, "reason", proa_reason_to_string(outcome->reason));
		proa_json_set_string(object, "message", outcome->message);
		proa_json_set_string(object, "hint", outcome->hint);
	}
	if (outcome->result)
		json_object_set_string_member(object, "result", outcome->result);
	if (outcome->version)
		json_object_set_string_member(object, "version", outcome->version);
	if (outcome->root_hash)
		json_object_set_string_member(object, "root_hash", outcome->root_hash);
	if (outcome->slot)
		json_object_set_string_member(object, "slot", outcome->slot);
	if (outcome->note)
		json_object_set_string_member(object, "note", outcome->note);
	if (outcome->has_offer)
		json_object_set_int_member(object, "bytes", (gint64)outcome->bytes);
	if (outcome->root_size > 0) {
		json_object_set_int_member(object, "root_size", outcome->root_size);
		json_object_set_int_member(object, "tree_size", outcome->tree_size);
		json_object_set_int_member(object, "uki_size", outcome->uki_size);
	}
	if (!outcome->ok && outcome->until > 0)
		json_object_set_int_member(object, "until", outcome->until);
	json_object_set_int_member(object, "exit", proa_outcome_exit(outcome));
	return object;
}

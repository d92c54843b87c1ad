/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outcome.h"

#include "agent/text.h"
#include "base/json.h"

#include <signal.h>
#include <string.h>

#define HASH "0000000000000000000000000000000000000000000000000000000000000002"

static ProaChange take(ProaOutcome *outcome, const char *text)
{
	g_autoptr(JsonObject) line =
		proa_json_parse(text, strlen(text), "a line", PROA_REASON_INTERNAL, NULL);

	g_assert_nonnull(line);
	return proa_outcome_take(outcome, line);
}

static void test_update(void)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	g_assert_cmpint(take(outcome, "{\"event\":\"phase\",\"phase\":\"fetch\"}"), ==, PROA_CHANGE_PHASE);
	g_assert_cmpint(take(outcome, "{\"event\":\"offer\",\"version\":\"1.0.1\",\"root_hash\":\"" HASH
				      "\",\"bytes\":91}"),
		==, PROA_CHANGE_OFFER);
	g_assert_cmpint(take(outcome, "{\"event\":\"progress\",\"phase\":\"fetch\",\"done\":5,\"total\":91}"),
		==, PROA_CHANGE_PROGRESS);
	g_assert_cmpuint(outcome->done, ==, 5);
	/* A new phase begins at nothing. */
	take(outcome, "{\"event\":\"phase\",\"phase\":\"verify\"}");
	g_assert_cmpuint(outcome->total, ==, 0);
	g_assert_cmpint(
		take(outcome,
			"{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\",\"slot\":\"root-b\"}"),
		==, PROA_CHANGE_DONE);
	proa_outcome_close(outcome, PROA_EXPECT_DONE, "proa-install", CLD_EXITED, 0, FALSE, "");
	g_assert_true(outcome->ok);

	g_autoptr(JsonObject) json = proa_outcome_to_json(outcome, "update");
	g_autofree char *text = proa_json_to_line(json);
	g_assert_cmpstr(text, ==,
		"{\"ok\":true,\"operation\":\"update\",\"result\":\"staged\",\"version\":\"1.0.1\",\"root_hash\":\"" HASH
		"\",\"slot\":\"root-b\",\"bytes\":91,\"exit\":0}");
}

static void test_done_stands(void)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	take(outcome, "{\"event\":\"done\",\"result\":\"staged\",\"version\":\"1.0.1\"}");
	proa_outcome_close(outcome, PROA_EXPECT_DONE, "proa-install", CLD_KILLED, SIGKILL, TRUE, "");
	g_assert_true(outcome->ok);
}

static void test_offer_is_no_update(void)
{
	g_autoptr(ProaOutcome) update = proa_outcome_new();
	g_autoptr(ProaOutcome) check = proa_outcome_new();

	take(update, "{\"event\":\"offer\",\"version\":\"1.0.1\",\"bytes\":91}");
	proa_outcome_close(update, PROA_EXPECT_DONE, "proa-install", CLD_EXITED, 0, FALSE, "");
	g_assert_false(update->ok);
	g_assert_cmpint(update->reason, ==, PROA_REASON_INTERNAL);

	take(check, "{\"event\":\"offer\",\"version\":\"1.0.1\",\"bytes\":91}");
	proa_outcome_close(check, PROA_EXPECT_OFFER, "proa-install", CLD_EXITED, 0, FALSE, "");
	g_assert_true(check->ok);
}

/* What a child has to say beside how it ended goes along. */
static void test_note(void)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	take(outcome,
		"{\"event\":\"done\",\"result\":\"pinned\",\"version\":\"1.0.0\",\"note\":\"2.0.0\\u001b waits\"}");
	proa_outcome_close(outcome, PROA_EXPECT_DONE, "proa-bootd", CLD_EXITED, 0, FALSE, "");
	g_autoptr(JsonObject) object = proa_outcome_to_json(outcome, "pin");
	g_assert_cmpstr(json_object_get_string_member(object, "note"), ==, "2.0.0  waits");
}

static void test_error(void)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	g_assert_cmpint(
		take(outcome, "{\"event\":\"error\",\"reason\":\"esp-full\",\"message\":\"no room\"}"), ==,
		PROA_CHANGE_ERROR);
	proa_outcome_close(outcome, PROA_EXPECT_DONE, "proa-install", CLD_EXITED, 3, FALSE, "");
	g_assert_false(outcome->ok);
	g_assert_cmpint(outcome->reason, ==, PROA_REASON_ESP_FULL);
	g_assert_cmpstr(outcome->message, ==, "no room");
	/* A child that gives no hint leaves that of the table. */
	g_assert_cmpstr(outcome->hint, ==, proa_reason_hint(PROA_REASON_ESP_FULL));
	g_assert_cmpint(proa_outcome_exit(outcome), ==, PROA_EXIT_REFUSED);
}

static void test_silent_ends(void)
{
	static const struct {
		int code, status;
		gboolean cancelled;
		ProaReason reason;
		const char *message;
	} ends[] = {
		{ CLD_EXITED, 0, FALSE, PROA_REASON_INTERNAL,
			"proa-x ended with status 0 and no last line; its last words: oh" },
		{ CLD_EXITED, 1, FALSE, PROA_REASON_INTERNAL,
			"proa-x ended with status 1 and no last line; its last words: oh" },
		{ CLD_KILLED, SIGKILL, FALSE, PROA_REASON_INTERNAL,
			"proa-x was killed by signal 9 (Killed); its last words: oh" },
		{ CLD_DUMPED, SIGSEGV, FALSE, PROA_REASON_INTERNAL,
			"proa-x was killed by signal 11 (Segmentation fault); its last words: oh" },
		{ CLD_KILLED, SIGTERM, TRUE, PROA_REASON_CANCELLED,
			"proa-x was told to stop; its last words: oh" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
		g_autoptr(ProaOutcome) outcome = proa_outcome_new();
		proa_outcome_close(outcome, PROA_EXPECT_DONE, "proa-x", ends[i].code, ends[i].status,
			ends[i].cancelled, "oh");
		g_assert_false(outcome->ok);
		g_assert_cmpint(outcome->reason, ==, ends[i].reason);
		g_assert_cmpstr(outcome->message, ==, ends[i].message);
		g_assert_nonnull(outcome->hint);
	}
}

static void test_hostile(void)
{
	static const char *const lines[] = {
		"{}",
		"{\"event\":17}",
		"{\"event\":\"fly\"}",
		"{\"event\":\"phase\"}",
		"{\"event\":\"phase\",\"phase\":\"\"}",
		"{\"event\":\"phase\",\"phase\":\"\\u001b[2J\"}",
		"{\"event\":\"phase\",\"phase\":\"a phase with a name that is far too long to be one\"}",
		"{\"event\":\"progress\",\"done\":1}",
		"{\"event\":\"progress\",\"done\":-1,\"total\":5}",
		"{\"event\":\"progress\",\"done\":1,\"total\":-5}",
		"{\"event\":\"progress\",\"done\":\"1\",\"total\":5}",
		"{\"event\":\"progress\",\"done\":1e300,\"total\":5}",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(ProaOutcome) outcome = proa_outcome_new();
		g_assert_cmpint(take(outcome, lines[i]), ==, PROA_CHANGE_NOTHING);
		g_assert_null(outcome->phase);
	}
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();
	/* More than all is all; a version that is none, a digest that is none, and a slot with a path are not
	 * taken. */
	take(outcome, "{\"event\":\"progress\",\"phase\":\"fetch\",\"done\":9,\"total\":5}");
	g_assert_cmpuint(outcome->done, ==, 5);
	take(outcome,
		"{\"event\":\"done\",\"version\":\"../1\",\"root_hash\":\"12\",\"slot\":\"../../dev/sda\",\"result\":7}");
	g_assert_null(outcome->version);
	g_assert_null(outcome->root_hash);
	g_assert_null(outcome->slot);
	g_assert_null(outcome->result);

	g_autofree char *long_text = g_strnfill(20000, 'x');
	g_autofree char *error = g_strdup_printf(
		"{\"event\":\"error\",\"reason\":\"made-up\",\"message\":\"%s\",\"hint\":\"%s\"}", long_text,
		long_text);
	take(outcome, error);
	g_assert_cmpint(outcome->reason, ==, PROA_REASON_INTERNAL);
	g_assert_cmpuint(strlen(outcome->message), <=, PROA_TEXT_MAX);
	g_assert_cmpuint(strlen(outcome->hint), <=, PROA_TEXT_MAX);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/outcome/note", test_note);
	g_test_add_func("/outcome/update-from-first-line-to-last", test_update);
	g_test_add_func("/outcome/done-stands-even-if-killed-after-it", test_done_stands);
	g_test_add_func("/outcome/an-offer-ends-a-check-but-no-update", test_offer_is_no_update);
	g_test_add_func("/outcome/error-keeps-reason-message-and-hint", test_error);
	g_test_add_func("/outcome/silent-end-says-what-is-known", test_silent_ends);
	g_test_add_func("/outcome/hostile-lines-change-nothing", test_hostile);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/query.h"

#include "base/json.h"
#include "tests/unit/agent/loop.h"

#include <string.h>

typedef struct {
	sd_event *event;
	char *version; /* of the answer */
	GError *error;
	guint answers;
} Asked;

static void on_answer(JsonObject *status, const GError *error, gpointer data)
{
	Asked *asked = data;

	g_assert_true((status == NULL) == (error != NULL));
	asked->version = status ? g_strdup(proa_json_string_or(status, "version", NULL)) : NULL;
	asked->error = error ? g_error_copy(error) : NULL;
	asked->answers++;
	sd_event_exit(asked->event, 0);
}

/* Asks a proa-bootd that is @script. */
static void ask(const char *script, Asked *asked)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *program = loop_script(&scratch, "libexec/proa-bootd", script);
	g_autofree char *libexec = scratch_file(&scratch, "libexec");
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, libexec);
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(program);
	*asked = (Asked){ .event = loop_new() };
	g_autoptr(ProaQuery) query = proa_query_start(asked->event, paths, on_answer, asked, &error);
	g_assert_no_error(error);
	g_assert_cmpint(sd_event_loop(asked->event), ==, 0);
	g_assert_cmpuint(asked->answers, ==, 1);
	asked->event = sd_event_unref(asked->event);
}

static void an_answer_is_given(void)
{
	Asked asked;

	ask("[ \"$1\" = status ] && printf '{\"version\":\\n\"1.0.0\"}'", &asked);
	g_assert_no_error(asked.error);
	g_assert_cmpstr(asked.version, ==, "1.0.0");
	g_free(asked.version);
}

static void every_other_end_is_an_error_with_its_reason(void)
{
	static const struct {
		const char *script, *message;
		ProaReason reason;
	} cases[] = {
		{ "echo '{\"event\":\"error\",\"reason\":\"esp-missing\",\"message\":\"no\\u001b[2J disk\"}'; exit 3",
			"no [2J disk", PROA_REASON_ESP_MISSING },
		{ "echo '{\"event\":\"error\",\"reason\":\"unheard-of\"}'", "no message",
			PROA_REASON_INTERNAL },
		{ "echo trouble >&2; exit 5", "(exit status 5): trouble", PROA_REASON_INTERNAL },
		{ "echo '[1]'", "(exit status 0)", PROA_REASON_INTERNAL },
		{ "kill -KILL $$", "(signal 9)", PROA_REASON_INTERNAL },
		{ "head -c 1100000 /dev/zero", "over 1048576 bytes", PROA_REASON_TOO_LARGE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		Asked asked;
		ask(cases[i].script, &asked);
		g_assert_error(asked.error, PROA_ERROR, (gint)cases[i].reason);
		if (!strstr(asked.error->message, cases[i].message))
			g_error("%s: %s", cases[i].script, asked.error->message);
		g_clear_error(&asked.error);
	}
}

static void a_missing_bootd_is_told_at_once(void)
{
	g_autoptr(ProaPaths) paths = proa_paths_new("", "/nonexistent");
	g_autoptr(GError) error = NULL;
	Asked asked = { .event = loop_new() };

	g_assert_null(proa_query_start(asked.event, paths, on_answer, &asked, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_cmpuint(asked.answers, ==, 0);
	sd_event_unref(asked.event);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/query/an-answer-is-given", an_answer_is_given);
	g_test_add_func("/query/every-other-end-is-an-error-with-its-reason",
		every_other_end_is_an_error_with_its_reason);
	g_test_add_func("/query/a-missing-bootd-is-told-at-once", a_missing_bootd_is_told_at_once);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: agent_cli
#include "agent/cli/inspect.h"
#include "agent/cli/print.h"
#include "base/json.h"
#include "base/reason.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static void check(char *text)
{
	g_assert(g_utf8_validate(text, -1, NULL));
	for (const char *p = text; *p; p++)
		g_assert(*p == '\n' || !g_ascii_iscntrl(*p));
	g_free(text);
}

/* Any document: printed, and nothing in it reaches the terminal as a control character. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree char *copy = g_memdup2(data, size);
	g_autoptr(JsonObject) object =
		proa_json_parse(copy ? copy : "", size, "input", PROA_REASON_BAD_STATE, NULL);

	if (!object)
		return 0;
	check(proa_print_status(object, 1780000000));
	check(proa_print_done(object));
	check(proa_print_not_done(object));
	check(proa_inspect_health_text(object));
	proa_inspect_health_bad(object);
	JsonArray *checks = proa_json_array_or_null(object, "checks");
	if (checks) {
		check(proa_inspect_doctor_text(checks));
		proa_inspect_doctor_bad(checks);
	}
	JsonArray *rejected = proa_json_array_or_null(object, "rejected");
	if (rejected) {
		check(proa_print_rejected(rejected));
		check(proa_print_history(rejected));
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
// link: agent
#include "agent/jsonl.h"
#include "agent/outcome.h"
#include "agent/text.h"

#include <signal.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static void take(JsonObject *object, gpointer data)
{
	ProaOutcome *outcome = data;

	proa_outcome_take(outcome, object);
	g_assert(outcome->done <= outcome->total);
}

/* What a child says, in pieces whose size the first byte tells: there is an answer, and it is safe to print.
 */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	if (size < 2)
		return 0;
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();
	g_autoptr(ProaJsonl) lines = proa_jsonl_new(take, outcome);
	gsize piece = data[0] + 1u;

	for (gsize at = 1; at < size; at += piece) {
		gsize length = MIN(piece, size - at);
		/* A copy of exactly this size, so that a read past the end is seen. */
		g_autofree char *copy = g_memdup2(data + at, length);
		proa_jsonl_feed(lines, copy, length);
	}
	proa_jsonl_end(lines);
	proa_outcome_close(outcome, PROA_EXPECT_DONE, "child", CLD_EXITED, 1, data[0] & 1, "last words");
	g_assert(outcome->ok ||
		 (outcome->message && strlen(outcome->message) <= 2 * PROA_TEXT_MAX && outcome->hint));
	g_autoptr(JsonObject) json = proa_outcome_to_json(outcome, "update");
	return 0;
}

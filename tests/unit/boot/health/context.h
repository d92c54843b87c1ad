/* SPDX-License-Identifier: Apache-2.0 */
/* context: one health check, run against a root directory of the test's own. For unit tests only. */
#pragma once

#include "boot/health/health.h"
#include "tests/unit/scratch.h"

#include <string.h>

/* Runs @check below the scratch folder with @text as health.conf, and with what @memory (NULL: nothing)
 * remembers. */
static inline ProaHealthResult context_check_with(const Scratch *scratch, const ProaHealthCheck *check,
	const char *text, ProaSystemd *systemd, GHashTable *memory)
{
	g_autofree char *path = scratch_write(scratch, "etc/proa/health.conf", text, -1);
	g_autoptr(ProaConfig) config =
		proa_config_load(scratch->path, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_autoptr(GHashTable) fresh = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	ProaHealthContext context = {
		.config = config, .systemd = systemd, .root = scratch->path, .memory = memory ? memory : fresh
	};
	ProaHealthResult result = { 0 };

	g_assert_nonnull(path);
	g_assert_null(proa_config_problems(config)[0]);
	check->run(&context, &result);
	return result;
}

static inline ProaHealthResult context_check(
	const Scratch *scratch, const ProaHealthCheck *check, const char *text, ProaSystemd *systemd)
{
	return context_check_with(scratch, check, text, systemd, NULL);
}

/* Judges a result and clears it: @reason counts if it stands in the way, @word must be in its detail (NULL:
 * any). */
static inline void context_expect(ProaHealthResult result, ProaHealthVerdict verdict, ProaHealthFault fault,
	ProaReason reason, const char *word)
{
	if (result.verdict != verdict || (word && !(result.detail && strstr(result.detail, word))))
		g_test_message(
			"verdict %d, said: %s", result.verdict, result.detail ? result.detail : "nothing");
	g_assert_cmpint(result.verdict, ==, verdict);
	if (!proa_health_good(verdict)) {
		g_assert_cmpint(result.fault, ==, fault);
		g_assert_cmpstr(proa_reason_to_string(result.reason), ==, proa_reason_to_string(reason));
	}
	if (word)
		g_assert_nonnull(strstr(result.detail, word));
	proa_health_result_clear(&result);
}

static inline void context_expect_ok(ProaHealthResult result)
{
	context_expect(result, PROA_HEALTH_OK, PROA_FAULT_OF_NODE, PROA_REASON_INTERNAL, NULL);
}

static inline void context_expect_skipped(ProaHealthResult result, const char *word)
{
	context_expect(result, PROA_HEALTH_SKIPPED, PROA_FAULT_OF_NODE, PROA_REASON_INTERNAL, word);
}

static inline void context_expect_node(ProaHealthResult result, ProaReason reason, const char *word)
{
	context_expect(result, PROA_HEALTH_WAIT, PROA_FAULT_OF_NODE, reason, word);
}

static inline void context_expect_elsewhere(ProaHealthResult result, ProaReason reason, const char *word)
{
	context_expect(result, PROA_HEALTH_WAIT, PROA_FAULT_OF_ELSEWHERE, reason, word);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/release/choose.h"

#include "base/json.h"
#include "base/version.h"

#include <string.h>

void proa_candidate_free(ProaCandidate *candidate)
{
	if (!candidate)
		return;
	g_free(candidate->version);
	g_free(candidate);
}

/* What a target says of its release; all NULL if it is not a manifest of ours. */
typedef struct {
	const char *version, *channel, *architecture;
} Claim;

static Claim read_claim(const ProaTrustTarget *target)
{
	JsonObject *custom = target->custom ? proa_json_object_or_null(target->custom, "proa") : NULL;
	Claim claim = { 0 };

	if (!custom)
		return claim;
	claim.version = proa_json_string_or(custom, "version", NULL);
	claim.channel = proa_json_string_or(custom, "channel", NULL);
	claim.architecture = proa_json_string_or(custom, "architecture", NULL);
	if (!claim.version || !claim.channel || !claim.architecture || !proa_version_valid(claim.version))
		return (Claim){ 0 };

	/* The path is signed as well: one that says something else is not a release. */
	g_autofree char *path = g_strdup_printf("%s/%s/manifest.json", claim.channel, claim.version);
	return strcmp(path, target->path) == 0 ? claim : (Claim){ 0 };
}

/* PROA_REASON_MAX if the release may be taken, or why not. */
static ProaReason judge(const Claim *claim, const ProaChooseRules *rules)
{
	int order = proa_version_compare(claim->version, rules->booted);

	if (order == 0 || (order < 0 && !rules->wanted))
		return PROA_REASON_NO_UPDATE;
	if (strcmp(claim->architecture, rules->architecture) != 0)
		return PROA_REASON_WRONG_ARCHITECTURE;
	if (rules->floor && proa_version_compare(claim->version, rules->floor) < 0)
		return PROA_REASON_BELOW_FLOOR;
	return PROA_REASON_MAX;
}

static gboolean none(const ProaChooseRules *rules, ProaReason why, const char *version, GError **error)
{
	switch (why) {
	case PROA_REASON_WRONG_ARCHITECTURE:
		return proa_fail(error, why, "%s is not for %s", version, rules->architecture);
	case PROA_REASON_BELOW_FLOOR:
		return proa_fail(
			error, why, "%s is below %s, the lowest version allowed here", version, rules->floor);
	case PROA_REASON_NO_SUCH_RELEASE:
		return proa_fail(error, why, "channel %s has no release %s", rules->channel, rules->wanted);
	default:
		return proa_fail(error, PROA_REASON_NO_UPDATE,
			rules->wanted ? "%s is what runs" : "channel %s has nothing newer than %s",
			rules->wanted ? rules->wanted : rules->channel, rules->booted);
	}
}

static int newest_first(gconstpointer a, gconstpointer b)
{
	const ProaCandidate *first = *(const ProaCandidate *const *)a,
			    *second = *(const ProaCandidate *const *)b;

	return proa_version_compare(second->version, first->version);
}

GPtrArray *proa_choose(const GPtrArray *targets, const ProaChooseRules *rules, GError **error)
{
	g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func((GDestroyNotify)proa_candidate_free);
	ProaReason why = rules->wanted ? PROA_REASON_NO_SUCH_RELEASE : PROA_REASON_NO_UPDATE;
	const char *left_out = NULL; /* the newest that was not taken for @why */

	for (guint i = 0; i < targets->len; i++) {
		const ProaTrustTarget *target = targets->pdata[i];
		Claim claim = read_claim(target);
		if (!claim.version || strcmp(claim.channel, rules->channel) != 0 ||
			(rules->wanted && proa_version_compare(claim.version, rules->wanted) != 0))
			continue;
		ProaReason reason = judge(&claim, rules);
		if (reason == PROA_REASON_MAX) {
			ProaCandidate *candidate = g_new0(ProaCandidate, 1);
			candidate->version = g_strdup(claim.version);
			candidate->target = target;
			g_ptr_array_add(candidates, candidate);
		} else if ((reason != PROA_REASON_NO_UPDATE || rules->wanted) &&
			   (!left_out || proa_version_compare(claim.version, left_out) > 0)) {
			why = reason;
			left_out = claim.version;
		}
	}
	if (candidates->len == 0) {
		none(rules, why, left_out, error);
		return NULL;
	}
	g_ptr_array_sort(candidates, newest_first);
	return g_steal_pointer(&candidates);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/release/choose.h"

#include "base/json.h"

#include <string.h>

typedef struct {
	const char *path, *custom;
} Listed;

#define RELEASE(version)                                                                                     \
	{ "stable/" version "/manifest.json", "{\"proa\":{\"version\":\"" version                            \
					      "\",\"channel\":\"stable\",\"architecture\":\"x86-64\"}}" }
#define FOREIGN(version)                                                                                     \
	{ "stable/" version "/manifest.json", "{\"proa\":{\"version\":\"" version                            \
					      "\",\"channel\":\"stable\",\"architecture\":\"arm64\"}}" }

static void target_free(gpointer data)
{
	ProaTrustTarget *target = data;

	g_free(target->path);
	if (target->custom)
		json_object_unref(target->custom);
	g_free(target);
}

static GPtrArray *targets_of(const Listed *listed, guint n)
{
	GPtrArray *targets = g_ptr_array_new_with_free_func(target_free);

	for (guint i = 0; i < n; i++) {
		ProaTrustTarget *target = g_new0(ProaTrustTarget, 1);
		target->path = g_strdup(listed[i].path);
		if (listed[i].custom)
			target->custom = proa_json_parse(listed[i].custom, strlen(listed[i].custom), "custom",
				PROA_REASON_INTERNAL, NULL);
		g_ptr_array_add(targets, target);
	}
	return targets;
}

static const Listed many[] = { RELEASE("1.0.9"), RELEASE("1.0.10"), RELEASE("1.0.0"), RELEASE("1.0.2"),
	{ "beta/2.0.0/manifest.json",
		"{\"proa\":{\"version\":\"2.0.0\",\"channel\":\"beta\",\"architecture\":\"x86-64\"}}" },
	FOREIGN("1.1.0") };

static ProaChooseRules rules_of(const char *booted)
{
	return (ProaChooseRules){ .channel = "stable", .architecture = "x86-64", .booted = booted };
}

/* Chooses and says it in a line: the versions in order, or the reason. */
static char *outcome(const Listed *listed, guint n, const ProaChooseRules *rules)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) targets = targets_of(listed, n);
	g_autoptr(GPtrArray) candidates = proa_choose(targets, rules, &error);
	GString *line = g_string_new(NULL);

	g_assert_true((candidates == NULL) == (error != NULL));
	if (error)
		g_string_append(line, proa_reason_to_string(proa_reason_of(error)));
	for (guint i = 0; candidates && i < candidates->len; i++) {
		const ProaCandidate *candidate = candidates->pdata[i];
		g_assert_nonnull(strstr(candidate->target->path, candidate->version));
		g_string_append_printf(line, "%s%s", i ? " " : "", candidate->version);
	}
	return g_string_free(line, FALSE);
}

#define ASSERT_OUTCOME(listed, rules, expected)                                                              \
	do {                                                                                                 \
		g_autofree char *got = outcome(listed, G_N_ELEMENTS(listed), rules);                         \
		g_assert_cmpstr(got, ==, expected);                                                          \
	} while (0)

static void newest_first(void)
{
	ProaChooseRules rules = rules_of("1.0.2");

	ASSERT_OUTCOME(many, &rules, "1.0.10 1.0.9");
}

static void nothing_newer(void)
{
	static const Listed one[] = { RELEASE("1.0.0"), RELEASE("0.9") };
	ProaChooseRules rules = rules_of("1.0.0");

	ASSERT_OUTCOME(one, &rules, "no-update");
}

static void other_architecture_alone(void)
{
	static const Listed one[] = { RELEASE("1.0.0"), FOREIGN("1.1.0") };
	ProaChooseRules rules = rules_of("1.0.0");

	ASSERT_OUTCOME(one, &rules, "wrong-architecture");
}

static void below_floor(void)
{
	static const Listed few[] = { RELEASE("1.0.9"), RELEASE("1.0.10") };
	ProaChooseRules rules = rules_of("1.0.0");

	rules.floor = "1.0.9";
	ASSERT_OUTCOME(many, &rules, "1.0.10 1.0.9");
	rules.floor = "3";
	ASSERT_OUTCOME(few, &rules, "below-floor");
}

static void wanted_alone(void)
{
	ProaChooseRules rules = rules_of("1.0.0");

	rules.wanted = "1.0.2";
	ASSERT_OUTCOME(many, &rules, "1.0.2");
}

static void wanted_may_be_older(void)
{
	ProaChooseRules rules = rules_of("1.0.9");

	rules.wanted = "1.0.2";
	ASSERT_OUTCOME(many, &rules, "1.0.2");
	rules.floor = "1.0.3";
	ASSERT_OUTCOME(many, &rules, "below-floor");
}

static void wanted_missing(void)
{
	ProaChooseRules rules = rules_of("1.0.0");

	rules.wanted = "2.0.0"; /* in another channel */
	ASSERT_OUTCOME(many, &rules, "no-such-release");
}

static void wanted_runs(void)
{
	ProaChooseRules rules = rules_of("1.0.2");

	rules.wanted = "1.0.2";
	ASSERT_OUTCOME(many, &rules, "no-update");
}

static void wanted_of_other_architecture(void)
{
	ProaChooseRules rules = rules_of("1.0.2");

	rules.wanted = "1.1.0";
	ASSERT_OUTCOME(many, &rules, "wrong-architecture");
}

static void passes_over_what_is_not_ours(void)
{
	static const Listed odd[] = {
		{ "stable/9/manifest.json", NULL },
		{ "stable/9/manifest.json", "{\"proa\":7}" },
		{ "stable/9/manifest.json", "{\"proa\":{\"version\":9}}" },
		{ "stable/9/manifest.json",
			"{\"proa\":{\"version\":\"../9\",\"channel\":\"stable\",\"architecture\":\"x86-64\"}}" },
		/* The path says 9, its custom member 10. */
		{ "stable/9/manifest.json",
			"{\"proa\":{\"version\":\"10\",\"channel\":\"stable\",\"architecture\":\"x86-64\"}}" },
		{ "stable/9/other.json",
			"{\"proa\":{\"version\":\"9\",\"channel\":\"stable\",\"architecture\":\"x86-64\"}}" },
	};
	ProaChooseRules rules = rules_of("1.0.0");

	ASSERT_OUTCOME(odd, &rules, "no-update");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/release/choose/newest-first", newest_first);
	g_test_add_func("/release/choose/nothing-newer", nothing_newer);
	g_test_add_func("/release/choose/other-architecture-alone", other_architecture_alone);
	g_test_add_func("/release/choose/below-floor", below_floor);
	g_test_add_func("/release/choose/wanted-alone", wanted_alone);
	g_test_add_func("/release/choose/wanted-may-be-older", wanted_may_be_older);
	g_test_add_func("/release/choose/wanted-missing", wanted_missing);
	g_test_add_func("/release/choose/wanted-runs", wanted_runs);
	g_test_add_func("/release/choose/wanted-of-other-architecture", wanted_of_other_architecture);
	g_test_add_func("/release/choose/passes-over-what-is-not-ours", passes_over_what_is_not_ours);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/health.h"

#include "tests/unit/scratch.h"

/* One letter a second: o ok, s skipped, w wait, f fail, e elsewhere. deadline 20, settle 3, failing 5,
 * limit 30. */
static ProaHealthDecision decide(ProaHealthTrial *trial, char letter, gint64 now)
{
	ProaHealthVerdict verdict = letter == 'o'   ? PROA_HEALTH_OK
				    : letter == 's' ? PROA_HEALTH_SKIPPED
				    : letter == 'f' ? PROA_HEALTH_FAIL
						    : PROA_HEALTH_WAIT;

	return proa_health_trial_add(trial, verdict,
		letter == 'e' ? PROA_FAULT_OF_ELSEWHERE : PROA_FAULT_OF_NODE, 100 + now, 100 + now);
}

static void expect_if(gboolean keep, const char *verdicts, gint64 seconds, ProaHealthDecision decision)
{
	ProaHealthTrial trial = { .deadline = 20,
		.settle = 3,
		.failing = 5,
		.limit = 30,
		.keep = keep,
		.began = 100,
		.ok_since = -1,
		.fail_since = -1,
		.node_since = -1 };
	gsize length = strlen(verdicts);

	for (gint64 now = 0;; now++) {
		ProaHealthDecision seen = decide(&trial, verdicts[MIN((gsize)now, length - 1)], now);
		if (seen == PROA_HEALTH_UNDECIDED && now < 60)
			continue;
		g_assert_cmpint(seen, ==, decision);
		g_assert_cmpint(now, ==, seconds);
		return;
	}
}

static void expect(const char *verdicts, gint64 seconds, ProaHealthDecision decision)
{
	expect_if(TRUE, verdicts, seconds, decision);
}

static void healthy_once_it_settled(void)
{
	expect("o", 3, PROA_HEALTHY);
	expect("wwwo", 6, PROA_HEALTHY);
}

/* A round that took longer than the settling time shows one moment, as any other; the next one shows that it
 * lasts. */
static void one_long_round_is_one_moment(void)
{
	ProaHealthTrial trial = { .deadline = 20,
		.settle = 3,
		.failing = 5,
		.limit = 30,
		.began = 100,
		.ok_since = -1,
		.fail_since = -1,
		.node_since = -1 };

	g_assert_cmpint(proa_health_trial_add(&trial, PROA_HEALTH_OK, PROA_FAULT_OF_NODE, 100, 110), ==,
		PROA_HEALTH_UNDECIDED);
	g_assert_cmpint(proa_health_trial_add(&trial, PROA_HEALTH_WAIT, PROA_FAULT_OF_NODE, 111, 112), ==,
		PROA_HEALTH_UNDECIDED);
	g_assert_cmpint(proa_health_trial_add(&trial, PROA_HEALTH_OK, PROA_FAULT_OF_NODE, 113, 118), ==,
		PROA_HEALTH_UNDECIDED);
	g_assert_cmpint(proa_health_trial_add(&trial, PROA_HEALTH_OK, PROA_FAULT_OF_NODE, 119, 119), ==,
		PROA_HEALTHY);
}

/* "Booted" is not healthy: what falls over at once never settles. */
static void one_good_moment_is_not_enough(void)
{
	expect("wowoowoowooo", 12, PROA_HEALTHY);
	expect("owowowowowowowowowowowow", 21, PROA_UNHEALTHY);
}

static void failing_ends_it_early(void)
{
	expect("wwf", 7, PROA_UNHEALTHY);
	expect("ffffo", 7, PROA_HEALTHY);
}

static void deadline_ends_it(void)
{
	expect("w", 20, PROA_UNHEALTHY);
}

static void right_at_the_deadline_may_still_settle(void)
{
	expect("wwwwwwwwwwwwwwwwwwwo", 22, PROA_HEALTHY);
}

static void what_is_skipped_is_in_nobodys_way(void)
{
	expect("s", 3, PROA_HEALTHY);
	expect("wos", 4, PROA_HEALTHY);
}

/* An API server that is down for everyone costs nobody a trial. */
static void a_fault_elsewhere_prolongs_up_to_the_limit(void)
{
	expect("e", 30, PROA_HEALTHY);
	expect_if(FALSE, "e", 30, PROA_UNHEALTHY);
	expect("eeeeeeeeeeeeeeeeeeeeeeeeeo", 28, PROA_HEALTHY);
}

/* Nor does it hide the node's own. */
static void a_fault_of_the_node_ends_it_all_the_same(void)
{
	expect("ew", 20, PROA_UNHEALTHY);
	expect("ef", 6, PROA_UNHEALTHY);
	expect("eeeeeeeeeeeeeeeeeeeeeew", 27, PROA_UNHEALTHY);
	expect("eeeeeeeeeeeeeeeeeeeeeewwwe", 30, PROA_HEALTHY);
	expect_if(FALSE, "wwwwwwwwwwwwwwwwwwwe", 30, PROA_UNHEALTHY);
}

static void defaults_are_those_of_the_shipped_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *shipped = g_build_filename(g_getenv("PROA_SOURCE"), "boot/units/health.conf", NULL);
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(shipped, &text, NULL, NULL));
	g_autofree char *path = scratch_write(&scratch, "usr/lib/proa/health.conf", text, -1);
	g_autoptr(ProaConfig) config =
		proa_config_load(scratch.path, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_autoptr(ProaConfig) none =
		proa_config_load("/nonexistent", PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_assert_null(proa_config_problems(config)[0]);
	for (const ProaConfigKey *key = proa_health_config_keys; key->group; key++) {
		g_autofree char *line = g_strdup_printf("\n%s=", key->key);
		g_assert_nonnull(strstr(text, line));
		if (key->type == PROA_CONFIG_STRING)
			g_assert_cmpstr(proa_config_string(config, key->group, key->key), ==,
				proa_config_string(none, key->group, key->key));
		else if (key->type == PROA_CONFIG_BOOLEAN)
			g_assert_cmpint(proa_config_boolean(config, key->group, key->key), ==,
				proa_config_boolean(none, key->group, key->key));
		else
			g_assert_cmpint(proa_config_integer(config, key->group, key->key), ==,
				proa_config_integer(none, key->group, key->key));
	}
}

/* No system manager and no containerd: not yet healthy, and it says why. */
static void says_what_is_missing(void)
{
	g_autoptr(ProaSystemd) systemd = proa_systemd_new("unix:path=/nonexistent/private", 1);
	g_autoptr(ProaConfig) config =
		proa_config_load("/nonexistent", PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_autoptr(GHashTable) memory = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	ProaHealthContext context = {
		.config = config, .systemd = systemd, .root = "/nonexistent", .memory = memory
	};
	g_autoptr(JsonArray) report = NULL;
	ProaHealthResult result = { 0 };
	const char *name = NULL;

	proa_health_run(&context, &result, &name, &report);
	g_assert_cmpint(result.verdict, ==, PROA_HEALTH_WAIT);
	/* The first of those that are equally wrong: without a /var nothing else can be right. */
	g_assert_cmpint(result.reason, ==, PROA_REASON_READ_ONLY);
	g_assert_cmpstr(name, ==, "disk");
	g_assert_nonnull(strstr(result.detail, "/var"));
	proa_health_result_clear(&result);

	/* What costs much waits for what costs little. */
	g_autofree char *text = proa_health_report_to_text(report);
	g_assert_nonnull(strstr(
		text, "units       waiting (not-running, fault of node): connecting to the system manager"));
	g_assert_nonnull(strstr(text, "disk        waiting (read-only, fault of node): /var"));
	g_assert_nonnull(strstr(text, "canary      skipped: waits until"));
	g_assert_nonnull(strstr(text, "kubelet     skipped: this node has no kubelet"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/health/healthy-once-it-settled", healthy_once_it_settled);
	g_test_add_func("/health/one-long-round-is-one-moment", one_long_round_is_one_moment);
	g_test_add_func("/health/one-good-moment-is-not-enough", one_good_moment_is_not_enough);
	g_test_add_func("/health/failing-ends-it-early", failing_ends_it_early);
	g_test_add_func("/health/deadline-ends-it", deadline_ends_it);
	g_test_add_func(
		"/health/right-at-the-deadline-may-still-settle", right_at_the_deadline_may_still_settle);
	g_test_add_func("/health/what-is-skipped-is-in-nobodys-way", what_is_skipped_is_in_nobodys_way);
	g_test_add_func("/health/a-fault-elsewhere-prolongs-up-to-the-limit",
		a_fault_elsewhere_prolongs_up_to_the_limit);
	g_test_add_func(
		"/health/a-fault-of-the-node-ends-it-all-the-same", a_fault_of_the_node_ends_it_all_the_same);
	g_test_add_func(
		"/health/defaults-are-those-of-the-shipped-file", defaults_are_those_of_the_shipped_file);
	g_test_add_func("/health/says-what-is-missing", says_what_is_missing);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/inspect.h"

#include "base/json.h"
#include "tests/unit/scratch.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ProaPaths *paths_of(const Scratch *scratch)
{
	return proa_paths_new(scratch->path, "/nonexistent");
}

static void add(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(scratch, name, text, -1);

	g_assert_nonnull(path);
}

static void health_is_shown_and_judged(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = paths_of(&scratch);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_inspect_health(paths, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_RUNNING);
	add(&scratch, "run/proa/health.json",
		"{\"checks\":[{\"check\":\"units\",\"verdict\":\"ok\"},7,"
		"{\"check\":\"node-ready\",\"verdict\":\"waiting\",\"fault\":\"elsewhere\",\"reason\":\"node-not-ready\","
		"\"detail\":\"the API server\\u001b[2J answers 503\"}]}");
	g_autoptr(JsonObject) report = proa_inspect_health(paths, NULL);
	g_autofree char *text = proa_inspect_health_text(report);
	g_assert_nonnull(strstr(text, "units       ok"));
	g_assert_nonnull(strstr(text, "(node-not-ready) the API server"));
	g_assert_nonnull(strstr(text, "not this node's fault"));
	g_assert_null(strchr(text, '\033'));
	g_assert_true(proa_inspect_health_bad(report));
}

static void skipped_checks_are_not_bad(void)
{
	g_autoptr(JsonObject) report = proa_json_parse(
		"{\"checks\":[{\"check\":\"a\",\"verdict\":\"skipped\"},{\"check\":\"b\",\"verdict\":\"ok\"}]}",
		75, "x", PROA_REASON_INTERNAL, NULL);

	g_assert_nonnull(report);
	g_assert_false(proa_inspect_health_bad(report));
}

static void the_newest_page_is_the_last_failure(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = paths_of(&scratch);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_inspect_last_page(paths, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	add(&scratch, "var/lib/proa/blackbox/1700000000-1.0.1.txt", "old\n");
	add(&scratch, "var/lib/proa/blackbox/1800000000-1.0.2.txt",
		"Release 1.0.2 failed\033[2J: boot-failed\n\nWhen\n");
	add(&scratch, "var/lib/proa/blackbox/verdict.json", "{}");
	add(&scratch, "var/lib/proa/blackbox/notes.txt", "no page");
	g_autofree char *page = proa_inspect_last_page(paths, NULL);
	g_assert_true(g_str_has_prefix(page, "Release 1.0.2 failed"));
	g_assert_null(strchr(page, '\033'));
	g_assert_nonnull(strstr(page, "\n\nWhen\n"));
	g_autoptr(JsonArray) pages = proa_inspect_pages(paths, NULL);
	g_assert_cmpuint(json_array_get_length(pages), ==, 2);
	JsonObject *first = json_array_get_object_element(pages, 0);
	g_assert_cmpstr(proa_json_string_or(first, "version", NULL), ==, "1.0.2");
	g_assert_cmpint(proa_json_int_or(first, "time", 0), ==, 1800000000);
}

static JsonObject *find(JsonArray *checks, const char *name)
{
	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *check = json_array_get_object_element(checks, i);
		if (strcmp(proa_json_string_or(check, "check", ""), name) == 0)
			return check;
	}
	return NULL;
}

static void the_doctor_tells_the_way_out(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = paths_of(&scratch);
	g_autoptr(JsonObject) feed = json_object_new();

	json_object_set_boolean_member(feed, "ok", FALSE);
	json_object_set_string_member(feed, "reason", "feed-unreachable");
	json_object_set_string_member(feed, "message", "no route");
	json_object_set_string_member(feed, "hint", "Check the network.");
	add(&scratch, "var/lib/proa/trust/root.json", "{\"signed\":{\"expires\":\"2001-01-01T00:00:00Z\"}}");
	add(&scratch, "var/lib/proa/trust/targets.json",
		"{\"signed\":{\"expires\":\"2999-01-01T00:00:00Z\"}}");
	g_autoptr(JsonArray) checks = proa_inspect_doctor(paths, feed);
	g_assert_cmpstr(proa_json_string_or(find(checks, "feed"), "verdict", NULL), ==, "problem");
	g_assert_cmpstr(proa_json_string_or(find(checks, "trust-root"), "verdict", NULL), ==, "problem");
	g_assert_cmpstr(proa_json_string_or(find(checks, "trust-targets"), "verdict", NULL), ==, "ok");
	g_assert_nonnull(find(checks, "boot"));
	g_assert_true(proa_inspect_doctor_bad(checks));
	g_autofree char *text = proa_inspect_doctor_text(checks);
	g_assert_nonnull(strstr(text, "problem  feed"));
	g_assert_nonnull(strstr(text, "-> Check the network."));

	json_object_set_string_member(feed, "reason", "no-update");
	g_autoptr(JsonArray) again = proa_inspect_doctor(paths, feed);
	g_assert_cmpstr(proa_json_string_or(find(again, "feed"), "verdict", NULL), ==, "ok");
}

/* The disk is proa-bootd's to know, the release proa-install's; neither alone sees that it does not fit. */
static void a_release_that_does_not_fit_is_told_before_it_is_fetched(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *libexec = scratch_file(&scratch, "libexec");
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, libexec);
	g_autoptr(JsonObject) feed = json_object_new();
	g_autofree char *program = scratch_file(&scratch, "libexec/proa-bootd");

	if (geteuid() != 0) {
		g_test_skip("only root may");
		return;
	}
	add(&scratch, "libexec/proa-bootd",
		"#!/bin/sh\necho '{\"checks\":[{\"check\":\"slots\",\"verdict\":\"ok\",\"data_size\":1000,"
		"\"tree_size\":100},{\"check\":\"esp\",\"verdict\":\"ok\",\"room\":50}]}'\n");
	g_assert_cmpint(chmod(program, 0755), ==, 0);
	json_object_set_boolean_member(feed, "ok", TRUE);
	json_object_set_string_member(feed, "version", "2.0.0");
	json_object_set_int_member(feed, "root_size", 1000);
	json_object_set_int_member(feed, "tree_size", 100);
	json_object_set_int_member(feed, "uki_size", 50);
	g_autoptr(JsonArray) fits = proa_inspect_doctor(paths, feed);
	g_assert_null(find(fits, "offer"));
	static const char *const members[][2] = { { "root_size", "slot-too-small" },
		{ "tree_size", "slot-too-small" }, { "uki_size", "esp-full" } };
	for (gsize i = 0; i < G_N_ELEMENTS(members); i++) {
		gint64 before = json_object_get_int_member(feed, members[i][0]);
		json_object_set_int_member(feed, members[i][0], before + 1);
		g_autoptr(JsonArray) checks = proa_inspect_doctor(paths, feed);
		g_assert_cmpstr(
			proa_json_string_or(find(checks, "offer"), "reason", NULL), ==, members[i][1]);
		g_assert_nonnull(proa_json_string_or(find(checks, "offer"), "hint", NULL));
		json_object_set_int_member(feed, members[i][0], before);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/inspect/health-is-shown-and-judged", health_is_shown_and_judged);
	g_test_add_func("/inspect/skipped-checks-are-not-bad", skipped_checks_are_not_bad);
	g_test_add_func("/inspect/the-newest-page-is-the-last-failure", the_newest_page_is_the_last_failure);
	g_test_add_func("/inspect/a-release-that-does-not-fit-is-told-before-it-is-fetched",
		a_release_that_does_not_fit_is_told_before_it_is_fetched);
	g_test_add_func("/inspect/the-doctor-tells-the-way-out", the_doctor_tells_the_way_out);
	return g_test_run();
}

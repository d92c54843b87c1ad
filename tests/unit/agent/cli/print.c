/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/print.h"

#include "base/json.h"
#include "base/reason.h"

#include <string.h>

#define HASH "0000000000000000000000000000000000000000000000000000000000000002"
#define NOW 1780003600

static JsonObject *parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	JsonObject *object = proa_json_parse(text, strlen(text), "input", PROA_REASON_INTERNAL, &error);

	g_assert_no_error(error);
	return object;
}

static void test_status(void)
{
	g_autoptr(JsonObject) status = parse(
		"{\"booted\":{\"version\":\"1.0.1\",\"root_hash\":\"" HASH
		"\",\"slot\":\"root-b\",\"tries_left\":2,"
		"\"blessed\":false,\"verified\":true,\"boot_time\":1780000000},"
		"\"other\":{\"slot\":\"root-a\",\"version\":\"1.0.0\",\"root_hash\":\"" HASH
		"\",\"bootable\":true,\"scrub\":{\"sound\":true,\"time\":1780000000}},"
		"\"next\":\"proa_1.0.1+2-1.efi\",\"state\":\"trial\",\"since\":1780000010,\"staged\":null,"
		"\"good\":{\"version\":\"1.0.0\",\"root_hash\":\"" HASH "\",\"slot\":\"root-a\"},"
		"\"rejected\":[{\"version\":\"0.9\",\"reason\":\"unit-failed\",\"detail\":\"x.service\",\"time\":1770000000}],"
		"\"operation\":{\"name\":\"update\",\"phase\":\"fetch\",\"done\":5000000,\"total\":91000000,\"started\":1780003590},"
		"\"last_check\":{\"time\":1780003000,\"result\":\"ok\",\"offered\":\"1.0.2\"},\"next_check\":1780005000,"
		"\"next_reboot\":1780003660,\"feed\":{\"url\":\"http://feed.example/\",\"channel\":\"stable\"},"
		"\"update\":{\"automatic\":\"yes\",\"reboot\":\"automatic\",\"reboot_window\":\"01:00-04:00\"},"
		"\"pinned\":\"1.0.1\",\"planned_rollback\":\"*-*-* 03:00:00\",\"conflicts\":[\"ssh/sshd_config\",7],\"agent\":\"running\",\"problems\":[\"etc/x.conf:3: unknown key\"]}");
	g_autofree char *text = proa_print_status(status, NOW);

	g_assert_cmpstr(text, ==,
		"running     1.0.1 in root-b, since 2026-05-28 20:26:40 UTC (1 h 0 min ago)\n"
		"root hash   " HASH "\n"
		"verified    yes: every block is checked against the root hash (dm-verity); not blessed yet, 2 tries left\n"
		"state       trial: a new release runs and is not blessed yet\n"
		"            since 2026-05-28 20:26:50 UTC (59 min 50 s ago)\n"
		"under way   update: fetch, 5.0 MB of 91.0 MB, for 10 s\n"
		"other slot  root-a: 1.0.0, can be booted; sound, scrubbed 2026-05-28 20:26:40 UTC (1 h 0 min ago)\n"
		"next boot   proa_1.0.1+2-1.efi\n"
		"staged      none\n"
		"last good   1.0.0 in root-a\n"
		"pinned      to 1.0.1: `proa unpin` lets it go\n"
		"rollback    planned: *-*-* 03:00:00; `systemctl stop proa-rollback.timer` drops it\n"
		"rejected    0.9: unit-failed, 2026-02-02 02:40:00 UTC: x.service\n"
		"last check  2026-05-28 21:16:40 UTC (10 min 0 s ago): ok, offered 1.0.2\n"
		"next check  2026-05-28 21:50:00 UTC (in 23 min 20 s)\n"
		"reboot      2026-05-28 21:27:40 UTC (in 1 min 0 s)\n"
		"feed        http://feed.example/, channel stable\n"
		"updates     automatic: yes; reboot: automatic, window 01:00-04:00\n"
		"conflicts   /etc/ssh/sshd_config: changed here and by the release; yours is kept\n"
		"            /etc/?: changed here and by the release; yours is kept\n"
		"problem     etc/x.conf:3: unknown key\n");
}

static void test_hostile(void)
{
	static const char *const documents[] = {
		"{}",
		"{\"booted\":null,\"other\":null,\"rejected\":null,\"problems\":null}",
		"{\"booted\":[],\"other\":7,\"rejected\":{},\"problems\":{},\"operation\":\"x\",\"feed\":[],\"state\":9}",
		"{\"rejected\":[1,null,[],{}],\"problems\":[1,null,[],{}],\"state\":\"made-up\",\"since\":-5}",
		"{\"booted\":{\"version\":7,\"verified\":\"yes\",\"boot_time\":9223372036854775807,\"tries_left\":-9}}",
		"{\"operation\":{\"done\":-1,\"total\":-9223372036854775808,\"started\":-9223372036854775807}}",
		"{\"state\":\"a\\u001b]0;x\\u0007b\",\"agent\":\"not-running\",\"next_check\":-1}",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(documents); i++) {
		g_autoptr(JsonObject) status = parse(documents[i]);
		g_autofree char *text = proa_print_status(status, NOW);
		g_assert_true(g_utf8_validate(text, -1, NULL));
		for (const char *p = text; *p; p++)
			g_assert_true(*p == '\n' || !g_ascii_iscntrl(*p));
		g_assert_true(g_str_has_prefix(text, "running "));
	}
}

static void test_many_rejected(void)
{
	g_autoptr(JsonObject) status = parse(
		"{\"rejected\":[{\"version\":\"1\"},{\"version\":\"2\"},{\"version\":\"3\"},{\"version\":\"4\"},{\"version\":\"5\"}]}");
	g_autofree char *text = proa_print_status(status, NOW);

	/* The newest first, and the screen is not filled. */
	g_assert_nonnull(
		strstr(text, "rejected    5: ?, never\n            4: ?, never\n            3: ?, never\n"
			     "            and 2 more: proa history --rejected\n"));
	g_autofree char *all = proa_print_rejected(proa_json_array_or_null(status, "rejected"));
	g_assert_true(g_str_has_prefix(all, "1: ?, never\n  root hash ?\n2: "));
}

static void test_history(void)
{
	g_autoptr(JsonObject) document = parse(
		"{\"history\":[{\"time\":1780000000,\"event\":\"staged\",\"version\":\"1.0.1\",\"slot\":\"root-b\"},17,"
		"{\"time\":1780000100,\"event\":\"fell-back\",\"version\":\"1.0.1\",\"reason\":\"containerd-down\",\"detail\":\"no "
		"answer\\nforged line\"},{}]}");
	g_autofree char *text = proa_print_history(proa_json_array_or_null(document, "history"));

	g_assert_cmpstr(text, ==,
		"2026-05-28 20:26:40 UTC  staged       1.0.1        root-b\n"
		"2026-05-28 20:28:20 UTC  fell-back    1.0.1        -       containerd-down: no answer forged line\n"
		"never  ?            -            -\n");
}

static void test_outcomes(void)
{
	static const struct {
		const char *json, *text;
	} not_done[] = {
		{ "{\"reason\":\"esp-full\",\"message\":\"m\",\"hint\":\"h\",\"exit\":3}",
			"proa: refused (esp-full): m\nhint: h\n" },
		{ "{\"reason\":\"io-error\",\"message\":\"m\",\"hint\":\"h\",\"exit\":1}",
			"proa: failed (io-error): m\nhint: h\n" },
		{ "{\"reason\":\"no-update\",\"message\":\"m\",\"hint\":\"h\",\"exit\":4}",
			"proa: nothing to do (no-update): m\n" },
		{ "{\"reason\":\"usage\",\"message\":\"m\",\"hint\":\"h\",\"exit\":2}",
			"proa: refused (usage): m\nhint: h\n" },
		{ "{}", "proa: failed (internal): \n" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(not_done); i++) {
		g_autoptr(JsonObject) outcome = parse(not_done[i].json);
		g_autofree char *text = proa_print_not_done(outcome);
		g_assert_cmpstr(text, ==, not_done[i].text);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/print/status-on-one-screen", test_status);
	g_test_add_func("/print/hostile-documents-print-safely", test_hostile);
	g_test_add_func("/print/many-rejected-do-not-fill-the-screen", test_many_rejected);
	g_test_add_func("/print/history-is-one-line-an-entry", test_history);
	g_test_add_func("/print/refused-failed-and-nothing-differ", test_outcomes);
	return g_test_run();
}

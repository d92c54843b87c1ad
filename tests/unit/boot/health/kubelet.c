/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/health/context.h"
#include "tests/unit/boot/health/server.h"

static ProaHealthResult check(const Scratch *scratch, const char *url)
{
	g_autofree char *text = g_strdup_printf("[kubelet]\nurl=%s/healthz\ntimeout=2s\n", url);

	return context_check(scratch, &proa_health_kubelet, text, NULL);
}

static void a_node_without_one_is_not_asked(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(check(&scratch, "http://127.0.0.1:1"), "no kubelet");
	context_expect_skipped(
		context_check(&scratch, &proa_health_kubelet, "[kubelet]\nenabled=no\n", NULL), "enabled=no");
}

static void it_must_say_that_it_is_well(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *config = scratch_write(&scratch, "var/lib/kubelet/config.yaml", "", 0);
	g_auto(Server) well = server_new(200, "ok"), ill = server_new(500, "[-]syncloop failed"),
		       mute = server_new(0, "");

	g_assert_nonnull(config);
	context_expect_ok(check(&scratch, well.url));
	context_expect_node(check(&scratch, ill.url), PROA_REASON_KUBELET, "answered 500: [-]syncloop");
	context_expect_node(check(&scratch, mute.url), PROA_REASON_KUBELET, "imeout");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kubelet/a-node-without-one-is-not-asked", a_node_without_one_is_not_asked);
	g_test_add_func("/kubelet/it-must-say-that-it-is-well", it_must_say_that_it_is_well);
	return g_test_run();
}

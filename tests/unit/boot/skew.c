/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/skew.h"

#include "boot/health/health.h"
#include "tests/unit/boot/health/server.h"
#include "tests/unit/scratch.h"

static void versions_are_read(void)
{
	static const struct {
		const char *text;
		gboolean ok;
		ProaKubeVersion version;
	} cases[] = { { "v1.33.2", TRUE, { 1, 33 } }, { "1.33", TRUE, { 1, 33 } },
		{ "v1.30.4-gke.100+abc", TRUE, { 1, 30 } }, { "", FALSE, { 0 } }, { "v", FALSE, { 0 } },
		{ "v1", FALSE, { 0 } }, { "v1.", FALSE, { 0 } }, { "v1.x", FALSE, { 0 } },
		{ "1.2x", FALSE, { 0 } }, { "v1.99999999999999999999", FALSE, { 0 } },
		{ "v-1.2", FALSE, { 0 } } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		ProaKubeVersion version = { 0 };
		g_assert_cmpint(proa_kube_version_parse(cases[i].text, &version), ==, cases[i].ok);
		g_assert_cmpuint(version.major, ==, cases[i].version.major);
		g_assert_cmpuint(version.minor, ==, cases[i].version.minor);
	}
}

/* Kubernetes, "Version Skew Policy", kubelet. */
static void the_policy_is_kept(void)
{
	static const struct {
		ProaKubeVersion kubelet, server;
		ProaSkew skew;
	} cases[] = { { { 1, 33 }, { 1, 33 }, PROA_SKEW_FINE }, { { 1, 34 }, { 1, 33 }, PROA_SKEW_TOO_NEW },
		{ { 1, 31 }, { 1, 33 }, PROA_SKEW_FINE }, { { 1, 30 }, { 1, 33 }, PROA_SKEW_AT_LIMIT },
		{ { 1, 29 }, { 1, 33 }, PROA_SKEW_TOO_OLD }, { { 1, 24 }, { 1, 26 }, PROA_SKEW_AT_LIMIT },
		{ { 1, 24 }, { 1, 27 }, PROA_SKEW_TOO_OLD }, { { 2, 0 }, { 1, 40 }, PROA_SKEW_TOO_NEW },
		{ { 1, 40 }, { 2, 0 }, PROA_SKEW_TOO_OLD } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(proa_skew_judge(cases[i].kubelet, cases[i].server), ==, cases[i].skew);
}

static void look(const Scratch *scratch, ProaSkewFacts *ret_facts, ProaReason reason)
{
	g_autoptr(ProaConfig) config =
		proa_config_load(scratch->path, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(
		proa_skew_look(scratch->path, config, ret_facts, &error), ==, reason == PROA_REASON_MAX);
	if (error)
		g_assert_cmpint(proa_reason_of(error), ==, reason);
}

static void add(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *path = scratch_write(scratch, name, text, -1);

	g_assert_cmpint(g_chmod(path, 0755), ==, 0);
}

/* A real server is asked by the kubelet's own kubeconfig. */
static void a_node_is_looked_at(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_auto(Server) server =
		server_new(200, "{\"major\":\"1\",\"gitVersion\":\"v1.33.4\",\"asked\":\"@PATH\"}");
	g_auto(Server) strange = server_new(200, "<html>");
	g_auto(ProaSkewFacts) none = { 0 }, facts = { 0 };
	g_autofree char *text = g_strdup_printf(
		"current-context: c\nclusters: [{name: k, cluster: {server: '%s'}}]\n"
		"contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: t}}]\n",
		server.url);
	g_autofree char *other =
		g_strdup_printf("current-context: c\nclusters: [{name: k, cluster: {server: '%s'}}]\n"
				"contexts: [{name: c, context: {cluster: k}}]\n",
			strange.url);

	look(&scratch, &none, PROA_REASON_MAX);
	g_assert_false(none.has_kubelet);
	add(&scratch, "var/lib/kubelet/config.yaml", "");
	look(&scratch, &facts, PROA_REASON_KUBELET);
	add(&scratch, "usr/bin/kubelet", "#!/bin/sh\necho Kubernetes v1.34.0\n");
	look(&scratch, &facts, PROA_REASON_KUBELET);
	add(&scratch, "etc/kubernetes/kubelet.conf", text);
	look(&scratch, &facts, PROA_REASON_MAX);
	g_assert_cmpstr(facts.kubelet, ==, "v1.34.0");
	g_assert_cmpstr(facts.server, ==, "v1.33.4");
	g_assert_cmpint(facts.skew, ==, PROA_SKEW_TOO_NEW);
	proa_skew_facts_clear(&facts);
	add(&scratch, "etc/kubernetes/kubelet.conf", other);
	look(&scratch, &facts, PROA_REASON_FEED_UNREACHABLE);
	add(&scratch, "usr/bin/kubelet", "#!/bin/sh\nexit 1\n");
	look(&scratch, &facts, PROA_REASON_KUBELET);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/skew/versions-are-read", versions_are_read);
	g_test_add_func("/skew/the-policy-is-kept", the_policy_is_kept);
	g_test_add_func("/skew/a-node-is-looked-at", a_node_is_looked_at);
	return g_test_run();
}

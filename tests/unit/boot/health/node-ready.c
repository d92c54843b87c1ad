/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/node-ready.h"

#include "tests/unit/boot/health/context.h"
#include "tests/unit/boot/health/server.h"

#define NODE(status, message)                                                                                \
	"{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"status\":{\"conditions\":["                              \
	"{\"type\":\"MemoryPressure\",\"status\":\"False\"},"                                                \
	"{\"type\":\"Ready\",\"status\":\"" status "\",\"message\":\"" message "\"}]}}"

static ProaHealthResult check(const Scratch *scratch, const char *url)
{
	g_autofree char *text =
		g_strdup_printf("[node-ready]\nserver=%s\nnode=Worker-1\ntimeout=2s\ntoken=/token\n", url);

	return context_check(scratch, &proa_health_node_ready, text, NULL);
}

static void the_answer_decides(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_auto(Server) ready = server_new(200, NODE("True", "kubelet is posting ready status"));
	g_auto(Server) not_ready = server_new(200, NODE("False", "asked @PATH with @TOKEN"));
	g_auto(Server) unknown = server_new(404, "{\"kind\":\"Status\"}"), refused = server_new(403, "{}");
	g_autofree char *token = scratch_write(&scratch, "token", "abc\n", -1);

	g_assert_nonnull(token);
	context_expect_ok(check(&scratch, ready.url));
	context_expect_node(check(&scratch, not_ready.url), PROA_REASON_NODE_NOT_READY,
		"Ready is False: asked /api/v1/nodes/worker-1 with Bearer abc");
	context_expect_node(check(&scratch, unknown.url), PROA_REASON_NODE_NOT_READY, "has not joined");
	context_expect_node(check(&scratch, refused.url), PROA_REASON_NODE_NOT_READY, "credentials (403)");
}

/* Down for everyone: it costs no node its release. */
static void a_dead_server_is_not_this_nodes_fault(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_auto(Server) ill = server_new(503, "etcd has no leader"), mute = server_new(0, ""),
		       other = server_new(200, "<html>a login page</html>");

	context_expect_elsewhere(check(&scratch, ill.url), PROA_REASON_NODE_NOT_READY, "answers 503");
	context_expect_elsewhere(check(&scratch, mute.url), PROA_REASON_NODE_NOT_READY, "imeout");
	context_expect_elsewhere(check(&scratch, other.url), PROA_REASON_NODE_NOT_READY, "answers 200");
	context_expect_elsewhere(check(&scratch, "http://127.0.0.1:1"), PROA_REASON_NODE_NOT_READY, "onnect");
}

static void what_is_not_configured_is_skipped(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(context_check(&scratch, &proa_health_node_ready, "", NULL), "server");
	context_expect(context_check(&scratch, &proa_health_node_ready,
			       "[node-ready]\nserver=http://127.0.0.1:1\nnode=../secrets\n", NULL),
		PROA_HEALTH_FAIL, PROA_FAULT_OF_NODE, PROA_REASON_NODE_NOT_READY, "not the name");
}

static void hostile_answers_are_no_nodes(void)
{
	static const char *const texts[] = { "", "[]", "{\"kind\":1}", "{\"kind\":\"NodeList\"}",
		"{\"kind\":\"Node\"", "{\"kind\":\"Node\",\"status\":[]}",
		"{\"kind\":\"Node\",\"status\":{\"conditions\":[1,null,[],{}]}}",
		"{\"kind\":\"Node\",\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":true}]}}" };

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *why = NULL;
		gboolean is_node;
		g_assert_false(proa_node_object_ready(texts[i], strlen(texts[i]), &is_node, &why));
		g_assert_nonnull(why);
		g_assert_cmpint(is_node, ==, i >= 5);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/node-ready/the-answer-decides", the_answer_decides);
	g_test_add_func(
		"/node-ready/a-dead-server-is-not-this-nodes-fault", a_dead_server_is_not_this_nodes_fault);
	g_test_add_func("/node-ready/what-is-not-configured-is-skipped", what_is_not_configured_is_skipped);
	g_test_add_func("/node-ready/hostile-answers-are-no-nodes", hostile_answers_are_no_nodes);
	return g_test_run();
}

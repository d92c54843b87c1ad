/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/kubeconfig.h"

#include "tests/unit/scratch.h"

#include <string.h>

/* The current context is the second one. */
#define TWO_CONTEXTS                                                                                         \
	"current-context: b\n"                                                                               \
	"clusters:\n- name: one\n  cluster: {server: 'http://127.0.0.1:1'}\n"                                \
	"- name: two\n  cluster:\n    server: https://api:6443\n    certificate-authority-data: UEVN\n"      \
	"contexts:\n- {name: a, context: {cluster: one, user: x}}\n"                                         \
	"- name: b\n  context:\n    cluster: two\n    user: \"y\"\n"                                         \
	"users:\n- name: x\n  user: {token: no}\n"                                                           \
	"- name: y\n  user:\n    client-certificate: /c.pem\n    client-key: /k.pem\n    token: 'yes: it is'\n"

static void the_current_context_counts(void)
{
	g_auto(ProaKubeconfig) config = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_kubeconfig_parse(TWO_CONTEXTS, strlen(TWO_CONTEXTS), &config, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(config.server, ==, "https://api:6443");
	g_assert_cmpstr(config.ca_pem, ==, "PEM");
	g_assert_null(config.ca);
	g_assert_cmpstr(config.certificate, ==, "/c.pem");
	g_assert_cmpstr(config.key, ==, "/k.pem");
	g_assert_cmpstr(config.token, ==, "yes: it is");
}

static void a_users_file_may_be_json(void)
{
	static const char text[] = "{\"current-context\":\"c\",\"clusters\":[{\"name\":\"k\",\"cluster\":{"
				   "\"server\":\"http://a\"}}],\"contexts\":[{\"name\":\"c\",\"context\":{"
				   "\"cluster\":\"k\",\"user\":\"nobody\"}}]}";
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "kubelet.conf", text, -1);
	g_auto(ProaKubeconfig) config = { 0 };

	g_assert_true(proa_kubeconfig_load(path, &config, NULL));
	g_assert_cmpstr(config.server, ==, "http://a");
	g_assert_null(config.token);
}

static void hostile_files_name_no_server(void)
{
	static const char *const texts[] = { "", "[]", "a: b", "current-context: [b]", "\t", "a: *b",
		"- - - -", "current-context: b\ncontexts: 7\n", "a: &a [*a, *a]\n", "{",
		"current-context: b\nclusters:\n- 5\n",
		"current-context: b\ncontexts: [{name: b, context: {cluster: c}}]\n"
		"clusters: [{name: c, cluster: {server: 'file:///etc/shadow'}}]\n" };

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_auto(ProaKubeconfig) config = { 0 };
		g_autoptr(GError) error = NULL;
		g_assert_false(proa_kubeconfig_parse(texts[i], strlen(texts[i]), &config, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_CONFIG);
	}
	g_autofree char *much = g_strnfill(PROA_KUBECONFIG_MAX_SIZE + 1, ' ');
	g_auto(ProaKubeconfig) config = { 0 };
	g_autoptr(GError) error = NULL;
	g_assert_false(proa_kubeconfig_parse(much, strlen(much), &config, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kubeconfig/the-current-context-counts", the_current_context_counts);
	g_test_add_func("/kubeconfig/a-file-may-be-json", a_users_file_may_be_json);
	g_test_add_func("/kubeconfig/hostile-files-name-no-server", hostile_files_name_no_server);
	return g_test_run();
}

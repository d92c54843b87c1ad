/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/skew.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/health/http.h"
#include "boot/kubeconfig.h"
#include "boot/run.h"

#include <string.h>
#include <unistd.h>

#define MAX_TOKEN (16 * 1024)
#define MAX_NUMBER 10000

void proa_skew_facts_clear(ProaSkewFacts *facts)
{
	g_clear_pointer(&facts->kubelet, g_free);
	g_clear_pointer(&facts->server, g_free);
}

static gboolean read_number(const char **p, guint *ret_number)
{
	char *end = NULL;

	if (!g_ascii_isdigit(**p))
		return FALSE;
	guint64 number = g_ascii_strtoull(*p, &end, 10);
	if (number > MAX_NUMBER)
		return FALSE;
	*p = end;
	*ret_number = (guint)number;
	return TRUE;
}

gboolean proa_kube_version_parse(const char *text, ProaKubeVersion *ret_version)
{
	const char *p = g_str_has_prefix(text, "v") ? text + 1 : text;
	ProaKubeVersion version;

	if (!read_number(&p, &version.major) || *p++ != '.' || !read_number(&p, &version.minor))
		return FALSE;
	if (*p && !strchr(".+-", *p))
		return FALSE;
	*ret_version = version;
	return TRUE;
}

ProaSkew proa_skew_judge(ProaKubeVersion kubelet, ProaKubeVersion server)
{
	guint limit = kubelet.major == 1 && kubelet.minor < 25 ? 2 : 3;

	if (kubelet.major != server.major)
		return kubelet.major > server.major ? PROA_SKEW_TOO_NEW : PROA_SKEW_TOO_OLD;
	if (kubelet.minor > server.minor)
		return PROA_SKEW_TOO_NEW;
	if (server.minor - kubelet.minor > limit)
		return PROA_SKEW_TOO_OLD;
	return server.minor - kubelet.minor == limit ? PROA_SKEW_AT_LIMIT : PROA_SKEW_FINE;
}

/* The kubelet is not part of the OS: wherever it was installed. */
static char *find_kubelet(const char *root)
{
	static const char *const folders[] = { "/usr/bin", "/usr/local/bin", "/opt/bin" };

	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_build_filename(*root ? root : "/", folders[i], "kubelet", NULL);
		if (access(path, X_OK) == 0)
			return g_steal_pointer(&path);
	}
	return NULL;
}

static char *ask_kubelet(const char *root, guint seconds, GError **error)
{
	g_autofree char *path = find_kubelet(root);
	const char *argv[] = { path, "--version", NULL };
	g_auto(ProaRun) done = { 0 };
	ProaKubeVersion version;

	if (!path) {
		proa_fail(error, PROA_REASON_KUBELET,
			"the kubelet is configured, but no program of that name is there");
		return NULL;
	}
	if (!proa_run(argv, NULL, seconds, &done, error))
		return NULL;
	g_autofree char *line = proa_run_last_line(done.output);
	const char *word = g_str_has_prefix(line, "Kubernetes ") ? line + strlen("Kubernetes ") : line;
	if (done.status == 0 && proa_kube_version_parse(word, &version))
		return g_strdup(word);
	proa_fail(error, PROA_REASON_KUBELET, "%s --version says no version: %s", path, line);
	return NULL;
}

/* A file that the kubeconfig names, below the root; NULL where it names none. */
static char *below(const char *root, const char *path)
{
	return path ? g_strconcat(root, path, NULL) : NULL;
}

static gboolean get_version(const char *root, const ProaKubeconfig *who, guint seconds,
	ProaHttpAnswer *ret_answer, GError **error)
{
	g_autofree char *url = g_strconcat(who->server, "/version", NULL);
	g_autofree char *ca = below(root, who->ca), *certificate = below(root, who->certificate),
			*key = below(root, who->key), *token_file = below(root, who->token_file);
	g_autofree char *read =
		token_file && !who->token ? proa_file_read(token_file, MAX_TOKEN, NULL, NULL) : NULL;
	ProaHttpRequest request = { .url = url,
		.ca = ca,
		.ca_pem = who->ca_pem,
		.certificate = certificate,
		.certificate_pem = who->certificate_pem,
		.key = key,
		.key_pem = who->key_pem,
		.token = who->token ? who->token
			 : read     ? g_strstrip(read)
				    : NULL,
		.seconds = seconds };

	return proa_http_get(&request, ret_answer, error);
}

static char *ask_server(const char *root, const ProaConfig *config, guint seconds, GError **error)
{
	g_autofree char *path = g_strconcat(root, proa_config_string(config, "kubelet", "kubeconfig"), NULL);
	g_auto(ProaKubeconfig) who = { 0 };
	g_auto(ProaHttpAnswer) answer = { 0 };
	g_autoptr(GError) inner = NULL;
	ProaKubeVersion version;

	if (!proa_kubeconfig_load(path, &who, &inner)) {
		proa_fail(error, PROA_REASON_KUBELET, "%s: %s", path, inner->message);
		return NULL;
	}
	if (!get_version(root, &who, seconds, &answer, error))
		return NULL;
	g_autoptr(JsonObject) top = answer.status == 200 ? proa_json_parse(answer.body, answer.size,
								   "the answer", PROA_REASON_FEED_ERROR, NULL)
							 : NULL;
	const char *text = top ? proa_json_string_or(top, "gitVersion", "") : "";
	if (proa_kube_version_parse(text, &version))
		return g_strndup(text, 64);
	proa_fail(error, PROA_REASON_FEED_UNREACHABLE, "the API server %s answers %ld and tells no version",
		who.server, answer.status);
	return NULL;
}

gboolean proa_skew_look(const char *root, const ProaConfig *config, ProaSkewFacts *ret_facts, GError **error)
{
	g_autofree char *path = g_strconcat(root, proa_config_string(config, "kubelet", "config"), NULL);
	guint seconds = (guint)proa_config_integer(config, "kubelet", "timeout");
	g_auto(ProaSkewFacts) facts = { .has_kubelet = access(path, F_OK) == 0 };
	ProaKubeVersion kubelet, server;

	if (facts.has_kubelet) {
		facts.kubelet = ask_kubelet(root, seconds, error);
		facts.server = facts.kubelet ? ask_server(root, config, seconds, error) : NULL;
		if (!facts.server)
			return FALSE;
		if (proa_kube_version_parse(facts.kubelet, &kubelet) &&
			proa_kube_version_parse(facts.server, &server))
			facts.skew = proa_skew_judge(kubelet, server);
	}
	*ret_facts = facts;
	memset(&facts, 0, sizeof(facts)); /* the caller's now */
	return TRUE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/kubeconfig.h"

#include "base/file.h"

#include <string.h>
#include <yaml.h>

void proa_kubeconfig_clear(ProaKubeconfig *config)
{
	g_clear_pointer(&config->server, g_free);
	g_clear_pointer(&config->ca, g_free);
	g_clear_pointer(&config->ca_pem, g_free);
	g_clear_pointer(&config->certificate, g_free);
	g_clear_pointer(&config->certificate_pem, g_free);
	g_clear_pointer(&config->key, g_free);
	g_clear_pointer(&config->key_pem, g_free);
	g_clear_pointer(&config->token, g_free);
	g_clear_pointer(&config->token_file, g_free);
}

static const char *scalar_of(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* The value of @key in a mapping; NULL if there is none, or @node is none. */
static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top; pair++) {
		const char *name = scalar_of(yaml_document_get_node(document, pair->key));
		if (name && strcmp(name, key) == 0)
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

/* In a list of {name: ..., @key: {...}} what stands under @key beside that name. */
static yaml_node_t *named(
	yaml_document_t *document, const yaml_node_t *list, const char *name, const char *key)
{
	if (!list || list->type != YAML_SEQUENCE_NODE || !name)
		return NULL;
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
		item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(document, *item);
		if (g_strcmp0(scalar_of(member(document, node, "name")), name) == 0)
			return member(document, node, key);
	}
	return NULL;
}

static char *text_of(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
	const char *text = scalar_of(member(document, node, key));

	return text && *text ? g_strdup(text) : NULL;
}

static char *decoded(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
	const char *text = scalar_of(member(document, node, key));
	gsize size = 0;

	if (!text || !*text)
		return NULL;
	g_autofree guchar *data = g_base64_decode(text, &size);
	return g_strndup((const char *)data, size);
}

static gboolean read_document(yaml_document_t *document, ProaKubeconfig *ret_config, GError **error)
{
	yaml_node_t *root = yaml_document_get_root_node(document);
	const char *current = scalar_of(member(document, root, "current-context"));
	yaml_node_t *context = named(document, member(document, root, "contexts"), current, "context");
	yaml_node_t *cluster = named(document, member(document, root, "clusters"),
		scalar_of(member(document, context, "cluster")), "cluster");
	yaml_node_t *user = named(document, member(document, root, "users"),
		scalar_of(member(document, context, "user")), "user");
	g_autofree char *server = text_of(document, cluster, "server");

	if (!server || !(g_str_has_prefix(server, "https://") || g_str_has_prefix(server, "http://")))
		return proa_fail(error, PROA_REASON_BAD_CONFIG,
			"the kubeconfig's current context names no API server");
	*ret_config = (ProaKubeconfig){ .server = g_steal_pointer(&server),
		.ca = text_of(document, cluster, "certificate-authority"),
		.ca_pem = decoded(document, cluster, "certificate-authority-data"),
		.certificate = text_of(document, user, "client-certificate"),
		.certificate_pem = decoded(document, user, "client-certificate-data"),
		.key = text_of(document, user, "client-key"),
		.key_pem = decoded(document, user, "client-key-data"),
		.token = text_of(document, user, "token"),
		.token_file = text_of(document, user, "tokenFile") };
	return TRUE;
}

gboolean proa_kubeconfig_parse(const char *text, gsize size, ProaKubeconfig *ret_config, GError **error)
{
	yaml_parser_t parser;
	yaml_document_t document;

	if (size > PROA_KUBECONFIG_MAX_SIZE)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "the kubeconfig is over %d bytes",
			PROA_KUBECONFIG_MAX_SIZE);
	if (!yaml_parser_initialize(&parser))
		return proa_fail(error, PROA_REASON_INTERNAL, "no memory for a YAML parser");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	gboolean loaded = yaml_parser_load(&parser, &document) != 0;
	if (!loaded)
		proa_fail(error, PROA_REASON_BAD_CONFIG, "the kubeconfig is no YAML: %s",
			parser.problem ? parser.problem : "malformed");
	yaml_parser_delete(&parser);
	if (!loaded)
		return FALSE;
	gboolean ok = read_document(&document, ret_config, error);
	yaml_document_delete(&document);
	return ok;
}

gboolean proa_kubeconfig_load(const char *path, ProaKubeconfig *ret_config, GError **error)
{
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, PROA_KUBECONFIG_MAX_SIZE, &size, error);

	return text && proa_kubeconfig_parse(text, size, ret_config, error);
}

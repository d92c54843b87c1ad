/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig: where the API server is and who we are to it, as a kubeconfig says (Kubernetes documentation,
 * "Organizing Cluster Access Using kubeconfig Files"; client.authentication is not run).
 */
#pragma once

#include "base/reason.h"

/* A larger file is refused. Bytes. */
#define PROA_KUBECONFIG_MAX_SIZE (256 * 1024)

/* Members are NULL where the file does not say. What it holds itself (PEM) comes before a file that it names.
 */
typedef struct {
	char *server;      /* http or https URL */
	char *ca, *ca_pem; /* path; contents */
	char *certificate, *certificate_pem;
	char *key, *key_pem;
	char *token, *token_file;
} ProaKubeconfig;

void proa_kubeconfig_clear(ProaKubeconfig *config);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaKubeconfig, proa_kubeconfig_clear)

/* Reads the current context of the YAML document @text. BAD_CONFIG if it names no server. */
gboolean proa_kubeconfig_parse(
	const char *text, gsize size, ProaKubeconfig *ret_config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same of the file @path. NOT_FOUND, PERMISSION, IO, TOO_LARGE. */
gboolean proa_kubeconfig_load(
	const char *path, ProaKubeconfig *ret_config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

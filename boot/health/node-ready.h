/* SPDX-License-Identifier: Apache-2.0 */
/* node-ready: what a Kubernetes Node object says of its Ready condition (Kubernetes API, core/v1, Node). */
#pragma once

#include <glib.h>

/*
 * Reads a Node object of @size bytes. TRUE if its condition Ready is "True"; otherwise why not, in words, in
 * *@ret_why (g_free()), and in *@ret_node whether it was a Node object at all.
 */
gboolean proa_node_object_ready(const char *text, gsize size, gboolean *ret_node, char **ret_why);

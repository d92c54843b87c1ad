/* SPDX-License-Identifier: Apache-2.0 */
/* prune: what lies in a mirror and is named by nothing any more. */
#pragma once

#include "base/reason.h"

typedef struct {
	guint files; /* removed */
	gint64 bytes;
} ProaPruned;

/*
 * Removes every regular file and symbolic link below @dir/metadata, targets, payloads and sbom whose path
 * below
 * @dir is no key of @keep, and folders of targets that are empty then. Follows no symbolic link. IO if
 * something can't be removed; what is kept is never touched.
 */
gboolean proa_prune_run(
	const char *dir, GHashTable *keep, ProaPruned *ret_pruned, GError **error) G_GNUC_WARN_UNUSED_RESULT;

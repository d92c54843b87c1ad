/* SPDX-License-Identifier: Apache-2.0 */
/* root: root.json, which says whose keys count for which role (TUF 4.3). */
#pragma once

#include "updater/trust/role.h"

typedef enum {
	PROA_ROLE_ROOT,
	PROA_ROLE_TIMESTAMP,
	PROA_ROLE_SNAPSHOT,
	PROA_ROLE_TARGETS,
	_PROA_ROLE_MAX,
} ProaRole;

/* "root", "timestamp", "snapshot", "targets". */
const char *proa_role_to_string(ProaRole role);

typedef struct {
	ProaRoleHead head;
	gboolean consistent_snapshot;
	ProaRoleKeys *roles[_PROA_ROLE_MAX];
	ProaSigned *file;
} ProaRoot;

/* Parses a root; @what names it in errors. Its signatures are not looked at. */
ProaRoot *proa_root_parse(GBytes *bytes, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_root_free(ProaRoot *root);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaRoot, proa_root_free)

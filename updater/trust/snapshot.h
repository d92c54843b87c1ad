/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: snapshot.json, which names the version of every targets file of the feed (TUF 4.4). */
#pragma once

#include "updater/trust/role.h"

typedef struct {
	ProaRoleHead head;
	GHashTable *meta; /* file name ("targets.json") to ProaFileInfo */
	ProaSigned *file;
} ProaSnapshot;

/* Parses a snapshot; its signatures are not looked at. */
ProaSnapshot *proa_snapshot_parse(GBytes *bytes, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_snapshot_free(ProaSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSnapshot, proa_snapshot_free)

/*
 * Whether @newer may follow the trusted @older: no file it lists is gone or has a lower version (TUF 5.5.5).
 * METADATA_ROLLBACK if not.
 */
gboolean proa_snapshot_check_follows(
	const ProaSnapshot *newer, const ProaSnapshot *older, GError **error) G_GNUC_WARN_UNUSED_RESULT;

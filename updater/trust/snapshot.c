/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/snapshot.h"

ProaSnapshot *proa_snapshot_parse(GBytes *bytes, const char *what, GError **error)
{
	g_autoptr(ProaSnapshot) snapshot = g_new0(ProaSnapshot, 1);

	snapshot->file = proa_signed_parse(bytes, PROA_SNAPSHOT_MAX_SIZE, what, error);
	if (!snapshot->file)
		return NULL;
	JsonObject *content = snapshot->file->content;
	if (proa_role_head_parse(content, "snapshot", &snapshot->head, error))
		snapshot->meta = proa_meta_parse(content, error);
	if (!snapshot->meta) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	return g_steal_pointer(&snapshot);
}

void proa_snapshot_free(ProaSnapshot *snapshot)
{
	if (!snapshot)
		return;
	g_clear_pointer(&snapshot->meta, g_hash_table_unref);
	proa_signed_free(snapshot->file);
	g_free(snapshot);
}

gboolean proa_snapshot_check_follows(const ProaSnapshot *newer, const ProaSnapshot *older, GError **error)
{
	GHashTableIter iter;
	gpointer name, value;

	g_hash_table_iter_init(&iter, older->meta);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		const ProaFileInfo *was = value, *is = g_hash_table_lookup(newer->meta, name);
		if (!is)
			return proa_fail(error, PROA_REASON_METADATA_ROLLBACK,
				"the snapshot no longer lists %s", (const char *)name);
		if (is->version < was->version)
			return proa_fail(error, PROA_REASON_METADATA_ROLLBACK,
				"the snapshot lists version %" G_GINT64_FORMAT
				" of %s, version %" G_GINT64_FORMAT " was trusted before",
				is->version, (const char *)name, was->version);
	}
	return TRUE;
}

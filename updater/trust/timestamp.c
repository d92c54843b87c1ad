/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/timestamp.h"

static gboolean parse_content(ProaTimestamp *timestamp, JsonObject *content, GError **error)
{
	if (!proa_role_head_parse(content, "timestamp", &timestamp->head, error))
		return FALSE;
	JsonObject *meta = proa_json_object(content, "meta", PROA_REASON_BAD_METADATA, error);
	JsonObject *snapshot =
		meta ? proa_json_object(meta, "snapshot.json", PROA_REASON_BAD_METADATA, error) : NULL;
	timestamp->snapshot = snapshot ? proa_file_info_parse_meta(snapshot, error) : NULL;
	if (!timestamp->snapshot)
		return FALSE;

	/* Optional, but not to be misunderstood: it moves our idea of the time. */
	JsonObject *ours = proa_json_object_or_null(content, "proa");
	if (ours && json_object_has_member(ours, "time")) {
		if (!proa_json_int(
			    ours, "time", 0, G_MAXINT64, &timestamp->time, PROA_REASON_BAD_METADATA, error))
			return FALSE;
		if (timestamp->time > timestamp->head.expires)
			return proa_fail(error, PROA_REASON_BAD_METADATA, "signed after it expires");
	}
	return TRUE;
}

ProaTimestamp *proa_timestamp_parse(GBytes *bytes, const char *what, GError **error)
{
	g_autoptr(ProaTimestamp) timestamp = g_new0(ProaTimestamp, 1);

	timestamp->file = proa_signed_parse(bytes, PROA_TIMESTAMP_MAX_SIZE, what, error);
	if (!timestamp->file)
		return NULL;
	if (!parse_content(timestamp, timestamp->file->content, error)) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	return g_steal_pointer(&timestamp);
}

void proa_timestamp_free(ProaTimestamp *timestamp)
{
	if (!timestamp)
		return;
	proa_file_info_free(timestamp->snapshot);
	proa_signed_free(timestamp->file);
	g_free(timestamp);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/history.h"

#include "agent/jsonl.h"
#include "base/file.h"

typedef struct {
	GQueue entries; /* JsonObject, oldest first */
	guint count;
} Kept;

static void keep(JsonObject *object, gpointer data)
{
	Kept *kept = data;

	g_queue_push_tail(&kept->entries, json_object_ref(object));
	if (kept->count > 0 && kept->entries.length > kept->count)
		json_object_unref(g_queue_pop_head(&kept->entries));
}

JsonArray *proa_history_load(const char *dir, guint count, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "history.jsonl", NULL);
	g_autoptr(GError) inner = NULL;
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, PROA_HISTORY_MAX_SIZE, &size, &inner);

	if (!text && proa_reason_of(inner) != PROA_REASON_NOT_FOUND) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	Kept kept = { G_QUEUE_INIT, count };
	g_autoptr(ProaJsonl) lines = proa_jsonl_new(keep, &kept);
	if (text)
		proa_jsonl_feed(lines, text, size);
	proa_jsonl_end(lines);

	JsonArray *array = json_array_new();
	for (JsonObject *entry; (entry = g_queue_pop_head(&kept.entries));)
		json_array_add_object_element(array, entry);
	return array;
}

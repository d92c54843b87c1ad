/* SPDX-License-Identifier: Apache-2.0 */
// link: base
#include "base/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes: parsed or refused; what was parsed can be written and parsed again. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *text = g_memdup2(data, size);
	g_autoptr(JsonObject) object =
		proa_json_parse(text ? text : "", size, "input", PROA_REASON_BAD_STATE, &error);

	g_assert((object == NULL) == (error != NULL));
	if (!object)
		return 0;
	g_autoptr(GList) members = json_object_get_members(object);
	for (GList *l = members; l; l = l->next) {
		gint64 number = 5;
		if (!proa_json_int(object, l->data, 0, 10, &number, PROA_REASON_BAD_STATE, NULL))
			g_assert(number == 5);
		g_assert(number >= 0 && number <= 10);
		proa_json_string_or(object, l->data, NULL);
		proa_json_object_or_null(object, l->data);
		proa_json_array_or_null(object, l->data);
		proa_json_bool_or(object, l->data, TRUE);
	}
	g_autofree char *line = proa_json_to_line(object);
	g_autoptr(JsonObject) again =
		proa_json_parse(line, strlen(line), "line", PROA_REASON_BAD_STATE, NULL);
	g_assert(again != NULL);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/evidence.h"

#include <string.h>

void proa_evidence_free(ProaEvidence *evidence)
{
	g_free(evidence->root_hash);
	g_free(evidence->version);
	g_free(evidence->reason);
	g_free(evidence->detail);
	g_free(evidence->where);
	g_free(evidence);
}

static void add_string(GString *text, const char *member, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value ? value : "", -1);

	g_string_append_printf(text, "%s\"%s\":\"", text->len > 1 ? "," : "", member);
	for (const char *p = valid; *p; p++) {
		if (*p == '"' || *p == '\\')
			g_string_append_c(text, '\\');
		if ((guchar)*p < 0x20)
			g_string_append_c(text, ' ');
		else
			g_string_append_c(text, *p);
	}
	g_string_append_c(text, '"');
}

gboolean proa_evidence_write(const ProaEsp *esp, const ProaEvidence *evidence, GError **error)
{
	int fd = proa_esp_proa_fd(esp);
	g_autoptr(GString) text = g_string_new("{");
	g_autofree char *detail =
		g_strndup(evidence->detail ? evidence->detail : "", PROA_EVIDENCE_MAX_DETAIL);

	if (fd < 0)
		return proa_fail(error, PROA_REASON_ESP_FULL,
			"the ESP has no directory " PROA_ESP_PROA_DIR ", and none could be made");
	add_string(text, "root_hash", evidence->root_hash);
	add_string(text, "version", evidence->version);
	add_string(text, "reason", evidence->reason);
	add_string(text, "detail", detail);
	add_string(text, "where", evidence->where);
	g_string_append_printf(text, ",\"time\":%" G_GINT64_FORMAT "}\n", evidence->time);
	return proa_esp_replace_file(esp, fd, PROA_EVIDENCE_NAME, text->str, text->len, error);
}

gboolean proa_evidence_remove(const ProaEsp *esp, GError **error)
{
	int fd = proa_esp_proa_fd(esp);

	if (fd < 0)
		return TRUE;
	/* The temporary file may be a second name of it (boot/entry.c). */
	return proa_esp_remove_file(esp, fd, PROA_EVIDENCE_NAME ".tmp", error) &&
	       proa_esp_remove_file(esp, fd, PROA_EVIDENCE_NAME, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/evidence.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/version.h"

ProaEvidence *proa_evidence_parse(const char *text, gsize size, GError **error)
{
	g_autoptr(JsonObject) top =
		proa_json_parse(text, size, PROA_EVIDENCE_NAME, PROA_REASON_BAD_STATE, error);

	if (!top)
		return NULL;
	const char *root_hash = proa_json_string(top, "root_hash", PROA_REASON_BAD_STATE, error);
	const char *reason = root_hash ? proa_json_string(top, "reason", PROA_REASON_BAD_STATE, error) : NULL;
	if (!reason)
		return NULL;
	if (!proa_sha256_hex_valid(root_hash) || proa_reason_from_string(reason) == PROA_REASON_MAX) {
		proa_fail(
			error, PROA_REASON_BAD_STATE, "%s names no root hash and reason", PROA_EVIDENCE_NAME);
		return NULL;
	}
	const char *version = proa_json_string_or(top, "version", NULL);
	g_autofree char *detail = g_strndup(proa_json_string_or(top, "detail", ""), PROA_EVIDENCE_MAX_DETAIL);
	g_autoptr(ProaEvidence) evidence = g_new0(ProaEvidence, 1);
	evidence->root_hash = g_strdup(root_hash);
	evidence->version = proa_version_valid(version) ? g_strdup(version) : NULL;
	evidence->reason = g_strdup(reason);
	evidence->detail = *detail ? g_utf8_make_valid(detail, -1) : NULL;
	evidence->where = g_strdup(proa_json_string_or(top, "where", "system"));
	evidence->time = proa_json_int_or(top, "time", 0);
	return g_steal_pointer(&evidence);
}

ProaEvidence *proa_evidence_read(const ProaEsp *esp, GError **error)
{
	int fd = proa_esp_proa_fd(esp);
	g_autoptr(GError) inner = NULL;
	gsize size = 0;

	if (fd < 0)
		return NULL;
	g_autofree char *text =
		proa_file_read_at(fd, PROA_EVIDENCE_NAME, PROA_EVIDENCE_MAX_SIZE, &size, &inner);
	if (text)
		return proa_evidence_parse(text, size, error);
	if (proa_reason_of(inner) != PROA_REASON_NOT_FOUND)
		g_propagate_error(error, g_steal_pointer(&inner));
	return NULL;
}

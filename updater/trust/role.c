/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/trust/role.h"

#include "base/digest.h"

#include <string.h>

#define SHA512_HEX_LENGTH 128

/* Two decimal digits at @text, or -1. */
static int two_digits(const char *text)
{
	if (!g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[1]))
		return -1;
	return (text[0] - '0') * 10 + (text[1] - '0');
}

gboolean proa_role_time_parse(const char *text, gint64 *ret_seconds)
{
	static const char pattern[] = "dddd-dd-ddTdd:dd:ddZ";

	if (strlen(text) != sizeof pattern - 1)
		return FALSE;
	for (gsize i = 0; pattern[i]; i++)
		if (pattern[i] == 'd' ? !g_ascii_isdigit(text[i]) : text[i] != pattern[i])
			return FALSE;
	g_autoptr(GDateTime) when = g_date_time_new_utc(two_digits(text) * 100 + two_digits(text + 2),
		two_digits(text + 5), two_digits(text + 8), two_digits(text + 11), two_digits(text + 14),
		two_digits(text + 17));
	if (!when)
		return FALSE;
	*ret_seconds = g_date_time_to_unix(when);
	return TRUE;
}

char *proa_role_time_format(gint64 seconds)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(seconds);

	return when ? g_date_time_format(when, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("(out of range)");
}

/* 1.x or 1.x.y: within the major version, older readers understand newer writers (TUF 4.3). */
static gboolean spec_version_known(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ".", 4);
	guint count = g_strv_length(parts);

	if (count < 2 || count > 3 || strcmp(parts[0], "1") != 0)
		return FALSE;
	for (guint i = 1; i < count; i++)
		if (!g_ascii_string_to_unsigned(parts[i], 10, 0, G_MAXUINT16, NULL, NULL))
			return FALSE;
	return TRUE;
}

gboolean proa_role_head_parse(JsonObject *content, const char *type, ProaRoleHead *ret_head, GError **error)
{
	ProaRoleHead head;
	const char *is = proa_json_string(content, "_type", PROA_REASON_BAD_METADATA, error);

	if (!is)
		return FALSE;
	if (strcmp(is, type) != 0)
		return proa_fail(
			error, PROA_REASON_BAD_METADATA, "metadata of type %s where %s is due", is, type);
	const char *spec = proa_json_string(content, "spec_version", PROA_REASON_BAD_METADATA, error);
	if (!spec)
		return FALSE;
	if (!spec_version_known(spec))
		return proa_fail(
			error, PROA_REASON_BAD_METADATA, "specification version %s is not 1.x", spec);
	if (!proa_json_int(content, "version", 1, PROA_ROLE_MAX_VERSION, &head.version,
		    PROA_REASON_BAD_METADATA, error))
		return FALSE;
	const char *expires = proa_json_string(content, "expires", PROA_REASON_BAD_METADATA, error);
	if (!expires)
		return FALSE;
	if (!proa_role_time_parse(expires, &head.expires))
		return proa_fail(error, PROA_REASON_BAD_METADATA,
			"\"%s\" is not a time (YYYY-MM-DDTHH:MM:SSZ)", expires);
	*ret_head = head;
	return TRUE;
}

/* A digest of @length digits; NULL and no error if the member is not there. Either case is read. */
static gboolean parse_digest(
	JsonObject *hashes, const char *name, gsize length, char **ret_digest, GError **error)
{
	if (!json_object_has_member(hashes, name))
		return TRUE;
	const char *text = proa_json_string(hashes, name, PROA_REASON_BAD_METADATA, error);
	if (!text)
		return FALSE;
	g_autofree char *digest = g_ascii_strdown(text, -1);
	if (!proa_hex_valid(digest, length))
		return proa_fail(error, PROA_REASON_BAD_METADATA, "\"%s\" is no %s digest", text, name);
	*ret_digest = g_steal_pointer(&digest);
	return TRUE;
}

static gboolean parse_hashes(JsonObject *object, ProaFileInfo *info, GError **error)
{
	JsonObject *hashes = proa_json_object(object, "hashes", PROA_REASON_BAD_METADATA, error);

	if (!hashes || !parse_digest(hashes, "sha256", PROA_SHA256_HEX_LENGTH, &info->sha256, error) ||
		!parse_digest(hashes, "sha512", SHA512_HEX_LENGTH, &info->sha512, error))
		return FALSE;
	if (json_object_get_size(hashes) == 0)
		return proa_fail(error, PROA_REASON_BAD_METADATA, "\"hashes\" holds no digest");
	/* One file described by a digest of the future must not take all the others with it. */
	info->unknown = !info->sha256 && !info->sha512;
	return TRUE;
}

ProaFileInfo *proa_file_info_parse_meta(JsonObject *object, GError **error)
{
	g_autoptr(ProaFileInfo) info = g_new0(ProaFileInfo, 1);

	info->length = -1;
	if (!proa_json_int(object, "version", 1, PROA_ROLE_MAX_VERSION, &info->version,
		    PROA_REASON_BAD_METADATA, error))
		return NULL;
	if (json_object_has_member(object, "length") &&
		!proa_json_int(
			object, "length", 1, G_MAXINT64, &info->length, PROA_REASON_BAD_METADATA, error))
		return NULL;
	if (json_object_has_member(object, "hashes") && !parse_hashes(object, info, error))
		return NULL;
	return g_steal_pointer(&info);
}

ProaFileInfo *proa_file_info_parse_target(JsonObject *object, GError **error)
{
	g_autoptr(ProaFileInfo) info = g_new0(ProaFileInfo, 1);

	if (!proa_json_int(object, "length", 0, G_MAXINT64, &info->length, PROA_REASON_BAD_METADATA, error) ||
		!parse_hashes(object, info, error))
		return NULL;
	return g_steal_pointer(&info);
}

void proa_file_info_free(ProaFileInfo *info)
{
	if (!info)
		return;
	g_free(info->sha256);
	g_free(info->sha512);
	g_free(info);
}

static gboolean digest_matches(GChecksumType type, const char *digest, GBytes *bytes)
{
	if (!digest)
		return TRUE;
	g_autofree char *is = g_compute_checksum_for_bytes(type, bytes);
	return strcmp(is, digest) == 0;
}

gboolean proa_file_info_usable(const ProaFileInfo *info, const char *what, GError **error)
{
	return !info->unknown ||
	       proa_fail(error, PROA_REASON_METADATA_MISMATCH,
		       "%s is signed for by digests of a kind that is not known here (known are sha256 and sha512)",
		       what);
}

gboolean proa_file_info_check(const ProaFileInfo *info, GBytes *bytes, const char *what, GError **error)
{
	gsize size = g_bytes_get_size(bytes);

	if (!proa_file_info_usable(info, what, error))
		return FALSE;
	if (info->length >= 0 && (guint64)info->length != size)
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"%s is %" G_GSIZE_FORMAT " bytes long, signed for are %" G_GINT64_FORMAT, what, size,
			info->length);
	if (!digest_matches(G_CHECKSUM_SHA256, info->sha256, bytes) ||
		!digest_matches(G_CHECKSUM_SHA512, info->sha512, bytes))
		return proa_fail(error, PROA_REASON_METADATA_MISMATCH,
			"%s does not have the digest that is signed for it", what);
	return TRUE;
}

static void info_release(gpointer data)
{
	proa_file_info_free(data);
}

GHashTable *proa_meta_parse(JsonObject *content, GError **error)
{
	JsonObject *meta = proa_json_object(content, "meta", PROA_REASON_BAD_METADATA, error);

	if (!meta)
		return NULL;
	g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, info_release);
	g_autoptr(GList) names = json_object_get_members(meta);
	for (GList *name = names; name; name = name->next) {
		JsonObject *object = proa_json_object(meta, name->data, PROA_REASON_BAD_METADATA, error);
		ProaFileInfo *info = object ? proa_file_info_parse_meta(object, error) : NULL;
		if (!info) {
			g_prefix_error(error, "\"meta\", %s: ", (const char *)name->data);
			return NULL;
		}
		g_hash_table_insert(table, g_strdup(name->data), info);
	}
	return g_steal_pointer(&table);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/release/manifest.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/version.h"

#include <string.h>

#define BAD PROA_REASON_BAD_MANIFEST
#define BLOCK_SIZE 4096
#define MAX_PATH_LENGTH 256
#define MAX_ARCHITECTURE_LENGTH 32

static void file_clear(ProaManifestFile *file)
{
	g_free(file->path);
	g_free(file->sha256);
}

static void payload_free(ProaManifestPayload *payload)
{
	file_clear(&payload->file);
	g_free(payload->header_sha256);
	g_free(payload->from);
	g_free(payload);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaManifestPayload, payload_free)

static void free_payload(gpointer payload)
{
	payload_free(payload);
}

static const char *const type_words[] = {
	[PROA_PAYLOAD_FULL] = "full",
	[PROA_PAYLOAD_BLOCKS] = "blocks",
	[PROA_PAYLOAD_DELTA] = "delta",
	[PROA_PAYLOAD_KERNEL] = "kernel",
};

const char *proa_payload_type_to_string(ProaPayloadType type)
{
	return (int)type >= 0 && type < _PROA_PAYLOAD_MAX ? type_words[type] : NULL;
}

ProaPayloadType proa_payload_type_from_string(const char *word)
{
	for (guint i = 0; i < G_N_ELEMENTS(type_words); i++)
		if (g_strcmp0(word, type_words[i]) == 0)
			return (ProaPayloadType)i;
	return _PROA_PAYLOAD_INVALID;
}

/* Whether payloads of that type are made from an older release. */
static gboolean has_origin(ProaPayloadType type)
{
	return type == PROA_PAYLOAD_DELTA || type == PROA_PAYLOAD_KERNEL;
}

const ProaManifestPayload *proa_manifest_find(
	const GPtrArray *payloads, ProaPayloadType type, const char *from)
{
	for (guint i = 0; i < payloads->len; i++) {
		const ProaManifestPayload *payload = payloads->pdata[i];
		if (payload->type == type && (!has_origin(type) || g_strcmp0(payload->from, from) == 0))
			return payload;
	}
	return NULL;
}

const ProaManifestPayload *proa_manifest_payload(
	const ProaManifest *manifest, ProaPayloadType type, const char *from)
{
	return proa_manifest_find(manifest->payloads, type, from);
}

void proa_manifest_free(ProaManifest *manifest)
{
	if (!manifest)
		return;
	g_free(manifest->version);
	g_free(manifest->architecture);
	g_free(manifest->security_floor);
	g_free(manifest->tree);
	g_free(manifest->root_hash);
	g_free(manifest->root_salt);
	g_free(manifest->root_uuid);
	file_clear(&manifest->uki);
	file_clear(&manifest->sbom);
	g_clear_pointer(&manifest->payloads, g_ptr_array_unref);
	g_clear_pointer(&manifest->uki_payloads, g_ptr_array_unref);
	g_free(manifest);
}

/* A path below the feed: parts of [A-Za-z0-9._~+=@-] with '/' between, none of them ".", ".." or empty. */
static gboolean path_valid(const char *path)
{
	if (strlen(path) > MAX_PATH_LENGTH)
		return FALSE;
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	if (!parts[0])
		return FALSE;
	for (char **part = parts; *part; part++) {
		if (**part == '\0' || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
			return FALSE;
		for (const char *c = *part; *c; c++)
			if (!g_ascii_isalnum(*c) && !strchr("._~+=@-", *c))
				return FALSE;
	}
	return TRUE;
}

static gboolean uuid_valid(const char *text)
{
	return strlen(text) == 36 && g_uuid_string_is_valid(text);
}

static gboolean version_valid(const char *text)
{
	return proa_version_valid(text);
}

static gboolean architecture_valid(const char *text)
{
	gsize length = strlen(text);

	return length > 0 && length <= MAX_ARCHITECTURE_LENGTH &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

typedef gboolean (*Valid)(const char *text);

static gboolean take_string(JsonObject *object, const char *member, Valid valid, char **ret, GError **error)
{
	const char *text = proa_json_string(object, member, BAD, error);

	if (!text)
		return FALSE;
	if (!valid(text))
		return proa_fail(error, BAD, "member \"%s\" is malformed", member);
	*ret = g_strdup(text);
	return TRUE;
}

static gboolean take_optional(
	JsonObject *object, const char *name, gboolean (*valid)(const char *), char **ret, GError **error)
{
	return !json_object_has_member(object, name) || json_object_get_null_member(object, name) ||
	       take_string(object, name, valid, ret, error);
}

static gboolean take_size(JsonObject *object, const char *member, guint64 max, guint64 *ret, GError **error)
{
	gint64 value = 0;

	if (!proa_json_int(object, member, 1, (gint64)max, &value, BAD, error))
		return FALSE;
	*ret = (guint64)value;
	return TRUE;
}

static gboolean take_file(JsonObject *object, guint64 max, ProaManifestFile *file, GError **error)
{
	return take_string(object, "file", path_valid, &file->path, error) &&
	       take_size(object, "size", max, &file->size, error) &&
	       take_string(object, "sha256", proa_sha256_hex_valid, &file->sha256, error);
}

static gboolean take_file_of(
	JsonObject *top, const char *member, guint64 max, ProaManifestFile *file, GError **error)
{
	JsonObject *object = proa_json_object(top, member, BAD, error);

	if (!object)
		return FALSE;
	if (!take_file(object, max, file, error)) {
		g_prefix_error(error, "%s: ", member);
		return FALSE;
	}
	return TRUE;
}

static gboolean take_root(JsonObject *top, ProaManifest *manifest, GError **error)
{
	JsonObject *root = proa_json_object(top, "root", BAD, error);

	if (!root)
		return FALSE;
	if (!take_string(root, "hash", proa_sha256_hex_valid, &manifest->root_hash, error) ||
		!take_string(root, "salt", proa_sha256_hex_valid, &manifest->root_salt, error) ||
		!take_string(root, "uuid", uuid_valid, &manifest->root_uuid, error) ||
		!take_size(root, "size", PROA_MANIFEST_MAX_ROOT_SIZE, &manifest->root_size, error)) {
		g_prefix_error(error, "root: ");
		return FALSE;
	}
	if (manifest->root_size % BLOCK_SIZE != 0)
		return proa_fail(error, BAD, "root: member \"size\" is not a multiple of %d", BLOCK_SIZE);
	return TRUE;
}

static gboolean take_payload_members(JsonObject *object, ProaManifestPayload *payload, GError **error)
{
	if (has_origin(payload->type) &&
		!take_string(object, "from", proa_sha256_hex_valid, &payload->from, error))
		return FALSE;
	if (!take_file(object, PROA_MANIFEST_MAX_ROOT_SIZE, &payload->file, error))
		return FALSE;
	/* Without them a full payload is checked as a whole; the others can't be. */
	gboolean optional = payload->type == PROA_PAYLOAD_FULL;
	if ((!optional || json_object_has_member(object, "header_sha256")) &&
		!take_string(object, "header_sha256", proa_sha256_hex_valid, &payload->header_sha256, error))
		return FALSE;
	return (optional && !json_object_has_member(object, "header_size")) ||
	       take_size(object, "header_size", payload->file.size, &payload->header_size, error);
}

static gboolean take_payload(JsonObject *object, GPtrArray *payloads, ProaPayloadType unknown, GError **error)
{
	const char *word = proa_json_string(object, "type", BAD, error);
	g_autoptr(ProaManifestPayload) payload = g_new0(ProaManifestPayload, 1);

	if (!word)
		return FALSE;
	payload->type = proa_payload_type_from_string(word);
	if (payload->type == _PROA_PAYLOAD_INVALID || payload->type == unknown)
		return TRUE; /* of a later publisher */
	if (!take_payload_members(object, payload, error))
		return FALSE;
	if (proa_manifest_find(payloads, payload->type, payload->from))
		return proa_fail(error, BAD, "there are several %s payloads%s%s", word,
			payload->from ? " from " : "", payload->from ? payload->from : "");
	g_ptr_array_add(payloads, g_steal_pointer(&payload));
	return TRUE;
}

/* All entries of @list; those of the type @unknown are passed over, as those that nobody knows. */
static gboolean take_list(JsonArray *list, ProaPayloadType unknown, GPtrArray *payloads, GError **error)
{
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonNode *node = json_array_get_element(list, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return proa_fail(error, BAD, "payloads: entry %u is not an object", i);
		if (!take_payload(json_node_get_object(node), payloads, unknown, error)) {
			g_prefix_error(error, "payloads: ");
			return FALSE;
		}
	}
	return TRUE;
}

static gboolean take_payloads(JsonObject *top, ProaManifest *manifest, GError **error)
{
	JsonArray *payloads = proa_json_array(top, "payloads", BAD, error);

	manifest->payloads = g_ptr_array_new_with_free_func(free_payload);
	if (!payloads || !take_list(payloads, PROA_PAYLOAD_KERNEL, manifest->payloads, error))
		return FALSE;
	return proa_manifest_payload(manifest, PROA_PAYLOAD_FULL, NULL)
		       ? TRUE
		       : proa_fail(error, BAD, "there is no full payload");
}

/* It can always be had as it is, so all of these may be missing. */
static gboolean take_uki_payloads(JsonObject *top, ProaManifest *manifest, GError **error)
{
	JsonObject *uki = proa_json_object(top, "uki", BAD, error);

	manifest->uki_payloads = g_ptr_array_new_with_free_func(free_payload);
	if (!uki || !json_object_has_member(uki, "payloads"))
		return uki != NULL;
	JsonArray *payloads = proa_json_array(uki, "payloads", BAD, error);
	if (payloads && take_list(payloads, PROA_PAYLOAD_BLOCKS, manifest->uki_payloads, error))
		return TRUE;
	g_prefix_error(error, "uki: ");
	return FALSE;
}

static gboolean take_top(JsonObject *top, ProaManifest *manifest, GError **error)
{
	const char *format = proa_json_string(top, "format", BAD, error);
	gint64 format_version = 0;

	if (!format)
		return FALSE;
	if (strcmp(format, "proa-manifest") != 0)
		return proa_fail(error, BAD, "member \"format\" is not \"proa-manifest\"");
	if (!proa_json_int(top, "format_version", PROA_MANIFEST_FORMAT_VERSION, PROA_MANIFEST_FORMAT_VERSION,
		    &format_version, BAD, error) ||
		!take_string(top, "version", version_valid, &manifest->version, error) ||
		!take_string(top, "architecture", architecture_valid, &manifest->architecture, error) ||
		!proa_json_int(top, "built", 0, G_MAXINT64, &manifest->built, BAD, error) ||
		!take_optional(top, "tree", proa_sha256_hex_valid, &manifest->tree, error) ||
		!proa_json_int(top, "packages", 0, G_MAXINT32, &manifest->packages, BAD, error))
		return FALSE;
	return take_optional(top, "security_floor", version_valid, &manifest->security_floor, error);
}

ProaManifest *proa_manifest_parse(const char *text, gsize size, GError **error)
{
	if (size > PROA_MANIFEST_MAX_SIZE) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "the manifest is over %d bytes",
			PROA_MANIFEST_MAX_SIZE);
		return NULL;
	}
	g_autoptr(JsonObject) top = proa_json_parse(text, size, "the manifest", BAD, error);
	if (!top)
		return NULL;

	g_autoptr(ProaManifest) manifest = g_new0(ProaManifest, 1);
	if (!take_top(top, manifest, error) || !take_root(top, manifest, error) ||
		!take_file_of(top, "uki", PROA_MANIFEST_MAX_UKI_SIZE, &manifest->uki, error) ||
		!take_file_of(top, "sbom", PROA_MANIFEST_MAX_SBOM_SIZE, &manifest->sbom, error) ||
		!take_payloads(top, manifest, error) || !take_uki_payloads(top, manifest, error)) {
		g_prefix_error(error, "the manifest: ");
		return NULL;
	}
	return g_steal_pointer(&manifest);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/release.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/version.h"
#include "images/feed/content.h"
#include "images/feed/publish.h"
#include "updater/payload/blocks-format.h"
#include "updater/payload/delta-format.h"
#include "updater/payload/format.h"
#include "updater/payload/uki-format.h"

#include <string.h>

void proa_release_added_free(ProaReleaseAdded *added)
{
	if (!added)
		return;
	g_free(added->version);
	g_free(added->channel);
	g_free(added->architecture);
	g_free(added->tree);
	g_free(added->path);
	g_free(added);
}

gboolean proa_release_channel_valid(const char *channel)
{
	gsize length = strlen(channel);

	static const char *const taken[] = { "root", "timestamp", "snapshot", "targets", "break-glass",
		NULL };

	return !g_strv_contains(taken, channel) && length > 0 && length <= 32 &&
	       g_ascii_islower(channel[0]) &&
	       strspn(channel, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Copies a member that must be there, as it is. */
static gboolean copy_member(JsonObject *from, JsonObject *to, const char *member, GError **error)
{
	JsonNode *node = json_object_get_member(from, member);

	if (!node)
		return proa_fail(error, PROA_REASON_BAD_MANIFEST, "member \"%s\" is missing", member);
	json_object_set_member(to, member, json_node_copy(node));
	return TRUE;
}

static gboolean check_root(JsonObject *release, GError **error)
{
	gint64 size;
	JsonObject *root = proa_json_object(release, "root", PROA_REASON_BAD_MANIFEST, error);
	const char *hash = root ? proa_json_string(root, "hash", PROA_REASON_BAD_MANIFEST, error) : NULL;
	const char *salt = hash ? proa_json_string(root, "salt", PROA_REASON_BAD_MANIFEST, error) : NULL;

	if (!salt || !proa_json_string(root, "uuid", PROA_REASON_BAD_MANIFEST, error) ||
		!proa_json_int(root, "size", PROA_PAYLOAD_BLOCK_SIZE, G_MAXINT64, &size,
			PROA_REASON_BAD_MANIFEST, error))
		return FALSE;
	if (!proa_sha256_hex_valid(hash) || !proa_sha256_hex_valid(salt) ||
		size % PROA_PAYLOAD_BLOCK_SIZE != 0)
		return proa_fail(error, PROA_REASON_BAD_MANIFEST,
			"\"root\": hash and salt are 64 hexadecimal digits, size is a multiple of %d",
			PROA_PAYLOAD_BLOCK_SIZE);
	return TRUE;
}

/* What release.json tells must be whole before anything is copied. */
static gboolean check_release(JsonObject *release, GError **error)
{
	gint64 number;
	const char *version = proa_json_string(release, "version", PROA_REASON_BAD_MANIFEST, error);
	const char *architecture =
		version ? proa_json_string(release, "architecture", PROA_REASON_BAD_MANIFEST, error) : NULL;

	if (!architecture ||
		!proa_json_int(release, "built", 0, G_MAXINT64, &number, PROA_REASON_BAD_MANIFEST, error) ||
		!proa_json_int(
			release, "packages", 0, G_MAXINT32, &number, PROA_REASON_BAD_MANIFEST, error) ||
		!check_root(release, error))
		return FALSE;
	if (!proa_version_valid(version))
		return proa_fail(error, PROA_REASON_BAD_MANIFEST, "\"%s\" is not a release version", version);
	const char *floor = proa_json_string_or(release, "security_floor", NULL);
	if (floor && (!proa_version_valid(floor) || proa_version_compare(floor, version) > 0))
		return proa_fail(error, PROA_REASON_BAD_MANIFEST,
			"\"security_floor\" %s is no version at or below %s", floor, version);
	const char *tree = proa_json_string_or(release, "tree", NULL);
	if (tree && !proa_sha256_hex_valid(tree))
		return proa_fail(
			error, PROA_REASON_BAD_MANIFEST, "\"tree\" %s is not an OSTree commit", tree);
	return TRUE;
}

JsonObject *proa_release_read(const char *release_dir, GError **error)
{
	g_autofree char *path = g_build_filename(release_dir, "release.json", NULL);
	gsize size;
	g_autofree char *text = proa_file_read(path, PROA_RELEASE_MAX_MANIFEST, &size, error);
	g_autoptr(JsonObject) release =
		text ? proa_json_parse(text, size, path, PROA_REASON_BAD_MANIFEST, error) : NULL;

	if (!release)
		return NULL;
	if (!check_release(release, error)) {
		g_prefix_error(error, "%s: ", path);
		return NULL;
	}
	return g_steal_pointer(&release);
}

/* {"file", "size", "sha256"} of something that lies in the feed as @folder/<sha256>@suffix. */
static JsonObject *described(const ProaContent *content, const char *folder, const char *suffix)
{
	JsonObject *object = json_object_new();
	g_autofree char *file = g_strdup_printf("%s/%s%s", folder, content->sha256, suffix);

	json_object_set_string_member(object, "file", file);
	json_object_set_int_member(object, "size", content->size);
	json_object_set_string_member(object, "sha256", content->sha256);
	return object;
}

/* Takes one file of the release into the feed; NULL if it is not the file that release.json names. */
static JsonObject *take_file(const ProaFeed *feed, const char *release_dir, const char *name,
	JsonObject *release, const char *member, const char *folder, const char *suffix, GError **error)
{
	g_auto(ProaContent) content = { 0 };
	g_autofree char *from = g_build_filename(release_dir, name, NULL);
	g_autofree char *to = proa_feed_path(feed, folder);

	if (!proa_content_of_file(from, &content, error))
		return NULL;
	if (member) {
		JsonObject *named = proa_json_object(release, member, PROA_REASON_BAD_MANIFEST, error);
		const char *digest =
			named ? proa_json_string(named, "sha256", PROA_REASON_BAD_MANIFEST, error) : NULL;
		if (!digest)
			return NULL;
		if (strcmp(digest, content.sha256) != 0 ||
			proa_json_int_or(named, "size", -1) != content.size) {
			proa_fail(error, PROA_REASON_METADATA_MISMATCH,
				"%s is not the file that release.json names: make the release again", from);
			return NULL;
		}
	}
	if (!proa_content_put(from, &content, to, suffix, error))
		return NULL;
	return described(&content, folder, suffix);
}

/* What a payload says of itself. */
typedef struct {
	guint8 root_hash[PROA_SHA256_SIZE];
	guint64 image_size, head_size;
	char *head_sha256;
	char *from; /* delta: root hash of the old image */
} Head;

static void head_clear(Head *head)
{
	g_free(head->head_sha256);
	g_free(head->from);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Head, head_clear)

static gboolean read_full(const char *path, Head *head, GError **error)
{
	g_autoptr(ProaPayloadHeader) header = proa_payload_file_header(path, &head->head_sha256, error);

	if (!header)
		return FALSE;
	memcpy(head->root_hash, header->root_hash, PROA_SHA256_SIZE);
	head->image_size = header->image_size;
	head->head_size = PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header);
	return TRUE;
}

static gboolean read_blocks(const char *path, Head *head, GError **error)
{
	g_autoptr(ProaBlocksHeader) header = proa_blocks_file_header(path, &head->head_sha256, error);

	if (!header)
		return FALSE;
	memcpy(head->root_hash, header->root_hash, PROA_SHA256_SIZE);
	head->image_size = header->image_size;
	head->head_size = proa_blocks_head_size(header);
	return TRUE;
}

static gboolean read_delta(const char *path, Head *head, GError **error)
{
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(path, &head->head_sha256, error);

	if (!header)
		return FALSE;
	memcpy(head->root_hash, header->new_hash, PROA_SHA256_SIZE);
	head->from = proa_hex_encode(header->old_hash, PROA_SHA256_SIZE);
	head->image_size = header->new_size;
	head->head_size = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header);
	return TRUE;
}

static gboolean read_uki(const char *path, Head *head, GError **error)
{
	ProaUkiHeader header;

	if (!proa_uki_file_header(path, &header, &head->head_sha256, error))
		return FALSE;
	memcpy(head->root_hash, header.root_hash, PROA_SHA256_SIZE);
	head->image_size = header.root_size;
	head->head_size = proa_uki_head_size(&header);
	if (header.kind != PROA_UKI_FULL)
		head->from = proa_hex_encode(header.old_root_hash, PROA_SHA256_SIZE);
	return TRUE;
}

/* Files of a release directory that are payloads. */
typedef struct {
	const char *type, *suffix;
	gboolean (*read)(const char *path, Head *head, GError **error);
} PayloadKind;

static const PayloadKind full_kind = { "full", ".full", read_full };
static const PayloadKind blocks_kind = { "blocks", ".blocks", read_blocks };
static const PayloadKind delta_kind = { "delta", ".delta", read_delta };
static const PayloadKind uki_kinds[] = {
	{ "full", ".uki-full", read_uki },
	{ "delta", ".uki-delta", read_uki },
	{ "kernel", ".uki-kernel", read_uki },
};

/* Takes a payload of this root into the feed, and adds it to @payloads. */
static gboolean take_payload(const ProaFeed *feed, const char *release_dir, JsonObject *release,
	const PayloadKind *kind, const char *name, JsonArray *payloads, GError **error)
{
	g_autofree char *path = g_build_filename(release_dir, name, NULL);
	JsonObject *root = json_object_get_object_member(release, "root");
	g_auto(Head) head = { 0 };

	if (!kind->read(path, &head, error))
		return FALSE;
	g_autofree char *root_hash = proa_hex_encode(head.root_hash, PROA_SHA256_SIZE);
	if (strcmp(root_hash, json_object_get_string_member(root, "hash")) != 0 ||
		head.image_size != (guint64)json_object_get_int_member(root, "size"))
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD,
			"%s is the payload of another root image: make it again", path);
	JsonObject *payload =
		take_file(feed, release_dir, name, release, NULL, "payloads", kind->suffix, error);
	if (!payload)
		return FALSE;
	json_object_set_string_member(payload, "type", kind->type);
	if (head.from)
		json_object_set_string_member(payload, "from", head.from);
	json_object_set_string_member(payload, "header_sha256", head.head_sha256);
	json_object_set_int_member(payload, "header_size", (gint64)head.head_size);
	json_array_add_object_element(payloads, payload);
	return TRUE;
}

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of all files of the release directory that begin and end so, in order. */
static GPtrArray *find_files(const char *release_dir, const char *prefix, const char *suffix)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(release_dir, 0, NULL);

	for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir))
		if (g_str_has_prefix(name, prefix) && g_str_has_suffix(name, suffix))
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, by_name);
	return names;
}

/* Takes all payloads of a kind, from whatever releases there are. */
static gboolean take_found(const ProaFeed *feed, const char *release_dir, JsonObject *release,
	const PayloadKind *kind, const char *prefix, JsonArray *payloads, GError **error)
{
	g_autofree char *suffix = g_strconcat(".", kind->type, NULL);
	g_autoptr(GPtrArray) names = find_files(release_dir, prefix, suffix);

	for (guint i = 0; i < names->len; i++)
		if (!take_payload(feed, release_dir, release, kind, names->pdata[i], payloads, error))
			return FALSE;
	return TRUE;
}

/* Payloads of the UKI, as a member of @uki. */
static gboolean take_uki_payloads(
	const ProaFeed *feed, const char *release_dir, JsonObject *release, JsonObject *uki, GError **error)
{
	g_autoptr(JsonArray) payloads = json_array_new();

	for (guint i = 0; i < G_N_ELEMENTS(uki_kinds); i++)
		if (!take_found(feed, release_dir, release, &uki_kinds[i], "uki.", payloads, error))
			return FALSE;
	json_object_set_array_member(uki, "payloads", g_steal_pointer(&payloads));
	return TRUE;
}

static JsonArray *take_payloads(
	const ProaFeed *feed, const char *release_dir, JsonObject *release, GError **error)
{
	g_autoptr(JsonArray) payloads = json_array_new();
	g_autofree char *blocks = g_build_filename(release_dir, "root.blocks", NULL);

	if (!take_payload(feed, release_dir, release, &full_kind, "root.full", payloads, error))
		return NULL;
	if (g_file_test(blocks, G_FILE_TEST_EXISTS) &&
		!take_payload(feed, release_dir, release, &blocks_kind, "root.blocks", payloads, error))
		return NULL;
	return take_found(feed, release_dir, release, &delta_kind, "root.", payloads, error)
		       ? g_steal_pointer(&payloads)
		       : NULL;
}

/* The manifest: what release.json knows, and where the feed has the files. */
static JsonObject *make_manifest(
	const ProaFeed *feed, const char *release_dir, JsonObject *release, GError **error)
{
	static const char *const same[] = { "version", "architecture", "built", "packages", "root" };
	static const char *const optional[] = { "security_floor", "tree" };
	g_autoptr(JsonObject) manifest = json_object_new();

	json_object_set_string_member(manifest, "format", "proa-manifest");
	json_object_set_int_member(manifest, "format_version", 1);
	for (guint i = 0; i < G_N_ELEMENTS(same); i++)
		if (!copy_member(release, manifest, same[i], error))
			return NULL;
	for (guint i = 0; i < G_N_ELEMENTS(optional); i++)
		if (proa_json_string_or(release, optional[i], NULL) &&
			!copy_member(release, manifest, optional[i], error))
			return NULL;

	JsonObject *uki = take_file(feed, release_dir, "uki.efi", release, "uki", "payloads", ".efi", error);
	if (!uki)
		return NULL;
	json_object_set_object_member(manifest, "uki", uki);
	if (!take_uki_payloads(feed, release_dir, release, uki, error))
		return NULL;
	JsonObject *sbom =
		take_file(feed, release_dir, "sbom.spdx.json", release, "sbom", "sbom", ".spdx.json", error);
	if (!sbom)
		return NULL;
	json_object_set_object_member(manifest, "sbom", sbom);
	JsonArray *payloads = take_payloads(feed, release_dir, release, error);
	if (!payloads)
		return NULL;
	json_object_set_array_member(manifest, "payloads", payloads);
	return g_steal_pointer(&manifest);
}

/* Writes the manifest under its content-addressed name; tells its digest. */
static gboolean put_manifest(
	const ProaFeed *feed, const ProaReleaseAdded *added, GBytes *bytes, char **ret_sha256, GError **error)
{
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	g_autofree char *name =
		g_strdup_printf("targets/%s/%s/%s.manifest.json", added->channel, added->version, digest);

	if (!proa_feed_write(feed->dir, name, bytes, error))
		return FALSE;
	*ret_sha256 = g_steal_pointer(&digest);
	return TRUE;
}

/* The TUF target of a manifest, as it stands in targets metadata. */
static JsonObject *make_target(const ProaReleaseAdded *added, gsize size, const char *digest)
{
	JsonObject *target = json_object_new(), *hashes = json_object_new(), *custom = json_object_new(),
		   *ours = json_object_new();

	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_int_member(target, "length", (gint64)size);
	json_object_set_object_member(target, "hashes", hashes);
	json_object_set_string_member(ours, "version", added->version);
	json_object_set_string_member(ours, "channel", added->channel);
	json_object_set_string_member(ours, "architecture", added->architecture);
	json_object_set_object_member(custom, "proa", ours);
	json_object_set_object_member(target, "custom", custom);
	return target;
}

/* The digest under which the feed has this path, published or pending; NULL: it has not. */
static const char *known_digest(const ProaFeed *feed, const char *path)
{
	const ProaTargets *channel = g_hash_table_lookup(feed->channels, proa_publish_role(feed, path, NULL));
	const ProaTrustTarget *published =
		g_hash_table_lookup((channel ? channel : feed->targets)->targets, path);
	JsonObject *pending = proa_json_object_or_null(feed->pending, path);
	JsonObject *hashes = pending ? proa_json_object_or_null(pending, "hashes") : NULL;

	if (published)
		return published->sha256;
	return hashes ? proa_json_string_or(hashes, "sha256", NULL) : NULL;
}

ProaReleaseAdded *proa_release_add(
	ProaFeed *feed, const char *release_dir, const char *channel, GError **error)
{
	g_autoptr(ProaReleaseAdded) added = g_new0(ProaReleaseAdded, 1);
	g_autoptr(JsonObject) release = proa_release_read(release_dir, error);
	g_autoptr(JsonObject) manifest = release ? make_manifest(feed, release_dir, release, error) : NULL;
	g_autofree char *digest = NULL;

	if (!manifest)
		return NULL;
	added->version = g_strdup(json_object_get_string_member(release, "version"));
	added->architecture = g_strdup(json_object_get_string_member(release, "architecture"));
	added->tree = g_strdup(proa_json_string_or(release, "tree", NULL));
	added->channel = g_strdup(channel);
	added->path = g_strdup_printf("%s/%s/manifest.json", channel, added->version);
	JsonArray *payloads = json_object_get_array_member(manifest, "payloads");
	added->payload_size = json_object_get_int_member(json_array_get_object_element(payloads, 0), "size");

	char *text = proa_json_to_text(manifest);
	g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
	g_autofree char *would_be = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	const char *known = known_digest(feed, added->path);
	if (g_strcmp0(known, would_be) == 0)
		return g_steal_pointer(&added);
	if (known) {
		proa_fail(error, PROA_REASON_BAD_STATE,
			"%s already has version %s with other content: a release never changes, raise the version",
			channel, added->version);
		return NULL;
	}
	if (!put_manifest(feed, added, bytes, &digest, error))
		return NULL;
	json_object_set_object_member(
		feed->pending, added->path, make_target(added, g_bytes_get_size(bytes), digest));
	added->news = TRUE;
	return g_steal_pointer(&added);
}

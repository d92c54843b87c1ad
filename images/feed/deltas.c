/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/deltas.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/version.h"
#include "images/feed/payloads.h"
#include "images/feed/release.h"
#include "images/payload/uki.h"
#include "updater/payload/delta-format.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#define IMAGES ".proa-feed/images.json"
#define MAX_IMAGES_SIZE ((gsize)1024 * 1024)

/* A release whose image this machine has, or had. */
typedef struct {
	char *channel, *version, *root_hash, *image;
} Image;

static void image_free(gpointer data)
{
	Image *image = data;

	g_free(image->channel);
	g_free(image->version);
	g_free(image->root_hash);
	g_free(image->image);
	g_free(image);
}

static void add_image(
	GPtrArray *images, const char *channel, const char *version, const char *root_hash, const char *path)
{
	Image *image = g_new0(Image, 1);

	*image = (Image){ g_strdup(channel), g_strdup(version), g_strdup(root_hash), g_strdup(path) };
	g_ptr_array_add(images, image);
}

static gboolean parse_image(GPtrArray *images, JsonObject *object)
{
	const char *channel = proa_json_string_or(object, "channel", NULL);
	const char *version = proa_json_string_or(object, "version", NULL);
	const char *root_hash = proa_json_string_or(object, "root_hash", NULL);
	const char *image = proa_json_string_or(object, "image", NULL);

	if (!channel || !version || !proa_version_valid(version) || !root_hash ||
		!proa_sha256_hex_valid(root_hash) || !image)
		return FALSE;
	add_image(images, channel, version, root_hash, image);
	return TRUE;
}

/* What is remembered, oldest first; nothing if nothing was remembered yet. */
static GPtrArray *load_images(const char *path, GError **error)
{
	g_autoptr(GPtrArray) images = g_ptr_array_new_with_free_func(image_free);
	g_autoptr(GError) inner = NULL;
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_IMAGES_SIZE, &size, &inner);

	if (g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND))
		return g_steal_pointer(&images);
	if (!text) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	g_autoptr(JsonObject) top = proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, error);
	JsonArray *list = top ? proa_json_array(top, "images", PROA_REASON_BAD_STATE, error) : NULL;
	if (!list)
		return NULL;
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonNode *node = json_array_get_element(list, i);
		if (!JSON_NODE_HOLDS_OBJECT(node) || !parse_image(images, json_node_get_object(node))) {
			proa_fail(error, PROA_REASON_BAD_STATE, "%s: entry %u is malformed", path, i);
			return NULL;
		}
	}
	return g_steal_pointer(&images);
}

static gboolean save_images(const char *path, const GPtrArray *images, GError **error)
{
	g_autoptr(JsonObject) top = json_object_new();
	JsonArray *list = json_array_new();

	for (guint i = 0; i < images->len; i++) {
		const Image *image = images->pdata[i];
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "channel", image->channel);
		json_object_set_string_member(object, "version", image->version);
		json_object_set_string_member(object, "root_hash", image->root_hash);
		json_object_set_string_member(object, "image", image->image);
		json_array_add_object_element(list, object);
	}
	json_object_set_array_member(top, "images", list);
	g_autofree char *text = proa_json_to_text(top);
	return proa_file_replace(path, text, strlen(text), 0644, error);
}

static int newest_first(gconstpointer a, gconstpointer b)
{
	const Image *first = *(const Image *const *)a, *second = *(const Image *const *)b;

	return proa_version_compare(second->version, first->version);
}

/* The last @count releases before @to in its channel. */
static GPtrArray *predecessors(const GPtrArray *images, const Image *to, guint count)
{
	GPtrArray *found = g_ptr_array_new();

	for (guint i = 0; i < images->len; i++) {
		Image *image = images->pdata[i];
		if (strcmp(image->channel, to->channel) == 0 &&
			strcmp(image->root_hash, to->root_hash) != 0 &&
			proa_version_compare(image->version, to->version) < 0)
			g_ptr_array_add(found, image);
	}
	g_ptr_array_sort(found, newest_first);
	if (found->len > count)
		g_ptr_array_set_size(found, (gint)count);
	return found;
}

/* This release, as release.json tells it. */
static Image *read_release(const char *release_dir, const char *channel, GError **error)
{
	g_autofree char *path = g_build_filename(release_dir, "release.json", NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, PROA_RELEASE_MAX_MANIFEST, &size, error);
	g_autoptr(JsonObject) release =
		text ? proa_json_parse(text, size, path, PROA_REASON_BAD_MANIFEST, error) : NULL;
	const char *version =
		release ? proa_json_string(release, "version", PROA_REASON_BAD_MANIFEST, error) : NULL;
	JsonObject *root =
		version ? proa_json_object(release, "root", PROA_REASON_BAD_MANIFEST, error) : NULL;
	const char *hash = root ? proa_json_string(root, "hash", PROA_REASON_BAD_MANIFEST, error) : NULL;

	if (!hash)
		return NULL;
	if (!proa_sha256_hex_valid(hash) || !proa_version_valid(version)) {
		proa_fail(error, PROA_REASON_BAD_MANIFEST, "%s: version or root hash is malformed", path);
		return NULL;
	}
	g_autofree char *absolute = g_canonicalize_filename(release_dir, NULL);
	Image *image = g_new0(Image, 1);
	*image = (Image){ g_strdup(channel), g_strdup(version), g_strdup(hash),
		g_build_filename(absolute, "root.img", NULL) };
	return image;
}

/* A folder that was used again for a later release holds another image by now. */
static gboolean still_there(const Image *image)
{
	g_autofree char *dir = g_path_get_dirname(image->image);
	Image *now = g_file_test(image->image, G_FILE_TEST_EXISTS) ? read_release(dir, image->channel, NULL)
								   : NULL;
	gboolean same = now && strcmp(now->root_hash, image->root_hash) == 0;

	if (now)
		image_free(now);
	return same;
}

/* A ProaDeltaWarn. */
static void say_warning(const char *text, gpointer user_data)
{
	fprintf(stderr, "proa-feed: %s\n", text);
}

/*
 * A delta saves bytes, no more: without it the release is published all the same, the others of its payloads
 * bring it. Where the disk fails they can't be relied on either. Takes @inner.
 */
static gboolean go_without(const char *what, const Image *from, GError *inner, GError **error)
{
	if (g_error_matches(inner, PROA_ERROR, PROA_REASON_IO)) {
		g_propagate_error(error, inner);
		return FALSE;
	}
	fprintf(stderr, "proa-feed: no %s from %s (%s): %s\n", what, from->version,
		proa_reason_to_string(proa_reason_of(inner)), inner->message);
	g_error_free(inner);
	return TRUE;
}

static gboolean make_one(const Image *from, const Image *to, const char *release_dir, GError **error)
{
	g_autofree char *name = g_strdup_printf("root.%.16s.delta", from->root_hash);
	g_autofree char *out = g_build_filename(release_dir, name, NULL);
	ProaPayloadsProgress progress = { 0 };
	const ProaDeltaMaker maker = {
		.progress = proa_payloads_progress, .warn = say_warning, .user_data = &progress
	};
	const ProaDeltaImage old_image = { from->image, from->root_hash },
			     new_image = { to->image, to->root_hash };
	gint64 start = g_get_monotonic_time();
	GError *inner = NULL;

	if (g_file_test(out, G_FILE_TEST_EXISTS))
		return TRUE;
	if (!still_there(from)) {
		fprintf(stderr, "proa-feed: no delta from %s: its image %s is gone\n", from->version,
			from->image);
		return TRUE;
	}
	fprintf(stderr, "proa-feed: making the delta from %s to %s\n", from->version, to->version);
	if (!proa_delta_make(&maker, &old_image, &new_image, out, &inner))
		return go_without("delta", from, inner, error);
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(out, NULL, error);
	if (!header)
		return FALSE;
	fprintf(stderr, "proa-feed: %.1f MB in %.0f s\n", (double)proa_delta_total_size(header) / 1e6,
		(double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC);
	return TRUE;
}

/* The UKI beside a root image. */
static char *uki_of(const Image *image)
{
	g_autofree char *dir = g_path_get_dirname(image->image);

	return g_build_filename(dir, "uki.efi", NULL);
}

static const char *const uki_words[] = { "payload of the UKI", "delta of the UKI",
	"delta of the UKI with its kernel unpacked" };

static void say_uki(ProaUkiKind kind, gpointer from)
{
	const Image *image = from;

	fprintf(stderr, "proa-feed: making the %s%s%s\n", uki_words[kind], image ? " from " : "",
		image ? image->version : "");
}

static gboolean make_uki_of(
	GHashTable *proofs, ProaUkiKind kind, Image *from, const Image *to, const char *out, GError **error)
{
	g_autofree char *from_uki = from ? uki_of(from) : NULL, *to_uki = uki_of(to), *why = NULL;
	const ProaUkiMaker maker = { .base = { .warn = say_warning, .user_data = from },
		.program = PROA_REPACK_SELF,
		.begin = say_uki,
		.proofs = proofs };
	const ProaUkiRelease old_release = { from_uki, from ? from->image : NULL,
		from ? from->root_hash : NULL };
	const ProaUkiRelease new_release = { to_uki, to->image, to->root_hash };
	gint64 start = g_get_monotonic_time();
	gboolean made = FALSE;
	GStatBuf file;

	if (g_file_test(out, G_FILE_TEST_EXISTS) || !g_file_test(to_uki, G_FILE_TEST_EXISTS) ||
		(from && !g_file_test(from_uki, G_FILE_TEST_EXISTS)))
		return TRUE;
	if (!proa_uki_make(&maker, kind, from ? &old_release : NULL, &new_release, out, &made, &why, error))
		return FALSE;
	if (why)
		fprintf(stderr, "proa-feed: there is none: %s\n", why);
	if (made && g_stat(out, &file) == 0)
		fprintf(stderr, "proa-feed: %.1f MB in %.0f s\n", (double)file.st_size / 1e6,
			(double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC);
	return TRUE;
}

/* Of the two that are made from an older release, the one that pays. */
static gboolean make_uki_from(
	GHashTable *proofs, Image *from, const Image *to, const char *release_dir, GError **error)
{
	static const struct {
		ProaUkiKind kind;
		const char *suffix;
	} kinds[] = { { PROA_UKI_DELTA, "delta" }, { PROA_UKI_KERNEL, "kernel" } };

	if (!still_there(from))
		return TRUE;
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *name = g_strdup_printf("uki.%.16s.%s", from->root_hash, kinds[i].suffix);
		GError *inner = NULL;
		g_autofree char *out = g_build_filename(release_dir, name, NULL);
		if (!make_uki_of(proofs, kinds[i].kind, from, to, out, &inner) &&
			!go_without(uki_words[kinds[i].kind], from, inner, error))
			return FALSE;
	}
	return TRUE;
}

/* All payloads of the UKI. */
static gboolean make_uki(const GPtrArray *before, const Image *to, const char *release_dir, GError **error)
{
	g_autoptr(GHashTable) proofs = proa_uki_proofs_new();
	g_autofree char *full = g_build_filename(release_dir, "uki.full", NULL);

	if (!make_uki_of(proofs, PROA_UKI_FULL, NULL, to, full, error))
		return FALSE;
	for (guint i = 0; i < before->len; i++)
		if (!make_uki_from(proofs, before->pdata[i], to, release_dir, error))
			return FALSE;
	return TRUE;
}

/* Its own entry is the newest one of that version. */
static void remember(GPtrArray *images, const Image *to)
{
	for (guint i = images->len; i-- > 0;) {
		const Image *image = images->pdata[i];
		if ((strcmp(image->channel, to->channel) == 0 && strcmp(image->version, to->version) == 0) ||
			(strcmp(image->image, to->image) == 0 &&
				strcmp(image->root_hash, to->root_hash) != 0))
			g_ptr_array_remove_index(images, i);
	}
	add_image(images, to->channel, to->version, to->root_hash, to->image);
}

gboolean proa_deltas_make(
	const ProaFeed *feed, const char *release_dir, const char *channel, guint count, GError **error)
{
	g_autofree char *path = proa_feed_path(feed, IMAGES);
	g_autoptr(GPtrArray) images = load_images(path, error);
	Image *to = images ? read_release(release_dir, channel, error) : NULL;

	if (!to)
		return FALSE;
	/* A release whose image is not here can be published; it gets no deltas, nor do others get any from
	 * it. */
	gboolean here = g_file_test(to->image, G_FILE_TEST_EXISTS), ok = TRUE;
	g_autoptr(GPtrArray) before = predecessors(images, to, here ? count : 0);
	for (guint i = 0; ok && i < before->len; i++)
		ok = make_one(before->pdata[i], to, release_dir, error);
	ok = ok && (!here || make_uki(before, to, release_dir, error));
	if (ok && here) {
		remember(images, to);
		ok = save_images(path, images, error);
	}
	image_free(to);
	return ok;
}

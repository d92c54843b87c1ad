/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/payloads.h"

#include "base/json.h"
#include "images/feed/release.h"
#include "images/payload/blocks-maker.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

/* One release: where it is, and what release.json says of its root. */
typedef struct {
	const char *image, *root_hash, *salt;
} Root;

void proa_payloads_progress(guint64 done, guint64 total, gpointer user_data)
{
	ProaPayloadsProgress *progress = user_data;
	guint percent = total > 0 ? (guint)(done * 100 / total) : 100;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%3u %%%s", percent, done == total ? "\n" : "");
	else if (percent / 10 > progress->tenths) {
		progress->tenths = percent / 10;
		fprintf(stderr, "proa-feed: %u %%\n", progress->tenths * 10);
	}
}

static gboolean make_full(const Root *root, const char *out, GError **error)
{
	ProaPayloadsProgress progress = { 0 };
	const ProaMaker maker = { .level = PROA_MAKER_LEVEL,
		.frame_size = PROA_MAKER_FRAME_SIZE,
		.progress = proa_payloads_progress,
		.user_data = &progress };

	return proa_maker_full(&maker, root->image, root->root_hash, out, error);
}

static gboolean make_blocks(const Root *root, const char *out, GError **error)
{
	ProaPayloadsProgress progress = { 0 };
	const ProaBlocksMaker maker = { .base = { .level = PROA_BLOCKS_MAKER_LEVEL,
						.frame_size = PROA_BLOCKS_MAKER_FRAME_SIZE,
						.progress = proa_payloads_progress,
						.user_data = &progress },
		.window = PROA_BLOCKS_MAKER_WINDOW,
		.step = PROA_BLOCKS_MAKER_STEP };
	g_autoptr(GError) inner = NULL;

	if (proa_blocks_make(&maker, root->image, root->root_hash, root->salt, out, &inner))
		return TRUE;
	if (proa_reason_of(inner) != PROA_REASON_ROOT_HASH_MISMATCH) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return FALSE;
	}
	fprintf(stderr, "proa-feed: no blocks payload: %s\n", inner->message);
	return TRUE;
}

static gboolean make(const Root *root, const char *release_dir, const char *type,
	gboolean (*maker)(const Root *root, const char *out, GError **error), GError **error)
{
	g_autofree char *name = g_strconcat("root.", type, NULL);
	g_autofree char *out = g_build_filename(release_dir, name, NULL);
	gint64 start = g_get_monotonic_time();
	GStatBuf file;

	if (g_file_test(out, G_FILE_TEST_EXISTS))
		return TRUE;
	fprintf(stderr, "proa-feed: making the %s payload\n", type);
	if (!maker(root, out, error))
		return FALSE;
	if (g_stat(out, &file) == 0)
		fprintf(stderr, "proa-feed: %.1f MB in %.0f s\n", (double)file.st_size / 1e6,
			(double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC);
	return TRUE;
}

gboolean proa_payloads_make(const char *release_dir, gboolean blocks, GError **error)
{
	g_autofree char *image = g_build_filename(release_dir, "root.img", NULL);
	g_autoptr(JsonObject) release = NULL;

	if (!g_file_test(image, G_FILE_TEST_EXISTS))
		return TRUE;
	if (!(release = proa_release_read(release_dir, error)))
		return FALSE;
	JsonObject *object = json_object_get_object_member(release, "root");
	const Root root = { image, proa_json_string_or(object, "hash", ""),
		proa_json_string_or(object, "salt", "") };
	return make(&root, release_dir, "full", make_full, error) &&
	       (!blocks || make(&root, release_dir, "blocks", make_blocks, error));
}

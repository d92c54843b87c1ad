/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/payloads.h"

#include "tests/unit/images/feed/fixture.h"
#include "updater/payload/blocks-format.h"

#include <glib/gstdio.h>

#define IMAGE_SIZE (256u * 1024)
#define SALT "0000000000000000000000000000000000000000000000000000000000000000"

static const char *root_hash; /* of the image, as release.json is to name it */

static void name_the_image(JsonObject *release)
{
	JsonObject *root = json_object_get_object_member(release, "root");

	json_object_set_string_member(root, "hash", root_hash);
	json_object_set_int_member(root, "size", IMAGE_SIZE);
}

/* A release directory with an image and no payload; its real root hash. */
static char *make_release(const Fixture *fixture)
{
	g_autofree char *data = g_strnfill(IMAGE_SIZE, 'a');
	g_autofree char *image = scratch_write(&fixture->scratch, "images/base/root.img", data, IMAGE_SIZE);
	g_autofree char *tree = scratch_file(&fixture->scratch, "tree");
	g_autofree char *output = NULL;
	const char *argv[] = { "veritysetup", "format", "--salt=" SALT, image, tree, NULL };

	g_assert_true(g_spawn_sync(NULL, (char **)(gpointer)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
		&output, NULL, NULL, NULL));
	const char *line = strstr(output, "Root hash:");
	g_assert_nonnull(line);
	line += strlen("Root hash:");
	return g_strndup(line + strspn(line, " \t"), PROA_SHA256_HEX_LENGTH);
}

static char *payload(const Fixture *fixture, const char *type)
{
	g_autofree char *name = g_strconcat("root.", type, NULL);

	return g_build_filename(fixture->release, name, NULL);
}

static void what_is_missing_is_made(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *hash = make_release(&fixture);
	g_autofree char *full = payload(&fixture, "full"), *blocks = payload(&fixture, "blocks");

	root_hash = hash;
	fixture_release(&fixture, "1.0.0", name_the_image);
	g_assert_cmpint(g_unlink(full), ==, 0);
	g_assert_true(proa_payloads_make(fixture.release, FALSE, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_test(full, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(blocks, G_FILE_TEST_EXISTS));
	g_assert_true(proa_payloads_make(fixture.release, TRUE, &error));
	g_assert_no_error(error);
	g_autoptr(ProaBlocksHeader) header = proa_blocks_file_header(blocks, NULL, &error);
	g_assert_no_error(error);

	/* And the feed takes both. */
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", &error);
	g_assert_no_error(error);
	g_assert_nonnull(added);
}

static void what_is_there_stays(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *hash = make_release(&fixture), *full = payload(&fixture, "full");
	g_autofree char *before = NULL, *after = NULL;
	gsize before_size, after_size;

	root_hash = hash;
	fixture_release(&fixture, "1.0.0", name_the_image);
	g_assert_true(g_file_get_contents(full, &before, &before_size, NULL));
	g_assert_true(proa_payloads_make(fixture.release, FALSE, NULL));
	g_assert_true(g_file_get_contents(full, &after, &after_size, NULL));
	g_assert_cmpmem(before, before_size, after, after_size);
}

static void another_root_gets_no_blocks(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *blocks = payload(&fixture, "blocks");

	g_free(make_release(&fixture));
	root_hash = "ff00000000000000000000000000000000000000000000000000000000000000";
	fixture_release(&fixture, "1.0.0", name_the_image);
	g_assert_true(proa_payloads_make(fixture.release, TRUE, &error));
	g_assert_no_error(error);
	g_assert_false(g_file_test(blocks, G_FILE_TEST_EXISTS));
}

static void no_image_is_no_error(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_release(&fixture, "1.0.0", NULL);
	g_assert_true(proa_payloads_make(fixture.release, TRUE, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/payloads/what-is-missing-is-made", what_is_missing_is_made);
	g_test_add_func("/feed/payloads/what-is-there-stays", what_is_there_stays);
	g_test_add_func("/feed/payloads/another-root-gets-no-blocks", another_root_gets_no_blocks);
	g_test_add_func("/feed/payloads/no-image-is-no-error", no_image_is_no_error);
	return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/deltas.h"

#include "images/payload/uki.h"
#include "tests/unit/images/feed/fixture.h"
#include "updater/payload/delta-format.h"

#include <sys/types.h>
#include <unistd.h>

#define OLD_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FIXTURE_HASH "ab00000000000000000000000000000000000000000000000000000000000000"

/* A release directory with as much as deltas are made of. */
static char *release_dir(const Fixture *fixture, const char *version, const char *hash, char content)
{
	g_autofree char *folder = g_strdup_printf("made/%s", version);
	g_autofree char *json = g_strdup_printf("%s/release.json", folder),
			*image = g_strdup_printf("%s/root.img", folder);
	g_autofree char *text =
		g_strdup_printf("{\"version\":\"%s\",\"root\":{\"hash\":\"%s\"}}", version, hash);
	g_autofree char *data = g_strnfill(8192, content);

	g_free(scratch_write(&fixture->scratch, json, text, -1));
	g_free(scratch_write(&fixture->scratch, image, data, 8192));
	return scratch_file(&fixture->scratch, folder);
}

static void made_from_what_was_added_before(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0.9", OLD_HASH, 'a');
	g_autofree char *new_dir = release_dir(&fixture, "1.0.10", NEW_HASH, 'b');
	g_autofree char *delta = g_build_filename(new_dir, "root.0011223344556677.delta", NULL);
	g_autofree char *back = g_build_filename(old_dir, "root.ff11223344556677.delta", NULL);

	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 5, &error));
	/* Another channel has other releases; none back; then one. */
	g_assert_true(proa_deltas_make(feed, new_dir, "beta", 5, &error));
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 0, &error));
	g_assert_false(g_file_test(delta, G_FILE_TEST_EXISTS));
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_no_error(error);
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(delta, NULL, &error);
	g_assert_no_error(error);
	g_autofree char *from = proa_hex_encode(header->old_hash, PROA_SHA256_SIZE);
	g_assert_cmpstr(from, ==, OLD_HASH);
	/* Never from a newer one. */
	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 5, &error));
	g_assert_false(g_file_test(back, G_FILE_TEST_EXISTS));
}

/* A folder that was used again: the old root hash is not that of what lies there now. */
static void a_folder_that_was_used_again(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');
	g_autofree char *new_dir = release_dir(&fixture, "1.1", NEW_HASH, 'b');
	g_autofree char *delta = g_build_filename(new_dir, "root.0011223344556677.delta", NULL);

	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 5, NULL));
	g_free(scratch_write(&fixture.scratch, "made/1.0/release.json",
		"{\"version\":\"1.0\",\"root\":{\"hash\":\"" FIXTURE_HASH "\"}}", -1));
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, NULL));
	g_assert_false(g_file_test(delta, G_FILE_TEST_EXISTS));
}

/* A UKI without a kernel: there is one payload from nothing and one from the release before. */
static void payloads_of_uki_are_made(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');
	g_autofree char *new_dir = release_dir(&fixture, "1.1", NEW_HASH, 'b');
	g_autofree char *full = g_build_filename(new_dir, "uki.full", NULL), *head_sha256 = NULL;
	g_autofree char *delta = g_build_filename(new_dir, "uki.0011223344556677.delta", NULL);
	g_autofree char *kernel = g_build_filename(new_dir, "uki.0011223344556677.kernel", NULL);
	ProaUkiHeader header;

	g_free(scratch_write(&fixture.scratch, "made/1.0/uki.efi", "an old boot image", -1));
	g_free(scratch_write(&fixture.scratch, "made/1.1/uki.efi", "a new boot image", -1));
	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 5, &error));
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_test(full, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(kernel, G_FILE_TEST_EXISTS));
	g_assert_true(proa_uki_file_header(delta, &header, &head_sha256, &error));
	g_autofree char *from = proa_hex_encode(header.old_root_hash, PROA_SHA256_SIZE);
	g_assert_cmpstr(from, ==, OLD_HASH);
}

static void image_that_is_gone_is_left_out(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');
	g_autofree char *new_dir = release_dir(&fixture, "1.1", NEW_HASH, 'b');
	g_autofree char *delta = g_build_filename(new_dir, "root.0011223344556677.delta", NULL);
	g_autofree char *image = g_build_filename(old_dir, "root.img", NULL);

	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 5, &error));
	g_assert_cmpint(g_unlink(image), ==, 0);
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_false(g_file_test(delta, G_FILE_TEST_EXISTS));
}

/* One that can't be made hinders neither the others nor the release; a disk that fails does. */
static void one_that_cannot_be_made_is_left_out(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');
	g_autofree char *bad_dir = release_dir(&fixture, "1.1", FIXTURE_HASH, 'b');
	g_autofree char *new_dir = release_dir(&fixture, "1.2", NEW_HASH, 'c');
	g_autofree char *delta = g_build_filename(new_dir, "root.0011223344556677.delta", NULL);
	g_autofree char *none = g_build_filename(new_dir, "root.ab00000000000000.delta", NULL);
	g_autofree char *in_the_way = g_strconcat(delta, ".tmp", NULL);
	g_autofree char *image = g_build_filename(bad_dir, "root.img", NULL);

	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 0, &error));
	g_assert_true(proa_deltas_make(feed, bad_dir, "stable", 0, &error));
	g_assert_cmpint(truncate(image, (off_t)17 << 30), ==, 0); /* larger than a delta's image may be */
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_test(delta, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(none, G_FILE_TEST_EXISTS));
	g_assert_cmpint(g_unlink(delta), ==, 0);
	g_assert_cmpint(g_mkdir(in_the_way, 0755), ==, 0);
	g_assert_false(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
}

/* So it is with what is made of a UKI. */
static void uki_that_cannot_be_used_is_left_out(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *old_dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');
	g_autofree char *new_dir = release_dir(&fixture, "1.1", NEW_HASH, 'b');
	g_autofree char *full = g_build_filename(new_dir, "uki.full", NULL);
	g_autofree char *delta = g_build_filename(new_dir, "uki.0011223344556677.delta", NULL);

	g_assert_true(proa_deltas_make(feed, old_dir, "stable", 0, &error));
	g_free(scratch_write(&fixture.scratch, "made/1.0/uki.efi", "", 0));
	g_free(scratch_write(&fixture.scratch, "made/1.1/uki.efi", "a new boot image", -1));
	g_assert_true(proa_deltas_make(feed, new_dir, "stable", 5, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_test(full, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(delta, G_FILE_TEST_EXISTS));
}

static void broken_memory_is_told(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autofree char *dir = release_dir(&fixture, "1.0", OLD_HASH, 'a');

	g_free(scratch_write(
		&fixture.scratch, "feed/.proa-feed/images.json", "{\"images\":[{\"channel\":1}]}", -1));
	g_assert_false(proa_deltas_make(feed, dir, "stable", 5, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

/* A delta to @hash in the release directory of the fixture. */
static void put_delta(const Fixture *fixture, const char *hash)
{
	g_autoptr(GError) error = NULL;
	const ProaDeltaMaker maker = { .threads = 1 };
	g_autofree char *data = g_strnfill(4096, 'x');
	g_autofree char *image = scratch_write(&fixture->scratch, "image", data, 4096);
	g_autofree char *out = g_build_filename(fixture->release, "root.0011223344556677.delta", NULL);
	const ProaDeltaImage old_image = { image, OLD_HASH }, new_image = { image, hash };

	g_assert_true(proa_delta_make(&maker, &old_image, &new_image, out, &error));
	g_assert_no_error(error);
}

/* A payload of the fixture's UKI. */
static void put_uki_payload(const Fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	const ProaUkiMaker maker = { .base = { .threads = 1 } };
	g_autofree char *image = scratch_file(&fixture->scratch, "image"), *why = NULL;
	g_autofree char *uki = g_build_filename(fixture->release, "uki.efi", NULL);
	g_autofree char *out = g_build_filename(fixture->release, "uki.full", NULL);
	const ProaUkiRelease to = { uki, image, FIXTURE_HASH };
	gboolean made = FALSE;

	g_assert_true(proa_uki_make(&maker, PROA_UKI_FULL, NULL, &to, out, &made, &why, &error));
	g_assert_true(made);
}

static void taken_into_the_manifest(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	gsize size = 0;
	g_autofree char *text = NULL;

	fixture_release(&fixture, "1.0.0", NULL);
	put_delta(&fixture, NEW_HASH);
	g_assert_null(proa_release_add(feed, fixture.release, "stable", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_clear_error(&error);
	put_delta(&fixture, FIXTURE_HASH);
	put_uki_payload(&fixture);
	g_autoptr(ProaReleaseAdded) added = proa_release_add(feed, fixture.release, "stable", &error);
	g_assert_no_error(error);
	JsonObject *target = json_object_get_object_member(feed->pending, added->path);
	const char *digest =
		json_object_get_string_member(json_object_get_object_member(target, "hashes"), "sha256");
	g_autofree char *path =
		g_strdup_printf("%s/targets/stable/1.0.0/%s.manifest.json", fixture.feed, digest);
	g_assert_true(g_file_get_contents(path, &text, &size, NULL));
	g_autoptr(JsonObject) manifest = proa_json_parse(text, size, path, PROA_REASON_BAD_MANIFEST, &error);
	JsonArray *payloads = json_object_get_array_member(manifest, "payloads");
	g_assert_cmpuint(json_array_get_length(payloads), ==, 2);
	JsonObject *uki = json_object_get_object_member(manifest, "uki");
	JsonObject *full = json_array_get_object_element(json_object_get_array_member(uki, "payloads"), 0);
	g_assert_cmpstr(json_object_get_string_member(full, "type"), ==, "full");
	g_assert_cmpint(json_object_get_int_member(full, "header_size"), ==, PROA_UKI_HEADER_SIZE);
	JsonObject *delta = json_array_get_object_element(payloads, 1);
	g_assert_cmpstr(json_object_get_string_member(delta, "type"), ==, "delta");
	g_assert_cmpstr(json_object_get_string_member(delta, "from"), ==, OLD_HASH);
	g_assert_true(proa_sha256_hex_valid(json_object_get_string_member(delta, "header_sha256")));
	g_autofree char *file =
		g_build_filename(fixture.feed, json_object_get_string_member(delta, "file"), NULL);
	g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/deltas/payloads-of-uki-are-made", payloads_of_uki_are_made);
	g_test_add_func("/feed/deltas/made-from-what-was-added-before", made_from_what_was_added_before);
	g_test_add_func("/feed/deltas/a-folder-that-was-used-again", a_folder_that_was_used_again);
	g_test_add_func("/feed/deltas/image-that-is-gone-is-left-out", image_that_is_gone_is_left_out);
	g_test_add_func(
		"/feed/deltas/one-that-cannot-be-made-is-left-out", one_that_cannot_be_made_is_left_out);
	g_test_add_func(
		"/feed/deltas/uki-that-cannot-be-used-is-left-out", uki_that_cannot_be_used_is_left_out);
	g_test_add_func("/feed/deltas/broken-memory-is-told", broken_memory_is_told);
	g_test_add_func("/feed/deltas/taken-into-the-manifest", taken_into_the_manifest);
	return g_test_run();
}

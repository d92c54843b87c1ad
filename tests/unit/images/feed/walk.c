/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/walk.h"

#include "tests/unit/images/feed/fixture.h"

/* A feed whose stable channel vouches for a manifest with this text. */
static ProaWalk *walk_of_manifest(const Fixture *fixture, const char *text)
{
	g_autofree char *digest = proa_sha256_hex(text, strlen(text));
	g_autofree char *name = g_strdup_printf("feed/targets/stable/1.0.0/%s.manifest.json", digest),
			*store = scratch_file(&fixture->scratch, "store");
	JsonObject *target = json_object_new(), *hashes = json_object_new();
	const ProaWalkOptions options = { 0 };
	g_autoptr(GError) error = NULL;

	g_free(scratch_write(&fixture->scratch, name, text, -1));
	json_object_set_string_member(hashes, "sha256", digest);
	json_object_set_object_member(target, "hashes", hashes);
	json_object_set_int_member(target, "length", (gint64)strlen(text));
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	json_object_set_object_member(feed->pending, "stable/1.0.0/manifest.json", target);
	g_assert_true(proa_feed_save_pending(feed, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	fixture_publish(fixture, PROA_PUBLISH_ALL);
	ProaWalk *walk = proa_walk_new(fixture->feed, &options, store, &error);
	g_assert_no_error(error);
	return walk;
}

#define DIGEST "0000000000000000000000000000000000000000000000000000000000000000"

/* Files are found wherever a manifest describes them, each once. */
static void test_finds_files(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaWalk) walk = walk_of_manifest(&fixture,
		"{\"uki\":{\"file\":\"payloads/a.efi\",\"size\":1,\"sha256\":\"" DIGEST "\"},"
		"\"payloads\":[{\"type\":\"new\",\"file\":\"payloads/b.x\",\"size\":2,\"sha256\":\"" DIGEST
		"\","
		"\"index\":{\"file\":\"payloads/a.efi\",\"size\":1,\"sha256\":\"" DIGEST "\"}}]}");

	g_assert_cmpuint(walk->problems->len, ==, 0);
	g_assert_cmpuint(walk->files->len, ==, 3);
}

/* What leads out of the feed, or has no digest, is a problem and no file. */
static void test_hostile_manifest(void)
{
	static const char *const bad[] = { "payloads/../../etc/passwd", "/etc/passwd",
		"metadata/timestamp.json", "payloads/", "payloads/.hidden", "payloads/a/b", "payloads/a b" };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *text = g_strdup_printf(
			"{\"uki\":{\"file\":\"%s\",\"size\":1,\"sha256\":\"" DIGEST "\"}}", bad[i]);
		g_autoptr(ProaWalk) walk = walk_of_manifest(&fixture, text);
		g_assert_cmpuint(walk->problems->len, ==, 1);
		g_assert_cmpint(
			((ProaWalkProblem *)walk->problems->pdata[0])->reason, ==, PROA_REASON_BAD_MANIFEST);
		g_assert_cmpuint(walk->files->len, ==, 1); /* the manifest itself */
	}
}

/* A channel without a release is one; a name that is none is told. */
static void test_channels(void)
{
	static const struct {
		const char *channel;
		gboolean ok;
	} cases[] = { { "stable", TRUE }, { "beta", TRUE }, { "gamma", FALSE } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Fixture) fixture = fixture_new();
		g_autofree char *store = scratch_file(&fixture.scratch, "store");
		const ProaWalkOptions options = { .channel = cases[i].channel };
		g_autoptr(GError) error = NULL;
		g_autoptr(ProaWalk) walk = proa_walk_new(fixture.feed, &options, store, &error);
		g_assert_cmpint(walk != NULL, ==, cases[i].ok);
		if (!cases[i].ok)
			g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	}
}

/* With another publisher's root, a feed is nothing. */
static void test_foreign_root(void)
{
	g_auto(Fixture) fixture = fixture_new(), other = fixture_new();
	g_autofree char *root = g_build_filename(other.feed, "metadata/1.root.json", NULL),
			*store = scratch_file(&fixture.scratch, "store");
	const ProaWalkOptions options = { .root = root };
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_walk_new(fixture.feed, &options, store, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_SIGNATURE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/walk/finds-every-file-once", test_finds_files);
	g_test_add_func("/feed/walk/a-manifest-leads-nowhere-else", test_hostile_manifest);
	g_test_add_func("/feed/walk/a-channel-without-releases-is-one", test_channels);
	g_test_add_func("/feed/walk/begins-with-the-root-given", test_foreign_root);
	return g_test_run();
}

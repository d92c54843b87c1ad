/* SPDX-License-Identifier: Apache-2.0 */
/* fixture: a feed and a release directory in a scratch folder, for unit tests of proa-feed's parts. */
#pragma once

#include "base/digest.h"
#include "base/file.h"
#include "images/feed/ceremony.h"
#include "images/feed/publish.h"
#include "images/feed/release.h"
#include "images/feed/signer.h"
#include "tests/unit/scratch.h"
#include "updater/payload/format.h"

#include <string.h>

typedef struct {
	Scratch scratch;
	char *feed, *keys, *release;
	ProaLifetimes lifetimes;
} Fixture;

/* Makes a feed of which all keys are at hand. */
static inline gboolean fixture_begin(const char *dir, const ProaCeremonyInit *options, GError **error)
{
	g_autoptr(ProaFeed) feed = proa_feed_create(dir, error);
	g_autoptr(GPtrArray) signers = proa_signers_new();
	g_autoptr(ProaChange) change = feed ? proa_ceremony_begin(feed, options, signers, error) : NULL;

	return change && proa_commit(change, signers, options->lifetimes, error);
}

/* Makes a feed with the fixture's keys and the channels stable and beta; @holders as of ProaCeremonyInit.
 */
static inline gboolean fixture_init(const Fixture *fixture, const char *dir, const char *algorithm,
	const char *const *holders, GError **error)
{
	static const char *const channels[] = { "stable", "beta", NULL };
	const ProaCeremonyInit options = { .keys_dir = fixture->keys,
		.algorithm = algorithm,
		.lifetimes = &fixture->lifetimes,
		.channels = channels,
		.holders = holders };

	return fixture_begin(dir, &options, error);
}

static inline Fixture fixture_new(void)
{
	Fixture fixture = { .scratch = scratch_new() };
	g_autoptr(GError) error = NULL;

	fixture.feed = scratch_file(&fixture.scratch, "feed");
	fixture.keys = scratch_file(&fixture.scratch, "keys");
	fixture.release = scratch_file(&fixture.scratch, "images/base");
	proa_lifetimes_defaults(&fixture.lifetimes);
	fixture_init(&fixture, fixture.feed, "ed25519", NULL, &error);
	g_assert_no_error(error);
	return fixture;
}

static inline void fixture_clear(Fixture *fixture)
{
	scratch_clear(&fixture->scratch);
	g_free(fixture->feed);
	g_free(fixture->keys);
	g_free(fixture->release);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static inline ProaFeed *fixture_open(const Fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	ProaFeed *feed = proa_feed_open(fixture->feed, TRUE, &error);

	g_assert_no_error(error);
	return feed;
}

/* All keys of the fixture's directory. */
static inline GPtrArray *fixture_signers(const Fixture *fixture)
{
	GPtrArray *signers = proa_signers_new();

	g_assert_true(proa_signers_add_dir(signers, fixture->keys, NULL));
	return signers;
}

/* Those of one file alone. */
static inline GPtrArray *fixture_signer(const Fixture *fixture, const char *name)
{
	g_autofree char *path = g_build_filename(fixture->keys, name, NULL);
	GPtrArray *signers = proa_signers_new();

	g_assert_true(proa_signers_add(signers, path, NULL));
	return signers;
}

static inline void fixture_publish(const Fixture *fixture, ProaPublishKind kind)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaFeed) feed = fixture_open(fixture);
	g_autoptr(GPtrArray) signers = fixture_signers(fixture);
	gboolean ok = proa_publish(feed, signers, &fixture->lifetimes, kind, NULL, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static inline JsonObject *fixture_file(const char *text)
{
	JsonObject *object = json_object_new();
	g_autofree char *digest = proa_sha256_hex(text, strlen(text));

	json_object_set_int_member(object, "size", (gint64)strlen(text));
	json_object_set_string_member(object, "sha256", digest);
	return object;
}

/* Writes a release directory of one empty-framed payload; @release_json (may be NULL) changes release.json
 * first. */
static inline void fixture_release(
	const Fixture *fixture, const char *version, void (*change)(JsonObject *release))
{
	guint8 root_hash[PROA_SHA256_SIZE] = { 0xab };
	g_autofree char *hash = proa_hex_encode(root_hash, sizeof root_hash), *salt = g_strnfill(64, '0');
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_new(4096, 4096, root_hash);
	g_autoptr(JsonObject) release = json_object_new();
	JsonObject *root = json_object_new();

	header->frames[0].compressed_size = 4;
	g_autoptr(GBytes) head = proa_payload_header_serialize(header);
	g_autoptr(GString) payload =
		g_string_new_len(g_bytes_get_data(head, NULL), (gssize)g_bytes_get_size(head));
	g_string_append(payload, "data");
	g_free(scratch_write(&fixture->scratch, "images/base/root.full", payload->str, (gssize)payload->len));
	g_free(scratch_write(&fixture->scratch, "images/base/uki.efi", "MZ uki", -1));
	g_free(scratch_write(&fixture->scratch, "images/base/sbom.spdx.json", "{}", -1));

	json_object_set_string_member(release, "version", version);
	json_object_set_string_member(release, "architecture", "x86-64");
	json_object_set_int_member(release, "built", 1700000000);
	json_object_set_int_member(release, "packages", 2);
	json_object_set_object_member(release, "uki", fixture_file("MZ uki"));
	json_object_set_object_member(release, "sbom", fixture_file("{}"));
	json_object_set_string_member(root, "hash", hash);
	json_object_set_string_member(root, "salt", salt);
	json_object_set_string_member(root, "uuid", "0f0f0f0f-0000-4000-8000-000000000000");
	json_object_set_int_member(root, "size", 4096);
	json_object_set_object_member(release, "root", root);
	if (change)
		change(release);
	g_autofree char *text = proa_json_to_text(release);
	g_free(scratch_write(&fixture->scratch, "images/base/release.json", text, -1));
}

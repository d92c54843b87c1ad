/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/release/manifest.h"

#include <string.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char good[] =
	"{\"format\":\"proa-manifest\",\"format_version\":1,\"version\":\"1.0.1\",\"architecture\":\"x86-64\","
	"\"built\":1780000000,\"security_floor\":\"1.0.0\",\"tree\":\"" HEX "\",\"packages\":159,"
	"\"root\":{\"hash\":\"" HEX "\",\"salt\":\"" HEX "\",\"size\":8192,"
	"\"uuid\":\"3a2f4b5c-1111-4222-8333-444455556666\"},"
	"\"uki\":{\"file\":\"payloads/x.efi\",\"size\":10,\"sha256\":\"" HEX "\"},"
	"\"sbom\":{\"file\":\"sbom/x.spdx.json\",\"size\":10,\"sha256\":\"" HEX "\"},"
	"\"payloads\":[{\"type\":\"later\",\"from\":1},{\"type\":\"full\",\"file\":\"payloads/x.full\",\"size\":100,"
	"\"sha256\":\"" HEX "\",\"header_sha256\":\"" HEX
	"\"},{\"type\":\"blocks\",\"file\":\"payloads/x.blocks\","
	"\"size\":90,\"sha256\":\"" HEX "\",\"header_sha256\":\"" HEX
	"\",\"header_size\":80},{\"type\":\"delta\","
	"\"from\":\"" HEX "\",\"file\":\"payloads/x.delta\",\"size\":70,\"sha256\":\"" HEX
	"\",\"header_sha256\":\"" HEX "\",\"header_size\":60}]}";

static void reads_all(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaManifest) m = proa_manifest_parse(good, strlen(good), &error);

	g_assert_no_error(error);
	g_assert_cmpstr(m->version, ==, "1.0.1");
	g_assert_cmpstr(m->architecture, ==, "x86-64");
	g_assert_cmpint(m->built, ==, 1780000000);
	g_assert_cmpstr(m->security_floor, ==, "1.0.0");
	g_assert_cmpint(m->packages, ==, 159);
	g_assert_cmpstr(m->root_hash, ==, HEX);
	g_assert_cmpuint(m->root_size, ==, 8192);
	g_assert_cmpstr(m->uki.path, ==, "payloads/x.efi");
	const ProaManifestPayload *full = proa_manifest_payload(m, PROA_PAYLOAD_FULL, NULL);
	g_assert_cmpstr(full->file.path, ==, "payloads/x.full");
	g_assert_cmpuint(full->file.size, ==, 100);
	g_assert_cmpstr(full->header_sha256, ==, HEX);
	const ProaManifestPayload *blocks = proa_manifest_payload(m, PROA_PAYLOAD_BLOCKS, NULL);
	g_assert_cmpuint(blocks->header_size, ==, 80);
	g_assert_cmpstr(proa_manifest_payload(m, PROA_PAYLOAD_DELTA, HEX)->file.path, ==, "payloads/x.delta");
	g_assert_null(proa_manifest_payload(m, PROA_PAYLOAD_DELTA, "other"));
	g_assert_cmpuint(m->payloads->len, ==, 3);
}

#define UKI_KERNEL                                                                                           \
	"{\"type\":\"kernel\",\"from\":\"" HEX                                                               \
	"\",\"file\":\"payloads/x.uki-kernel\",\"size\":9,\"sha256\":\"" HEX "\",\"header_sha256\":\"" HEX   \
	"\",\"header_size\":8}"

/* The good manifest, its UKI having this list of payloads. */
static ProaManifest *with_uki_payloads(const char *list, GError **error)
{
	g_autoptr(GString) text = g_string_new(good);
	g_autofree char *member = g_strdup_printf("\"uki\":{\"payloads\":%s,", list);

	g_assert_cmpuint(g_string_replace(text, "\"uki\":{", member, 1), ==, 1);
	return proa_manifest_parse(text->str, text->len, error);
}

static void reads_payloads_of_uki(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaManifest) m = with_uki_payloads("[{\"type\":\"blocks\"}," UKI_KERNEL "]", &error);

	g_assert_no_error(error);
	/* Types that a UKI has none of are passed over. */
	g_assert_cmpuint(m->uki_payloads->len, ==, 1);
	const ProaManifestPayload *kernel = proa_manifest_find(m->uki_payloads, PROA_PAYLOAD_KERNEL, HEX);
	g_assert_cmpstr(kernel->file.path, ==, "payloads/x.uki-kernel");
	g_assert_cmpuint(kernel->header_size, ==, 8);
	g_assert_null(proa_manifest_find(m->uki_payloads, PROA_PAYLOAD_KERNEL, "other"));
	g_assert_cmpuint(m->payloads->len, ==, 3);
}

static void refuses_payloads_of_uki(void)
{
	static const char *const bad[] = { "7", "[7]", "[{}]", "[" UKI_KERNEL "," UKI_KERNEL "]",
		"[{\"type\":\"kernel\",\"file\":\"payloads/x\",\"size\":9,\"sha256\":\"" HEX
		"\",\"header_sha256\":\"" HEX "\",\"header_size\":8}]",
		"[{\"type\":\"delta\",\"from\":\"" HEX
		"\",\"file\":\"payloads/x\",\"size\":9,\"sha256\":\"" HEX "\",\"header_sha256\":\"" HEX
		"\",\"header_size\":10}]" };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(with_uki_payloads(bad[i], &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_MANIFEST);
		g_assert_nonnull(strstr(error->message, "uki"));
	}
}

/* The good manifest with one thing replaced. */
typedef struct {
	const char *name, *from, *to;
} Change;

static void refused(gconstpointer data)
{
	const Change *change = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(good);

	g_assert_cmpuint(g_string_replace(text, change->from, change->to, 1), ==, 1);
	g_assert_null(proa_manifest_parse(text->str, text->len, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_MANIFEST);
}

static void accepted(gconstpointer data)
{
	const Change *change = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(good);

	g_assert_cmpuint(g_string_replace(text, change->from, change->to, 1), ==, 1);
	g_autoptr(ProaManifest) manifest = proa_manifest_parse(text->str, text->len, &error);
	g_assert_no_error(error);
	g_assert_nonnull(manifest);
}

static void every_prefix_refused(void)
{
	for (gsize size = 0; size < strlen(good); size++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_manifest_parse(good, size, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_MANIFEST);
	}
}

static void too_large_refused(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = g_malloc(PROA_MANIFEST_MAX_SIZE + 1);

	memset(text, ' ', PROA_MANIFEST_MAX_SIZE + 1);
	memcpy(text, good, strlen(good));
	g_assert_null(proa_manifest_parse(text, PROA_MANIFEST_MAX_SIZE + 1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

static void names_the_member(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(good);

	g_string_replace(text, "\"size\":10,", "\"size\":-1,", 1);
	g_assert_null(proa_manifest_parse(text->str, text->len, &error));
	g_assert_nonnull(strstr(error->message, "uki"));
	g_assert_nonnull(strstr(error->message, "size"));
}

static const Change bad[] = {
	{ "other-format", "proa-manifest", "proa-manifesto" },
	{ "newer-format-version", "\"format_version\":1", "\"format_version\":2" },
	{ "format-version-as-text", "\"format_version\":1", "\"format_version\":\"1\"" },
	{ "version-with-slash", "\"version\":\"1.0.1\"", "\"version\":\"1/../1\"" },
	{ "version-with-plus", "\"version\":\"1.0.1\"", "\"version\":\"1.0.1+3\"" },
	{ "version-missing", "\"version\":\"1.0.1\"", "\"x\":\"1.0.1\"" },
	{ "architecture-with-space", "x86-64", "x86 64" },
	{ "architecture-empty", "x86-64", "" },
	{ "built-negative", "1780000000", "-1" },
	{ "floor-malformed", "\"security_floor\":\"1.0.0\"", "\"security_floor\":\"..\"" },
	{ "floor-as-number", "\"security_floor\":\"1.0.0\"", "\"security_floor\":1" },
	{ "root-missing", "\"root\":{", "\"boot\":{" },
	{ "root-hash-short", "\"hash\":\"0011", "\"hash\":\"00" },
	{ "root-hash-upper-case", "\"hash\":\"00112233445566778899aabb",
		"\"hash\":\"00112233445566778899AABB" },
	{ "root-salt-long", "\"salt\":\"0011", "\"salt\":\"001100" },
	{ "root-size-odd", "8192", "8193" },
	{ "root-size-zero", "8192", "0" },
	{ "root-size-huge", "8192", "1152921504606846976" },
	{ "root-size-over-int64", "8192", "99999999999999999999" },
	{ "root-size-fraction", "8192", "8192.5" },
	{ "root-uuid-malformed", "3a2f4b5c-1111", "3a2f4b5c+1111" },
	{ "root-uuid-injection", "444455556666\"", "44445555666\\n\"" },
	{ "uki-path-up", "payloads/x.efi", "../x.efi" },
	{ "uki-path-absolute", "payloads/x.efi", "/x.efi" },
	{ "uki-path-query", "payloads/x.efi", "payloads/x?y" },
	{ "uki-path-empty", "payloads/x.efi", "" },
	{ "uki-path-control", "payloads/x.efi", "payloads/\\u0001" },
	{ "uki-path-url", "payloads/x.efi", "http://elsewhere/x.efi" },
	{ "uki-size-huge", "\"size\":10,", "\"size\":999999999999," },
	{ "sbom-missing", "\"sbom\"", "\"sbon\"" },
	{ "payloads-missing", "\"payloads\"", "\"payload\"" },
	{ "payloads-no-full", "\"type\":\"full\"", "\"type\":\"fall\"" },
	{ "payloads-two-blocks", "\"type\":\"full\"", "\"header_size\":1,\"type\":\"blocks\"" },
	{ "blocks-no-head", ",\"header_size\":80", "" },
	{ "blocks-head-over-size", "\"header_size\":80", "\"header_size\":91" },
	{ "delta-no-head", ",\"header_size\":60", "" },
	{ "delta-head-over-size", "\"header_size\":60", "\"header_size\":71" },
	{ "delta-from-malformed", "\"from\":\"00", "\"from\":\"zz" },
	{ "payloads-two-full", "{\"type\":\"later\",\"from\":1}",
		"{\"type\":\"full\",\"file\":\"x\",\"size\":1,\"sha256\":\"" HEX "\"}" },
	{ "payloads-entry-no-object", "{\"type\":\"later\",\"from\":1}", "7" },
	{ "payloads-entry-no-type", "\"type\":\"later\",", "" },
	{ "payload-header-digest-malformed", "\"header_sha256\":\"00", "\"header_sha256\":\"zz" },
	{ "array-on-top", "{\"format\"", "[{\"format\"" },
	{ "deep-nesting", "\"from\":1",
		"\"from\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" },
	{ "bad-utf8", "x86-64", "x86\xff" },
};

static const Change fine[] = {
	{ "no-floor", "\"security_floor\":\"1.0.0\",", "" },
	{ "null-floor", "\"security_floor\":\"1.0.0\"", "\"security_floor\":null" },
	{ "no-header-digest", ",\"header_sha256\":\"" HEX "\"", "" },
	{ "unknown-member", "\"built\"", "\"later\":{\"a\":[1]},\"built\"" },
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/release/manifest/reads-payloads-of-uki", reads_payloads_of_uki);
	g_test_add_func("/release/manifest/refuses-payloads-of-uki", refuses_payloads_of_uki);
	g_test_add_func("/release/manifest/reads-all", reads_all);
	g_test_add_func("/release/manifest/every-prefix-refused", every_prefix_refused);
	g_test_add_func("/release/manifest/too-large-refused", too_large_refused);
	g_test_add_func("/release/manifest/names-the-member", names_the_member);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *path = g_strconcat("/release/manifest/refuses/", bad[i].name, NULL);
		g_test_add_data_func(path, &bad[i], refused);
	}
	for (guint i = 0; i < G_N_ELEMENTS(fine); i++) {
		g_autofree char *path = g_strconcat("/release/manifest/accepts/", fine[i].name, NULL);
		g_test_add_data_func(path, &fine[i], accepted);
	}
	return g_test_run();
}

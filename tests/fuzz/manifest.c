/* SPDX-License-Identifier: Apache-2.0 */
// link: release
#include "updater/release/manifest.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes: refused, or a manifest whose members keep what the header promises. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	/* A copy of exactly this size, so that a read past the end is seen. */
	g_autofree char *text = g_memdup2(data, size);
	g_autoptr(ProaManifest) manifest = proa_manifest_parse(text ? text : "", size, &error);

	g_assert((manifest == NULL) == (error != NULL));
	if (!manifest)
		return 0;
	g_assert(manifest->root_size > 0 && manifest->root_size % 4096 == 0);
	g_assert(manifest->root_size <= PROA_MANIFEST_MAX_ROOT_SIZE);
	g_assert(strlen(manifest->root_hash) == 64 && strlen(manifest->root_salt) == 64);
	g_assert(strlen(manifest->root_uuid) == 36);
	g_assert(proa_manifest_payload(manifest, PROA_PAYLOAD_FULL, NULL));
	g_assert(manifest->uki.path && manifest->uki.path[0] != '/' && manifest->sbom.path);
	for (guint i = 0; i < manifest->payloads->len; i++) {
		const ProaManifestPayload *payload = manifest->payloads->pdata[i];
		g_auto(GStrv) names = g_strsplit(payload->file.path, "/", -1);
		g_assert(*names[0] && !g_strv_contains((const char *const *)names, ".."));
		/* Without its head nothing but a full payload can be used. */
		g_assert(payload->type == PROA_PAYLOAD_FULL ||
			 (payload->header_sha256 && payload->header_size > 0));
		g_assert(payload->header_size <= payload->file.size);
	}
	return 0;
}

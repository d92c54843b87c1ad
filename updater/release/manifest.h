/* SPDX-License-Identifier: Apache-2.0 */
/* manifest: what a release is made of (docs/formats.md, "Release manifest"). Read only after trust vouched
 * for its bytes. */
#pragma once

#include "base/reason.h"

#define PROA_MANIFEST_MAX_SIZE (1024 * 1024)
#define PROA_MANIFEST_FORMAT_VERSION 1

/* Sizes over these are refused. Bytes. */
#define PROA_MANIFEST_MAX_ROOT_SIZE (16ull * 1024 * 1024 * 1024)
#define PROA_MANIFEST_MAX_UKI_SIZE (256ull * 1024 * 1024)
#define PROA_MANIFEST_MAX_SBOM_SIZE (256ull * 1024 * 1024)

typedef struct {
	char *path;   /* below the feed, relative, without ".." */
	guint64 size; /* bytes */
	char *sha256; /* 64 hexadecimal digits */
} ProaManifestFile;

typedef struct {
	char *version;
	char *architecture;
	gint64 built;         /* seconds since 1970 */
	char *security_floor; /* NULL: none */
	char *tree;           /* OSTree commit, 64 hexadecimal digits */
	gint64 packages;
	char *root_hash; /* 64 hexadecimal digits */
	char *root_salt; /* 64 hexadecimal digits */
	char *root_uuid;
	guint64 root_size; /* bytes, a multiple of 4096 */
	ProaManifestFile uki;
	ProaManifestFile sbom;
	ProaManifestFile full;    /* the full payload */
	char *full_header_sha256; /* digest of its header and frame table; NULL: not said */
} ProaManifest;

void proa_manifest_free(ProaManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaManifest, proa_manifest_free)

/*
 * Parses @size bytes. NULL with BAD_MANIFEST, and the member that is wrong named, or TOO_LARGE over
 * PROA_MANIFEST_MAX_SIZE. Members and types of payload that are not known are passed over.
 */
ProaManifest *proa_manifest_parse(const char *text, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

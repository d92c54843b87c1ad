/* SPDX-License-Identifier: Apache-2.0 */
/* manifest: what a release is made of (docs/formats.md, "Release manifest"). Read only after trust vouched
 * for its bytes. */
#pragma once

#include "base/reason.h"

#include <errno.h>

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

/* Ways to the root image, and to the UKI (docs/formats.md). */
typedef enum {
	PROA_PAYLOAD_FULL,
	PROA_PAYLOAD_BLOCKS, /* of the root image only */
	PROA_PAYLOAD_DELTA,
	PROA_PAYLOAD_KERNEL, /* of the UKI only: a delta with its kernel unpacked */
	_PROA_PAYLOAD_MAX,
	_PROA_PAYLOAD_INVALID = -EINVAL,
} ProaPayloadType;

/* The word of a type, as in the manifest ("full"); NULL if it is none. */
const char *proa_payload_type_to_string(ProaPayloadType type);
ProaPayloadType proa_payload_type_from_string(const char *word);

typedef struct {
	ProaPayloadType type;
	ProaManifestFile file;
	char *header_sha256; /* digest of its head, all before the first frame; NULL: not said */
	guint64 header_size; /* bytes of its head; 0: not said */
	char *from;          /* delta, kernel: root hash of the old release; otherwise NULL */
} ProaManifestPayload;

typedef struct {
	char *version;
	char *architecture;
	gint64 built;         /* seconds since 1970 */
	char *security_floor; /* NULL: none */
	char *tree;           /* OSTree commit, 64 hexadecimal digits; NULL: not said, no node needs it */
	gint64 packages;
	char *root_hash; /* 64 hexadecimal digits */
	char *root_salt; /* 64 hexadecimal digits */
	char *root_uuid;
	guint64 root_size; /* bytes, a multiple of 4096 */
	ProaManifestFile uki;
	ProaManifestFile sbom;
	GPtrArray *payloads;     /* of ProaManifestPayload, as in the manifest; one of them full */
	GPtrArray *uki_payloads; /* the same of the UKI; may be empty */
} ProaManifest;

void proa_manifest_free(ProaManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaManifest, proa_manifest_free)

/*
 * Parses @size bytes. NULL with BAD_MANIFEST, and the member that is wrong named, or TOO_LARGE over
 * PROA_MANIFEST_MAX_SIZE. Members and types of payload that are not known are passed over.
 */
ProaManifest *proa_manifest_parse(const char *text, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The payload of that type in @payloads (of a manifest); of deltas, the one from @from (a root hash). NULL if
 * there is none.
 */
const ProaManifestPayload *proa_manifest_find(
	const GPtrArray *payloads, ProaPayloadType type, const char *from);

/* The same of the root image. */
const ProaManifestPayload *proa_manifest_payload(
	const ProaManifest *manifest, ProaPayloadType type, const char *from);

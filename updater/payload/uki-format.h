/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uki-format: the payload of a UKI on the wire (docs/formats.md, "Payload of a UKI"): a head of its own, then
 * a `delta` that makes the UKI with some frames of it unpacked.
 */
#pragma once

#include "base/digest.h"
#include "updater/payload/repack.h"
#include "updater/payload/steps.h"

#define PROA_UKI_FORMAT_VERSION 2
#define PROA_UKI_TYPE 4
#define PROA_UKI_HEADER_SIZE 320
#define PROA_UKI_FRAME_ENTRY_SIZE 32

/* Caps of the parser. */
#define PROA_UKI_MAX_SIZE (256ull * 1024 * 1024) /* bytes of a UKI */
#define PROA_UKI_MAX_FRAMES 4u
/* But for a kernel, nothing is packed at a higher level: it takes a few MiB then. */
#define PROA_UKI_LIGHT_LEVEL 5
/* Bytes of the longest head. */
#define PROA_UKI_MAX_HEAD_SIZE                                                                               \
	(PROA_UKI_HEADER_SIZE + PROA_UKI_MAX_FRAMES * PROA_UKI_FRAME_ENTRY_SIZE +                            \
		2 * PROA_STEPS_MAX_TABLES * PROA_STEPS_ENTRY_SIZE)

/* What it is made from, besides the new root image. */
typedef enum {
	PROA_UKI_FULL,   /* nothing */
	PROA_UKI_DELTA,  /* the old UKI */
	PROA_UKI_KERNEL, /* the old UKI with its kernel unpacked; the new kernel is packed again */
	_PROA_UKI_KIND_MAX,
} ProaUkiKind;

typedef struct {
	ProaUkiKind kind;
	guint64 size;                    /* bytes of the new UKI */
	guint8 sha256[PROA_SHA256_SIZE]; /* of it */
	guint64 old_size;                /* of the old one; 0: none */
	guint8 old_sha256[PROA_SHA256_SIZE];
	guint8 old_root_hash[PROA_SHA256_SIZE]; /* of the old release */
	guint64 root_size;                      /* of the new root image */
	guint8 root_hash[PROA_SHA256_SIZE];
	guint64 memory;             /* bytes that packing its kernel takes; 0: none is packed */
	guint32 zstd_version;       /* of the library that packs its frames to these bytes */
	ProaRepackFrame old_kernel; /* size 0: none is unpacked */
	guint32 n_frames;
	ProaRepackFrame frames[PROA_UKI_MAX_FRAMES]; /* of the new UKI, in order */
	guint64 delta_head_size;                     /* of the delta's head */
	guint8 delta_head_sha256[PROA_SHA256_SIZE];
	/* Tables that hold steps: of the old kernel, unpacked, and of the new UKI with its frames unpacked.
	 */
	guint32 n_old_tables, n_new_tables;
	ProaStepTable old_tables[PROA_STEPS_MAX_TABLES], new_tables[PROA_STEPS_MAX_TABLES];
} ProaUkiHeader;

/* Bytes of the head: the fixed part, the frames and the tables. */
gsize proa_uki_head_size(const ProaUkiHeader *header);

/* Bytes of the new UKI with its frames unpacked, and of what it is made from: the root image and the old UKI.
 */
guint64 proa_uki_unpacked_size(const ProaUkiHeader *header);
guint64 proa_uki_source_size(const ProaUkiHeader *header);

/* The head's bytes. */
GBytes *proa_uki_header_serialize(const ProaUkiHeader *header);

/*
 * Parses the fixed part, then the rest of proa_uki_head_size(). BAD_PAYLOAD for anything that the format does
 * not allow.
 */
gboolean proa_uki_header_parse(const guint8 data[PROA_UKI_HEADER_SIZE], ProaUkiHeader *ret_header,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_uki_rest_parse(
	ProaUkiHeader *header, const guint8 *rest, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The head of the payload file @path, and its digest. */
gboolean proa_uki_file_header(const char *path, ProaUkiHeader *ret_header, char **ret_sha256,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

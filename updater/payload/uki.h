/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uki: makes a UKI out of its payload, the root image that it boots, and the old UKI. Files of the initrd are
 * files of the root, so they come from there; frames (initrd, kernel) are made unpacked and packed again.
 *
 * What comes out is the release's UKI only if its digest says so: that has the last word, and is looked at by
 * who arms it.
 */
#pragma once

#include "updater/payload/job.h"
#include "updater/payload/uki-format.h"

/* What the manifest says. */
typedef struct {
	ProaUkiKind kind;
	guint64 size;              /* bytes of the payload */
	const char *header_sha256; /* digest of its head */
	guint64 header_size;       /* bytes of its head */
	guint64 uki_size;
	const char *uki_sha256; /* 64 hexadecimal digits */
	guint64 root_size;
	const char *root_hash; /* 64 hexadecimal digits */
} ProaUkiExpect;

typedef struct {
	const char *program;          /* see updater/payload/repack.h */
	ProaPayloadRead read_root;    /* of the new root image, which was verified */
	ProaPayloadProgress progress; /* bytes of the payload; may be NULL */
	ProaRepackTick tick;          /* while a kernel is packed or unpacked; may be NULL */
	gpointer user_data;
	int old_fd; /* the old UKI, whose digest is header->old_sha256; -1: none */
	int out_fd; /* empty; the new UKI is written to it */
} ProaUkiPlace;

/* Reads the head from @in. BAD_PAYLOAD, PAYLOAD_DIGEST or PAYLOAD_TRUNCATED; it is of the images named then.
 */
gboolean proa_uki_take_head(ProaStream *in, const ProaUkiExpect *expect, ProaUkiHeader *ret_header,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the rest of the payload and writes the UKI; fails as proa_delta_apply() and proa_repack_wait() do. */
gboolean proa_uki_apply(ProaStream *in, const ProaUkiExpect *expect, const ProaUkiHeader *header,
	const ProaUkiPlace *place, GError **error) G_GNUC_WARN_UNUSED_RESULT;

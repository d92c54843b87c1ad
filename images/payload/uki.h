/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uki: makes the payloads of a UKI (docs/formats.md, "Payload of a UKI"). A frame of it is unpacked only if
 * it was shown, with the libzstd of the release that will do it, that packing gives the same bytes again.
 */
#pragma once

#include "images/payload/delta.h"
#include "updater/payload/uki-format.h"

typedef struct {
	const char *uki;  /* path of the UKI */
	const char *root; /* path of the root image of the same release */
	const char *root_hash;
} ProaUkiRelease;

typedef struct {
	ProaDeltaMaker base;
	const char *program; /* see updater/payload/repack.h */
	/* Told that one is worth making, before the slow part; may be NULL. */
	void (*begin)(ProaUkiKind kind, gpointer user_data);
	GHashTable
		*proofs; /* of proa_uki_proofs_new(): what was shown once is not shown again; may be NULL */
} ProaUkiMaker;

/* What was shown of frames and libraries; g_hash_table_unref(). */
GHashTable *proa_uki_proofs_new(void);

/*
 * Writes the payload of @kind that makes the UKI of @to, on a node that has its root image, and (@from, NULL
 * for PROA_UKI_FULL) runs that release. *@ret_made: FALSE if there is none of that kind worth making: the
 * kernels are the same (PROA_UKI_KERNEL), or differ and are packed (PROA_UKI_DELTA), or could not be packed
 * again to the same bytes (PROA_UKI_KERNEL; *@ret_why, to be freed with g_free(), tells). @out_path is
 * replaced only once it is whole. Fails as proa_delta_make() does, or with BAD_UKI.
 */
gboolean proa_uki_make(const ProaUkiMaker *maker, ProaUkiKind kind, const ProaUkiRelease *from,
	const ProaUkiRelease *to, const char *out_path, gboolean *ret_made, char **ret_why,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

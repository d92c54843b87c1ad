/* SPDX-License-Identifier: Apache-2.0 */
/* delta: makes the `delta` payload that turns one image into another, on all cores, the same bytes every
 * time. */
#pragma once

#include "images/payload/plan.h"

typedef struct {
	const char *path; /* a root image, or any file */
	const char *hash; /* 64 hexadecimal digits: a root image's root hash, another file's SHA-256 */
} ProaDeltaImage;

/*
 * Writes the delta from @old_image to @new_image to @out_path, which is replaced only once it is whole. Files
 * are paired within EROFS images; anything else is compared as it is. Fails with NOT_FOUND, IO, USAGE,
 * TOO_LARGE (an image over 16 GiB, or a delta of more frames than the format has) or BAD_STATE (a malformed
 * EROFS image).
 */
gboolean proa_delta_make(const ProaDeltaMaker *maker, const ProaDeltaImage *old_image,
	const ProaDeltaImage *new_image, const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Packs what was planned. Progress counts from the plan's new size to its double. */
gboolean proa_delta_pack(const ProaDeltaMaker *maker, const ProaPlan *plan, const char *old_hash,
	const char *new_hash, const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

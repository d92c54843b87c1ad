/* SPDX-License-Identifier: Apache-2.0 */
/* delta: makes the `delta` payload that turns one image into another, on all cores, the same bytes every
 * time. */
#pragma once

#include "images/payload/plan.h"

typedef struct {
	const char *path; /* a root image, or any file */
	const char *hash; /* 64 hexadecimal digits: a root image's root hash, another file's SHA-256 */
} ProaDeltaImage;

typedef struct {
	guint threads; /* 0: one a core; the output does not depend on it */
	ProaMakerProgress
		progress; /* may be NULL; counts bytes of the new image twice: compared, and packed */
	gpointer user_data;
} ProaDeltaMaker;

/*
 * Writes the delta from @old_image to @new_image to @out_path, which is replaced only once it is whole. Files
 * are paired within EROFS images; anything else is compared as it is. Fails with NOT_FOUND, IO, USAGE,
 * TOO_LARGE (an image over 16 GiB, or what is compared as it is over 2 GiB) or BAD_STATE (a malformed EROFS
 * image).
 */
gboolean proa_delta_make(const ProaDeltaMaker *maker, const ProaDeltaImage *old_image,
	const ProaDeltaImage *new_image, const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Packs what was planned. @threads is at least 1. Progress counts from the plan's new size to its double.
 */
gboolean proa_delta_pack(const ProaDeltaMaker *maker, const ProaPlan *plan, const char *old_hash,
	const char *new_hash, guint threads, const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

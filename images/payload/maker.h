/* SPDX-License-Identifier: Apache-2.0 */
/* maker: makes a full payload out of a root image, on all cores, the same bytes every time. */
#pragma once

#include "updater/payload/format.h"

/* What proa-payload and proa-feed use. */
#define PROA_MAKER_LEVEL 15
#define PROA_MAKER_FRAME_SIZE (4u * 1024 * 1024)

/* Called after each frame is written: bytes of the image done and in all. */
typedef void (*ProaMakerProgress)(guint64 done, guint64 total, gpointer user_data);

typedef struct {
	int level;                  /* zstd level, 1 to 22 */
	guint32 frame_size;         /* bytes, a multiple of 4096, at most 4 MiB */
	guint threads;              /* 0: one a core; the output does not depend on it */
	ProaMakerProgress progress; /* may be NULL */
	gpointer user_data;
} ProaMaker;

/*
 * Writes the full payload of @image_path, whose root hash is @root_hash (64 hexadecimal digits), to
 * @out_path, which is replaced only once it is whole. Fails with NOT_FOUND, IO, USAGE (impossible sizes) or
 * TOO_LARGE.
 */
gboolean proa_maker_full(const ProaMaker *maker, const char *image_path, const char *root_hash,
	const char *out_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

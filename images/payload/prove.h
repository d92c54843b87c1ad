/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove: whether a zstd frame, packed once more by the libzstd of a release, gives the same bytes, and with
 * which parameters.
 */
#pragma once

#include "images/payload/erofs.h"
#include "updater/payload/repack.h"

/* Something of a UKI that is packed. */
typedef struct {
	const guint8 *packed, *data;
	ProaRepackFrame frame; /* sizes; proa_prove() adds the parameters */
	guint64 max_rss;       /* bytes that packing it took */
} ProaProof;

/*
 * Unpacks the @size bytes of a frame at @packed: to be freed with g_bytes_unref(). NULL if it is no frame,
 * one among several, or of over PROA_REPACK_MAX_SIZE bytes.
 */
GBytes *proa_prove_unpack(const guint8 *packed, gsize size);

/*
 * Puts the libzstd.so.1 of a root image into a new directory and returns its path, to be removed with
 * proa_prove_library_free(); NULL with NOT_FOUND or IO.
 */
char *proa_prove_library(const guint8 *root, const GPtrArray *files, GError **error);
void proa_prove_library_free(char *dir);

/*
 * Tries the levels up to @max_level that the frame can have been packed at. FALSE, with an error, only if it
 * could not be tried; *@ret_same tells what came of it.
 */
gboolean proa_prove(const char *program, const char *library_dir, ProaProof *proof, guint max_level,
	gboolean *ret_same, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: the old image as a delta reads it: mostly in order, with many short looks back into places near by.
 * A window goes along with what is read in order; looks elsewhere are kept in lines of a small cache. So
 * neither makes the device read much that is not used.
 */
#pragma once

#include "updater/payload/job.h"

/* Bytes that a prefetch or a step of reading in order takes at most, and those of a look elsewhere. */
#define PROA_DELTA_WINDOW_SIZE ((gsize)128 * 1024)
#define PROA_DELTA_LINE_SIZE ((gsize)8 * 1024)

/* Bytes of memory that it takes. */
#define PROA_DELTA_SOURCE_SIZE (PROA_DELTA_WINDOW_SIZE + 32 * PROA_DELTA_LINE_SIZE)

typedef struct ProaDeltaSource ProaDeltaSource;

/* @read reads within an image of @size bytes. Never NULL. */
ProaDeltaSource *proa_delta_source_new(ProaPayloadRead read, gpointer user_data, guint64 size);
void proa_delta_source_free(ProaDeltaSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaSource, proa_delta_source_free)

/* Reads within the image; BAD_PAYLOAD for what lies outside of it, or what @read fails with. */
gboolean proa_delta_source_read(ProaDeltaSource *source, guint64 offset, guint8 *data, gsize size,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads ahead what will be read here and there: the first PROA_DELTA_WINDOW_SIZE of @size bytes at @offset.
 * What lies outside of the image is left out.
 */
gboolean proa_delta_source_prefetch(
	ProaDeltaSource *source, guint64 offset, guint64 size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

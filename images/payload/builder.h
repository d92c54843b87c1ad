/* SPDX-License-Identifier: Apache-2.0 */
/* builder: the streams of a delta's frame, or of one module's part of it, before they are packed. */
#pragma once

#include "images/payload/align.h"
#include "updater/payload/delta-format.h"
#include "updater/payload/delta-map.h"

typedef struct {
	GByteArray *streams[_PROA_DELTA_STREAM_MAX];
	guint64 old_at; /* where the applier expects the next old bytes */
	guint64 news;   /* about how many bytes of it are not foreseen; what packing can't do away with */
} ProaBuilder;

ProaBuilder *proa_builder_new(void);
void proa_builder_free(ProaBuilder *builder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaBuilder, proa_builder_free)

/* Appends a number, as proa_delta_number() and proa_delta_signed() read them. */
void proa_builder_number(ProaBuilder *builder, ProaDeltaStream stream, guint64 value);
void proa_builder_signed(ProaBuilder *builder, ProaDeltaStream stream, gint64 value);

/* One operation of @length bytes (updater/payload/delta-work.h). */
void proa_builder_op(ProaBuilder *builder, guint op, guint64 length);

/*
 * Appends the operations that make @piece, whose offsets are within @old_data and @new_data. @map (may be
 * NULL) learns what the applier would.
 */
void proa_builder_piece(ProaBuilder *builder, const guint8 *old_data, const guint8 *new_data,
	const ProaPiece *piece, ProaDeltaMap *map);

/* The same of a matched piece whose length is a multiple of 4, its bytes being numbers of 32 bits. */
void proa_builder_words(ProaBuilder *builder, const guint8 *old_data, const guint8 *new_data,
	const ProaPiece *piece, ProaDeltaMap *map);

/* Appends all streams of @part. */
void proa_builder_append(ProaBuilder *builder, const ProaBuilder *part);

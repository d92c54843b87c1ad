/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta-map: where bytes of an old file went in the new one, as learnt from the operations that patched it.
 * Who applies a delta and who makes it learn the same, so what follows from it needs no bytes on the wire.
 */
#pragma once

#include <glib.h>

/* It knows of no more runs of bytes than this; 24 bytes of memory each. */
#define PROA_DELTA_MAX_RUNS 32768u
#define PROA_DELTA_RUN_SIZE 24u

typedef struct ProaDeltaMap ProaDeltaMap;

ProaDeltaMap *proa_delta_map_new(void);
void proa_delta_map_free(ProaDeltaMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaMap, proa_delta_map_free)

/* The @length bytes at @old_offset of the old file became those at @new_offset of the new one. */
void proa_delta_map_add(ProaDeltaMap *map, guint64 old_offset, guint64 new_offset, guint64 length);

/*
 * The same for bytes that have become @made, but for long runs of zeros: those are alike everywhere, and say
 * nothing of where they came from.
 */
void proa_delta_map_learn(
	ProaDeltaMap *map, guint64 old_offset, guint64 new_offset, const guint8 *made, gsize length);

/* Whether there were more runs than it may know: those after the last one that it has room for are missing.
 */
gboolean proa_delta_map_overflowed(const ProaDeltaMap *map);

/* No more additions; the questions below may be asked. */
void proa_delta_map_seal(ProaDeltaMap *map);

/* Where the byte at @old_offset went; FALSE if it went nowhere. */
gboolean proa_delta_map_find(const ProaDeltaMap *map, guint64 old_offset, guint64 *ret_new_offset);

/* Whether any of the @length bytes at @old_offset went anywhere. */
gboolean proa_delta_map_any(const ProaDeltaMap *map, guint64 old_offset, guint64 length);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta-work: one delta being applied; shared by delta.c (the payload), delta-ops.c (operations) and
 * delta-unit.c (files that are made as a whole).
 */
#pragma once

#include "updater/payload/delta-map.h"
#include "updater/payload/delta-ops.h"
#include "updater/payload/delta-source.h"
#include "updater/payload/delta-streams.h"
#include "updater/payload/delta.h"

typedef struct {
	ProaStream *in;
	ProaStream *reopened; /* the same, if it was opened anew */
	const ProaPayloadExpect *expect;
	const ProaDeltaTarget *target;
	GChecksum *whole; /* NULL if the frame table is authentic by itself */
	guint64 taken;    /* bytes of the payload read */
	ProaDeltaHeader *header;
	ProaDeltaSource *old_image;
	guint8 *packed;
	ProaDeltaStreams *streams;
	guint8 *out; /* bytes made and not yet given to the sink, aligned for direct writes */
	gsize out_have, out_size;
	guint8 *own_out; /* @out, where nobody else has room */
	guint8 *unit;    /* where modules are made, one after the other */
	gsize unit_size;
	guint64 made;  /* bytes of the image made */
	GArray *tails; /* of ProaDeltaTail: last bytes of modules whose place is still to come, by their place
			*/
	gsize tail_bytes;                 /* of them */
	guint64 old_at;                   /* where the next old bytes are expected */
	guint64 old_tail_at, new_tail_at; /* the same of the last blocks of files */
} ProaDeltaWork;

/* Bytes that are made with a module, and come later in the image. A frame forgets them when it ends. */
typedef struct {
	guint64 at;
	gsize size;
	guint8 *data;
} ProaDeltaTail;

/* Where operations read old bytes and put new ones. */
typedef struct {
	gboolean (*read_old)(gpointer user_data, guint64 offset, guint8 *data, gsize size, GError **error);
	gpointer user_data;
	guint64 *old_at;
	guint8 *memory;    /* NULL: the image */
	guint64 at;        /* in memory */
	ProaDeltaMap *map; /* learns what was patched; may be NULL */
	gboolean units;    /* whether the operation UNIT may come */
} ProaDeltaPlace;

/* Carries out operations until exactly @length bytes are made. */
gboolean proa_delta_run_ops(ProaDeltaWork *work, ProaDeltaPlace *place, guint64 length, GError **error);

/* Makes the next @length bytes of the image as the blocks of a module. */
gboolean proa_delta_run_unit(ProaDeltaWork *work, guint64 length, GError **error);

/* Keeps the last bytes of a module until the image comes to @at. */
gboolean proa_delta_keep_tail(
	ProaDeltaWork *work, guint64 at, const guint8 *data, gsize size, GError **error);

/* Reads again what was made of the new image. */
gboolean proa_delta_read_made(ProaDeltaWork *work, guint64 offset, guint8 *data, gsize size, GError **error);

/* Appends @size bytes to the image. */
gboolean proa_delta_emit(ProaDeltaWork *work, const guint8 *data, gsize size, GError **error);

/* Room for at most @want bytes to be made in place, and taking them. */
guint8 *proa_delta_room(ProaDeltaWork *work, gsize want, gsize *ret_size);
gboolean proa_delta_commit(ProaDeltaWork *work, gsize size, GError **error);

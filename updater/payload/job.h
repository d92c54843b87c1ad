/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job: what whoever applies a payload is given, whatever its type: where its bytes come from, what the node
 * holds already, and where the image goes. `full` (apply.h), `blocks` (blocks.h) and `delta` take the same.
 */
#pragma once

#include "updater/fetch/stream.h"

/* What the signed manifest says of the payload and of the image it makes. */
typedef struct {
	guint64 size;       /* bytes of the payload */
	const char *sha256; /* digest of the whole payload */
	const char
		*header_sha256; /* digest of its head, before the first frame; NULL: not said (full only) */
	guint64 header_size;    /* bytes of its head; 0: not said (full only) */
	guint64 image_size;     /* bytes of the root image */
	const char *root_hash;  /* root hash of the image */
} ProaPayloadExpect;

/* Takes the next @size bytes of the image; @data is aligned to 4096 bytes, @size a multiple of 4096. */
typedef gboolean (*ProaPayloadSink)(const guint8 *data, gsize size, gpointer user_data, GError **error);

/*
 * Room in which the next bytes for the sink may be made, so that they need not be copied: *@ret_size bytes (a
 * multiple of 4096, not 0), aligned as the sink wants them. The sink is given them next, at that place.
 */
typedef guint8 *(*ProaPayloadRoom)(gsize *ret_size, gpointer user_data, GError **error);

/* Told after each frame: bytes of the payload read so far. */
typedef void (*ProaPayloadProgress)(guint64 done, gpointer user_data);

/*
 * Told when a frame ends within a block: the bytes of that block that are made, fewer than 4096. They follow
 * what the sink was given, and are given to it with the rest of the block.
 */
typedef void (*ProaPayloadKeep)(const guint8 *tail, gsize size, gpointer user_data);

/* Reads @size bytes of an image at @offset. */
typedef gboolean (*ProaPayloadRead)(
	guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error);

typedef ProaByteRange ProaPayloadRange;

/* Opens these parts of the payload, one after the other in one stream; @n is at least 1. */
typedef ProaStream *(*ProaPayloadOpen)(
	const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error);

typedef struct {
	const ProaPayloadExpect *expect;
	ProaPayloadOpen open;
	ProaPayloadRead read_old; /* of the image that runs; NULL: there is none to read */
	ProaPayloadRead read_new; /* of what @sink took, and of what lies there before @from */
	guint64 from;             /* bytes of the image that lie in the slot already, a multiple of 4096 */
	ProaPayloadSink sink;     /* is given what follows @from, and nothing before */
	ProaPayloadRoom room;     /* may be NULL */
	ProaPayloadProgress progress; /* may be NULL */
	gpointer user_data;           /* of all of the above */
	/*
	 * A file of the applier's own, for what would take memory otherwise; what is found in it is checked,
	 * and saves fetching it again. NULL: it is in memory only.
	 */
	const char *scratch;
	/*
	 * So that an applier whose frames end within blocks need not begin a frame earlier: @keep (may be
	 * NULL) is told of the beginning of a block, and @tail is what was kept, @tail_size bytes that follow
	 * @from.
	 */
	ProaPayloadKeep keep;
	const guint8 *tail;
	gsize tail_size;
} ProaPayloadJob;

/*
 * Gives @size bytes that belong at @at of the image to the job's sink, but for those before @job->from: an
 * applier may have to begin earlier than what is asked of it.
 */
static inline gboolean proa_payload_emit(
	const ProaPayloadJob *job, guint64 at, const guint8 *data, gsize size, GError **error)
{
	gsize skip = at >= job->from ? 0 : (gsize)MIN((guint64)size, job->from - at);

	return skip == size || job->sink(data + skip, size - skip, job->user_data, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/pack.h"

#include <lzma.h>

/* What LZMA may guess a byte from: the upper bits of the one before (lc), or where in a word it is (lp, pb).
 */
typedef struct {
	guint8 lc, lp, pb;
} Way;

static const Way byte_ways[] = { { 3, 0, 0 }, { 0, 0, 0 } };
static const Way word_ways[] = { { 0, 2, 2 }, { 2, 2, 2 } };
/* Much of what is new in a kernel are tables of words. */
static const Way literal_ways[] = { { 3, 0, 0 }, { 2, 0, 2 } };

/* The second way takes as long and hardly ever saves much: but for literals, large streams go the first. */
#define MAX_TWO_WAYS (256u * 1024)

static const Way *ways_of(ProaDeltaStream id, gsize size, guint *ret_n)
{
	*ret_n = size > MAX_TWO_WAYS && id != PROA_DELTA_LITERAL ? 1 : 2;
	return id == PROA_DELTA_WORDS ? word_ways : id == PROA_DELTA_LITERAL ? literal_ways : byte_ways;
}

/* The node keeps the dictionaries of a frame's streams all at once. With 256 KiB in place of the 1 MiB that
 * is allowed a delta is half a percent larger, and takes 2 MiB less to apply. */
#define MAX_LOG 18u

static guint8 dictionary_log(gsize size)
{
	guint8 log = PROA_DELTA_MIN_DICTIONARY_LOG;

	while (log < MAX_LOG && ((gsize)1 << log) < size)
		log++;
	return log;
}

/* The dictionaries of all streams: no more than the format allows together, the largest being cut first. */
static void choose_dictionaries(const ProaBuilder *builder, guint8 logs[_PROA_DELTA_STREAM_MAX])
{
	guint64 total = 0;

	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		logs[i] = dictionary_log(builder->streams[i]->len);
		total += (guint64)1 << logs[i];
	}
	while (total > PROA_DELTA_MAX_DICTIONARIES) {
		guint largest = 0;
		for (guint i = 1; i < _PROA_DELTA_STREAM_MAX; i++)
			if (logs[i] > logs[largest])
				largest = i;
		logs[largest]--;
		total -= (guint64)1 << logs[largest];
	}
}

/* Packs @stream one way into @room; the size, or 0 if it does not fit. */
static gsize pack_way(const GByteArray *stream, const ProaDeltaStreamEntry *entry, guint8 *room, gsize size)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	gsize packed = 0;

	g_assert(!lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME));
	options.dict_size = 1u << entry->dictionary_log;
	options.lc = entry->lc;
	options.lp = entry->lp;
	options.pb = entry->pb;
	return lzma_raw_buffer_encode(filters, NULL, stream->data, stream->len, room, &packed, size) ==
			       LZMA_OK
		       ? packed
		       : 0;
}

/* The smallest of all ways, or as it is. */
static void pack_stream(const GByteArray *stream, ProaDeltaStream id, guint8 log, ProaDeltaStreamEntry *best,
	GByteArray *frame)
{
	guint n_ways = 0;
	const Way *ways = ways_of(id, stream->len, &n_ways);
	gsize room_size = stream->len;
	g_autofree guint8 *room = g_malloc(room_size + 1), *best_room = g_malloc(room_size + 1);

	*best = (ProaDeltaStreamEntry){ .size = stream->len, .packed_size = stream->len };
	for (guint i = 0; i < n_ways && stream->len > 0; i++) {
		ProaDeltaStreamEntry entry = { stream->len, 0, TRUE, ways[i].lc, ways[i].lp, ways[i].pb,
			log };
		gsize packed = pack_way(stream, &entry, room, room_size);
		if (packed == 0 || packed >= best->packed_size)
			continue;
		entry.packed_size = (guint32)packed;
		*best = entry;
		guint8 *swap = room;
		room = best_room;
		best_room = swap;
	}
	g_byte_array_append(frame, best->packed ? best_room : stream->data, best->packed_size);
}

GByteArray *proa_pack_frame(const ProaBuilder *builder, GError **error)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX];
	guint8 logs[_PROA_DELTA_STREAM_MAX];
	g_autoptr(GByteArray) frame = g_byte_array_new();

	choose_dictionaries(builder, logs);
	g_byte_array_set_size(frame, (guint)PROA_DELTA_STREAM_TABLE_SIZE);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		if (builder->streams[i]->len > PROA_DELTA_MAX_STREAM_SIZE) {
			proa_fail(error, PROA_REASON_TOO_LARGE, "a frame's stream is too long");
			return NULL;
		}
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		pack_stream(builder->streams[i], (ProaDeltaStream)i, logs[i], &entries[i], frame);
	if (frame->len > PROA_DELTA_MAX_FRAME_SIZE) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "a frame of %u bytes is too large", frame->len);
		return NULL;
	}
	proa_delta_streams_serialize(entries, frame->data);
	return g_steal_pointer(&frame);
}

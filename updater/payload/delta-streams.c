/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-streams.h"

#include <lzma.h>
#include <string.h>

/* Streams are unpacked in steps of so many bytes. */
#define STEP ((gsize)16 * 1024)
/* A frame of fewer packed bytes is unpacked before another thread has begun. */
#define WORTH_A_THREAD ((gsize)64 * 1024)

typedef struct {
	ProaDeltaStreamEntry entry;
	const guint8 *data; /* on the wire */
	lzma_stream lzma;
	/* Of who asks: what may be taken without the lock. */
	const guint8 *at, *end;
	gsize given; /* bytes of the ring that this is a part of */
	/* With the lock. */
	guint8 *ring;
	gsize size;          /* of the ring, a multiple of STEP; 0: nothing was asked for yet */
	guint64 made, taken; /* bytes unpacked so far; those of them whose room is free again */
	guint32 left;        /* bytes to be unpacked */
	gboolean busy; /* a thread unpacks it: the ring's next STEP, @lzma, @left and @opened are its own */
	gboolean opened, failed;
} Stream;

/*
 * Unpacking takes as long as using what comes of it: a thread goes ahead as far as there is room. Whoever
 * needs bytes that are not there, and that nobody is at, unpacks them itself.
 */
struct ProaDeltaStreams {
	Stream streams[_PROA_DELTA_STREAM_MAX];
	GThread *thread; /* NULL: none */
	GMutex lock;
	GCond made, wanted;
	gboolean ends;
	GError *error; /* the first one */
};

/* Of what is taken in long pieces more is unpacked ahead. */
static gsize ring_size(ProaDeltaStream id)
{
	switch (id) {
	case PROA_DELTA_DIFF:
		return PROA_DELTA_AHEAD_SIZE;
	case PROA_DELTA_LITERAL:
	case PROA_DELTA_WORDS:
		return PROA_DELTA_AHEAD_SIZE / 2;
	default:
		return 2 * STEP;
	}
}

static gboolean open_stream(Stream *stream, GError **error)
{
	const ProaDeltaStreamEntry *entry = &stream->entry;
	lzma_options_lzma options = {
		.dict_size = 1u << entry->dictionary_log,
		.lc = entry->lc,
		.lp = entry->lp,
		.pb = entry->pb,
	};
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };

	stream->opened = TRUE;
	if (!entry->packed)
		return TRUE;
	if (lzma_raw_decoder(&stream->lzma, filters) != LZMA_OK)
		return proa_fail(error, PROA_REASON_INTERNAL, "liblzma does not take a stream's options");
	stream->lzma.next_in = stream->data;
	stream->lzma.avail_in = entry->packed_size;
	return TRUE;
}

/* The next @size bytes of a stream. */
static gboolean unpack(Stream *stream, guint8 *out, gsize size, GError **error)
{
	if (!stream->opened && !open_stream(stream, error))
		return FALSE;
	if (!stream->entry.packed) {
		memcpy(out, stream->data + (stream->entry.size - stream->left), size);
		return TRUE;
	}
	stream->lzma.next_out = out;
	stream->lzma.avail_out = size;
	while (stream->lzma.avail_out > 0) {
		gsize before = stream->lzma.avail_out + stream->lzma.avail_in;
		lzma_ret result = lzma_code(&stream->lzma, LZMA_RUN);
		if ((result != LZMA_OK && result != LZMA_STREAM_END) ||
			(stream->lzma.avail_out > 0 &&
				stream->lzma.avail_out + stream->lzma.avail_in == before))
			return proa_fail(
				error, PROA_REASON_BAD_PAYLOAD, "a stream of a frame can't be unpacked");
	}
	return TRUE;
}

/* Whether there is a step to be unpacked, and room for it. With the lock. */
static gboolean has_work(const Stream *stream)
{
	return stream->size > 0 && !stream->busy && !stream->failed && stream->left > 0 &&
	       stream->made - stream->taken + STEP <= stream->size;
}

/* Unpacks one step into the ring. Called and left with the lock. */
static void work_on(ProaDeltaStreams *streams, Stream *stream)
{
	gsize n = MIN(STEP, stream->left);
	g_autoptr(GError) error = NULL;

	stream->busy = TRUE;
	g_mutex_unlock(&streams->lock);
	gboolean ok = unpack(stream, stream->ring + stream->made % stream->size, n, &error);
	g_mutex_lock(&streams->lock);
	stream->busy = FALSE;
	stream->failed = !ok;
	if (!ok && !streams->error)
		streams->error = g_steal_pointer(&error);
	stream->made += ok ? n : 0;
	stream->left -= ok ? (guint32)n : 0;
	g_cond_signal(&streams->made);
}

/* The stream that has the least left to be taken, of those with work. */
static Stream *most_wanted(ProaDeltaStreams *streams)
{
	Stream *best = NULL;

	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		Stream *stream = &streams->streams[i];
		if (has_work(stream) && (!best || stream->made - stream->taken < best->made - best->taken))
			best = stream;
	}
	return best;
}

static gpointer go_ahead(gpointer user_data)
{
	ProaDeltaStreams *streams = user_data;

	g_mutex_lock(&streams->lock);
	while (!streams->ends) {
		Stream *stream = most_wanted(streams);
		if (stream)
			work_on(streams, stream);
		else
			g_cond_wait(&streams->wanted, &streams->lock);
	}
	g_mutex_unlock(&streams->lock);
	return NULL;
}

ProaDeltaStreams *proa_delta_streams_new(const guint8 *frame, gsize size, GError **error)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX];
	const guint8 *data = frame + PROA_DELTA_STREAM_TABLE_SIZE;

	if (!proa_delta_streams_parse(frame, size, entries, error))
		return NULL;
	ProaDeltaStreams *streams = g_new0(ProaDeltaStreams, 1);
	g_mutex_init(&streams->lock);
	g_cond_init(&streams->made);
	g_cond_init(&streams->wanted);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		streams->streams[i] = (Stream){
			.entry = entries[i], .data = data, .left = entries[i].size, .lzma = LZMA_STREAM_INIT
		};
		data += entries[i].packed_size;
	}
	if (size >= WORTH_A_THREAD && g_get_num_processors() > 1)
		streams->thread = g_thread_try_new("delta-streams", go_ahead, streams, NULL);
	return streams;
}

void proa_delta_streams_free(ProaDeltaStreams *streams)
{
	if (!streams)
		return;
	g_mutex_lock(&streams->lock);
	streams->ends = TRUE;
	g_cond_signal(&streams->wanted);
	g_mutex_unlock(&streams->lock);
	if (streams->thread)
		g_thread_join(streams->thread);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		lzma_end(&streams->streams[i].lzma);
		g_free(streams->streams[i].ring);
	}
	g_clear_error(&streams->error);
	g_mutex_clear(&streams->lock);
	g_cond_clear(&streams->made);
	g_cond_clear(&streams->wanted);
	g_free(streams);
}

/* Memory is asked for only once a stream is read. */
static void begin(Stream *stream, ProaDeltaStream id)
{
	gsize most = (stream->left + STEP - 1) / STEP * STEP;

	stream->size = CLAMP(most, STEP, ring_size(id));
	stream->ring = g_malloc(stream->size);
}

/* Bytes to be taken where there are none left; waits for them, or makes them. */
static gboolean more(ProaDeltaStreams *streams, ProaDeltaStream id, GError **error)
{
	Stream *stream = &streams->streams[id];
	gboolean ok = TRUE;

	g_mutex_lock(&streams->lock);
	if (stream->size == 0)
		begin(stream, id);
	stream->taken += stream->given;
	stream->given = 0;
	while (ok && stream->made == stream->taken) {
		if (stream->busy)
			g_cond_wait(&streams->made, &streams->lock);
		else if (has_work(stream))
			work_on(streams, stream);
		else if (stream->failed && streams->error)
			ok = proa_fail(error, proa_reason_of(streams->error), "%s", streams->error->message);
		else
			ok = proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a stream of a frame is too short");
	}
	if (ok) {
		gsize from = (gsize)(stream->taken % stream->size);
		gsize n = (gsize)MIN(stream->made - stream->taken, (guint64)STEP);
		stream->given = MIN(n, stream->size - from);
		stream->at = stream->ring + from;
		stream->end = stream->at + stream->given;
	}
	g_cond_signal(&streams->wanted);
	g_mutex_unlock(&streams->lock);
	return ok;
}

gboolean proa_delta_take(
	ProaDeltaStreams *streams, ProaDeltaStream id, guint8 *data, gsize size, GError **error)
{
	Stream *stream = &streams->streams[id];

	while (size > 0) {
		if (stream->at == stream->end && !more(streams, id, error))
			return FALSE;
		gsize n = MIN(size, (gsize)(stream->end - stream->at));
		memcpy(data, stream->at, n);
		stream->at += n;
		data += n;
		size -= n;
	}
	return TRUE;
}

gboolean proa_delta_number(ProaDeltaStreams *streams, ProaDeltaStream id, guint64 *ret, GError **error)
{
	Stream *stream = &streams->streams[id];
	guint64 value = 0;

	for (guint shift = 0; shift < 64; shift += 7) {
		if (stream->at == stream->end && !more(streams, id, error))
			return FALSE;
		guint8 byte = *stream->at++;
		if (shift == 63 && byte > 1)
			break;
		value |= (guint64)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = value;
			return TRUE;
		}
	}
	return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a number in a frame is over 64 bits");
}

gboolean proa_delta_signed(ProaDeltaStreams *streams, ProaDeltaStream id, gint64 *ret, GError **error)
{
	guint64 value;

	if (!proa_delta_number(streams, id, &value, error))
		return FALSE;
	*ret = (gint64)(value >> 1) ^ -(gint64)(value & 1);
	return TRUE;
}

gboolean proa_delta_streams_ended(ProaDeltaStreams *streams)
{
	gboolean ended = TRUE;

	g_mutex_lock(&streams->lock);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		const Stream *stream = &streams->streams[i];
		ended = ended && stream->left == 0 && stream->at == stream->end &&
			stream->made == stream->taken + stream->given;
	}
	g_mutex_unlock(&streams->lock);
	return ended;
}

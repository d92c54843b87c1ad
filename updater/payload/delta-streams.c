/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-streams.h"

#include <lzma.h>
#include <string.h>

#define BUFFER_SIZE 16384

typedef struct {
	ProaDeltaStreamEntry entry;
	const guint8 *data; /* on the wire */
	guint32 left;       /* bytes unpacked that are not in the buffer yet */
	lzma_stream lzma;
	gboolean opened;
	guint8 *buffer;
	gsize at, have;
} Stream;

struct ProaDeltaStreams {
	Stream streams[_PROA_DELTA_STREAM_MAX];
};

ProaDeltaStreams *proa_delta_streams_new(const guint8 *frame, gsize size, GError **error)
{
	g_autoptr(ProaDeltaStreams) streams = g_new0(ProaDeltaStreams, 1);
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX];
	const guint8 *data = frame + PROA_DELTA_STREAM_TABLE_SIZE;

	if (!proa_delta_streams_parse(frame, size, entries, error))
		return NULL;
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		streams->streams[i] = (Stream){
			.entry = entries[i], .data = data, .left = entries[i].size, .lzma = LZMA_STREAM_INIT
		};
		data += entries[i].packed_size;
	}
	return g_steal_pointer(&streams);
}

void proa_delta_streams_free(ProaDeltaStreams *streams)
{
	if (!streams)
		return;
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		lzma_end(&streams->streams[i].lzma);
		g_free(streams->streams[i].buffer);
	}
	g_free(streams);
}

/* Memory is asked for only once a stream is read: 2^dictionary_log bytes, at most 1 MiB. */
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
	stream->buffer = g_malloc(BUFFER_SIZE);
	if (!entry->packed)
		return TRUE;
	if (lzma_raw_decoder(&stream->lzma, filters) != LZMA_OK)
		return proa_fail(error, PROA_REASON_INTERNAL, "liblzma does not take a stream's options");
	stream->lzma.next_in = stream->data;
	stream->lzma.avail_in = entry->packed_size;
	return TRUE;
}

static gboolean unpack(Stream *stream, guint8 *out, gsize size, GError **error)
{
	if (!stream->entry.packed) {
		memcpy(out, stream->data + (stream->entry.size - stream->left), size);
		stream->left -= (guint32)size;
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
	stream->left -= (guint32)size;
	return TRUE;
}

gboolean proa_delta_take(
	ProaDeltaStreams *streams, ProaDeltaStream id, guint8 *data, gsize size, GError **error)
{
	Stream *stream = &streams->streams[id];

	if (!stream->opened && !open_stream(stream, error))
		return FALSE;
	while (size > 0) {
		if (stream->at < stream->have) {
			gsize n = MIN(size, stream->have - stream->at);
			memcpy(data, stream->buffer + stream->at, n);
			stream->at += n;
			data += n;
			size -= n;
			continue;
		}
		if (stream->left == 0)
			return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "a stream of a frame is too short");
		gboolean direct = size >= BUFFER_SIZE && stream->left >= size;
		gsize n = direct ? size : MIN(BUFFER_SIZE, stream->left);
		if (!unpack(stream, direct ? data : stream->buffer, n, error))
			return FALSE;
		if (direct)
			return TRUE;
		stream->at = 0;
		stream->have = n;
	}
	return TRUE;
}

gboolean proa_delta_number(ProaDeltaStreams *streams, ProaDeltaStream id, guint64 *ret, GError **error)
{
	Stream *stream = &streams->streams[id];
	guint64 value = 0;

	for (guint shift = 0; shift < 64; shift += 7) {
		guint8 byte = 0;
		/* Most of a module's millions of numbers are one byte that is there. */
		if (stream->at < stream->have)
			byte = stream->buffer[stream->at++];
		else if (!proa_delta_take(streams, id, &byte, 1, error))
			return FALSE;
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

gboolean proa_delta_streams_ended(const ProaDeltaStreams *streams)
{
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		if (streams->streams[i].left > 0 || streams->streams[i].at < streams->streams[i].have)
			return FALSE;
	return TRUE;
}

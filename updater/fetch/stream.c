/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/stream.h"

#include <string.h>

gssize proa_stream_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	return stream->kind->read(stream, data, size, error);
}

gboolean proa_stream_read_full(ProaStream *stream, void *data, gsize size, gsize *ret_read, GError **error)
{
	gsize have = 0;

	while (have < size) {
		gssize n = proa_stream_read(stream, (guint8 *)data + have, size - have, error);
		if (n < 0)
			return FALSE;
		if (n == 0)
			break;
		have += (gsize)n;
	}
	*ret_read = have;
	return TRUE;
}

void proa_stream_close(ProaStream *stream)
{
	if (stream)
		stream->kind->close(stream);
}

typedef struct {
	ProaStream stream;
	GBytes *bytes;
	gsize at;
} BytesStream;

static gssize bytes_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	BytesStream *self = (BytesStream *)stream;
	gsize total = 0;
	const guint8 *bytes = g_bytes_get_data(self->bytes, &total);
	gsize n = MIN(size, total - self->at);

	if (n > 0)
		memcpy(data, bytes + self->at, n);
	self->at += n;
	return (gssize)n;
}

static void bytes_close(ProaStream *stream)
{
	BytesStream *self = (BytesStream *)stream;

	g_bytes_unref(self->bytes);
	g_free(self);
}

ProaStream *proa_stream_of_bytes(GBytes *bytes)
{
	static const ProaStreamKind kind = { bytes_read, bytes_close };
	BytesStream *self = g_new0(BytesStream, 1);

	self->stream.kind = &kind;
	self->bytes = g_bytes_ref(bytes);
	return &self->stream;
}
